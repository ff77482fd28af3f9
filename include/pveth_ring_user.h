/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What pveth_ring.h and pveth_pace.h take from the kernel, for userspace
 *
 * The meaning is that of the kernel's memory model: see "Compiler barrier" and
 * "virt barriers" in Documentation/memory-barriers.txt of the kernel.
 */
#ifndef _PVETH_RING_USER_H
#define _PVETH_RING_USER_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For sparse, in the kernel */
#define __force

#undef static_assert
#define static_assert(expr)	_Static_assert(expr, #expr)

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define virt_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define virt_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define virt_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)

#define prefetch(p)		__builtin_prefetch(p)

#define cpu_to_le16(x)		htole16(x)
#define le16_to_cpu(x)		le16toh(x)
#define cpu_to_le32(x)		htole32(x)
#define le32_to_cpu(x)		le32toh(x)
#define cpu_to_le64(x)		htole64(x)
#define le64_to_cpu(x)		le64toh(x)

#define NSEC_PER_SEC		1000000000L
#define min_t(type, a, b) ({				\
	type __a = (a), __b = (b);			\
							\
	__a < __b ? __a : __b;				\
})
#define max_t(type, a, b) ({				\
	type __c = (a), __d = (b);			\
							\
	__c > __d ? __c : __d;				\
})
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define div_u64(a, b)		((u64)(a) / (u32)(b))
#define div64_u64(a, b)		((u64)(a) / (u64)(b))

#endif /* _PVETH_RING_USER_H */
