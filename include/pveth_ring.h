/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Single-producer single-consumer rings in shared memory
 *
 * Only the functions of this header touch the shared words of a ring. It
 * compiles unchanged in the kernel and in userspace, where selftests/ring/
 * drives it from two processes; litmus files beside that test state each claim
 * that is made here, and herd7 checks them.
 *
 * The layout is struct pveth_ring of <linux/pveth.h>. What belongs to one side
 * alone, its index and what it knows of the other's, is in struct pvring_prod
 * and struct pvring_cons, in private memory: the peer is hostile, and what it
 * writes is read once and checked.
 *
 *     PRODUCER                               CONSUMER
 *
 *     write entries                          load prod           (B)
 *     store prod            (A)              read entries
 *
 *     store prod                             store event
 *     full barrier          (C)              full barrier        (D)
 *     load event                             load prod
 *     ring the doorbell if event             sleep if nothing new
 *     is among what was produced
 *
 * (A) is a store-release and pairs with (B), a load-acquire: without them the
 * consumer could see the new index, and entries, or the buffers they name, as
 * they were before.
 *
 * (C) pairs with (D): each side writes one word and reads the other's. Without
 * either barrier both could read the old values; the consumer sleeps and the
 * producer does not ring.
 *
 * An entry is written again only after its answer was read from the other ring
 * of the pair. That read is a (B), the consumer's reading of the entry came
 * before its (A) there, so no barrier is needed between them.
 *
 * A side's structure is used by one context at a time. What that is, a NAPI
 * instance or a transmit lock, is said where the structure is declared.
 */
#ifndef _PVETH_RING_H
#define _PVETH_RING_H

#include <linux/pveth.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>
#else
#include "pveth_ring_user.h"
#endif

/* The ABI's sizes and offsets, wherever rings are used. */
static_assert(sizeof(struct pveth_host_page) == PVETH_PAGE_SIZE);
static_assert(offsetof(struct pveth_host_page, session) == 128);
static_assert(offsetof(struct pveth_host_page, link) == 256);
static_assert(offsetof(struct pveth_host_page, mac) == 264);
static_assert(sizeof(struct pveth_guest_page) == PVETH_PAGE_SIZE);
static_assert(offsetof(struct pveth_guest_page, features) == 8);
static_assert(offsetof(struct pveth_guest_page, check) == 24);
static_assert(offsetof(struct pveth_guest_page, mtu) == 128);
static_assert(offsetof(struct pveth_guest_page, mac) == 136);
static_assert(offsetof(struct pveth_guest_page, queue) == 256);
static_assert(sizeof(struct pveth_queue_pair) == 64);
static_assert(sizeof(struct pveth_ring) == 2 * PVETH_LINE_SIZE);
static_assert(offsetof(struct pveth_ring, event) == PVETH_LINE_SIZE);
static_assert(sizeof(struct pveth_desc) == 32);
static_assert(offsetof(struct pveth_desc, hdr) == 16);
static_assert(offsetof(struct pveth_desc, hash) == 28);
static_assert(sizeof(struct pveth_done) == 8);
static_assert(sizeof(struct pveth_buf) == 16);
static_assert(__alignof__(struct pveth_desc) == 8);
static_assert(__alignof__(struct pveth_done) == 8);
static_assert(__alignof__(struct pveth_buf) == 8);

/**
 * pvring_bytes() - memory that a ring takes
 * @size: entries, a power of two
 * @entry_size: bytes of an entry
 *
 * Return: bytes, from the start of its struct pveth_ring.
 */
static inline size_t pvring_bytes(u32 size, size_t entry_size)
{
	return sizeof(struct pveth_ring) + (size_t)size * entry_size;
}

/**
 * struct pvring_prod - a producer's view of a ring
 * @ring: the shared words
 * @mask: entries less one
 * @prod: index up to which entries were published
 * @announced: index up to which the need for a doorbell was decided
 */
struct pvring_prod {
	struct pveth_ring *ring;
	u32 mask;
	u32 prod;
	u32 announced;
};

/**
 * struct pvring_cons - a consumer's view of a ring
 * @ring: the shared words
 * @mask: entries less one
 * @cons: index of the next entry to take
 * @prod: the producer's index as last read and checked
 */
struct pvring_cons {
	struct pveth_ring *ring;
	u32 mask;
	u32 cons;
	u32 prod;
};

/* Entries are structs of other types, of this size and alignment. */
typedef u64 __attribute__((__may_alias__)) pvring_word;

/* Word by word, each read once, so that the copy is of one moment for each word
 * and nothing is fetched again behind the checks that follow.
 */
static inline void pvring_copy_in(void *to, const void *from, size_t bytes)
{
	const pvring_word *src = from;
	pvring_word *dst = to;
	size_t i;

	for (i = 0; i < bytes / sizeof(*dst); i++)
		dst[i] = READ_ONCE(src[i]);
}

static inline void pvring_copy_out(void *to, const void *from, size_t bytes)
{
	const pvring_word *src = from;
	pvring_word *dst = to;
	size_t i;

	for (i = 0; i < bytes / sizeof(*dst); i++)
		WRITE_ONCE(dst[i], src[i]);
}

static inline void *pvring_entry(struct pveth_ring *ring, u32 index,
				 size_t entry_size)
{
	return (u8 *)(ring + 1) + index * entry_size;
}

/**
 * pvring_prod_init() - start to produce into a ring
 * @p: the producer
 * @ring: shared memory of pvring_bytes(), aligned to PVETH_LINE_SIZE
 * @size: entries, a power of two
 * @start: index of the first entry. Zero, but for tests of the wrap; the shared
 *	words must then hold it as well.
 */
static inline void pvring_prod_init(struct pvring_prod *p,
				    struct pveth_ring *ring, u32 size,
				    u32 start)
{
	p->ring = ring;
	p->mask = size - 1;
	p->prod = start;
	p->announced = start;
}

/**
 * pvring_prod_write() - fill in an entry that is not yet published
 * @p: the producer
 * @n: which one, counted from the first that is not published
 * @entry: the contents, copied
 * @entry_size: bytes of an entry, a multiple of 8
 *
 * That the entry is free is the caller's to know, from the answers it has read.
 */
static inline void pvring_prod_write(const struct pvring_prod *p, u32 n,
				     const void *entry, size_t entry_size)
{
	pvring_copy_out(pvring_entry(p->ring, (p->prod + n) & p->mask,
				     entry_size), entry, entry_size);
}

/**
 * pvring_prod_publish() - hand entries over to the consumer
 * @p: the producer
 * @n: how many
 */
static inline void pvring_prod_publish(struct pvring_prod *p, u32 n)
{
	p->prod += n;
	virt_store_release(&p->ring->prod, cpu_to_le32(p->prod)); /* A, to B */
}

/**
 * pvring_prod_must_ring() - does the consumer want to hear of what is new?
 * @p: the producer
 *
 * Covers all that was published since the last call, so that one doorbell can
 * announce a batch.
 *
 * Return: true if the caller must ring the doorbell.
 */
static inline bool pvring_prod_must_ring(struct pvring_prod *p)
{
	u32 old = p->announced;
	u32 event;

	if (old == p->prod)
		return false;
	p->announced = p->prod;

	virt_mb(); /* C, to D */
	event = le32_to_cpu(READ_ONCE(p->ring->event));

	/* As vring_need_event(). */
	return p->prod - event - 1 < p->prod - old;
}

/**
 * pvring_cons_init() - start to consume from a ring
 * @c: the consumer
 * @ring: shared memory of pvring_bytes(), aligned to PVETH_LINE_SIZE
 * @size: entries, a power of two
 * @start: index of the first entry, as for pvring_prod_init()
 */
static inline void pvring_cons_init(struct pvring_cons *c,
				    struct pveth_ring *ring, u32 size,
				    u32 start)
{
	c->ring = ring;
	c->mask = size - 1;
	c->cons = start;
	c->prod = start;
}

/**
 * pvring_cons_refresh() - look how far the producer is
 * @c: the consumer
 *
 * Return: number of entries that can be read, or -EPROTO if the producer's
 * index is impossible: behind what it was, or further ahead of the consumer
 * than the ring is large.
 */
static inline int pvring_cons_refresh(struct pvring_cons *c)
{
	u32 prod = le32_to_cpu(virt_load_acquire(&c->ring->prod)); /* B, to A */

	if (prod - c->cons > c->mask + 1 || prod - c->cons < c->prod - c->cons)
		return -EPROTO;
	c->prod = prod;
	return prod - c->cons;
}

/**
 * pvring_cons_avail() - entries that can be read
 * @c: the consumer
 *
 * Touches the shared index only when all that was known of is consumed.
 *
 * Return: as pvring_cons_refresh().
 */
static inline int pvring_cons_avail(struct pvring_cons *c)
{
	if (c->prod != c->cons)
		return c->prod - c->cons;
	return pvring_cons_refresh(c);
}

/**
 * pvring_cons_read() - copy an entry
 * @c: the consumer
 * @n: which one, counted from the next; less than what pvring_cons_avail()
 *	returned
 * @entry: where to
 * @entry_size: bytes of an entry, a multiple of 8
 */
static inline void pvring_cons_read(const struct pvring_cons *c, u32 n,
				    void *entry, size_t entry_size)
{
	pvring_copy_in(entry, pvring_entry(c->ring, (c->cons + n) & c->mask,
					   entry_size), entry_size);
}

/**
 * pvring_cons_advance() - be done with entries
 * @c: the consumer
 * @n: how many
 */
static inline void pvring_cons_advance(struct pvring_cons *c, u32 n)
{
	c->cons += n;
}

/**
 * pvring_cons_arm() - ask for a doorbell
 * @c: the consumer
 * @ahead: entries to let pass before the one that is announced; 0 for the next
 *
 * Return: true if that entry is there already, or the index is impossible: do
 * not sleep, look again.
 */
static inline bool pvring_cons_arm(struct pvring_cons *c, u32 ahead)
{
	u32 prod;

	WRITE_ONCE(c->ring->event, cpu_to_le32(c->cons + ahead));
	virt_mb(); /* D, to C */
	prod = le32_to_cpu(READ_ONCE(c->ring->prod));
	return prod - c->cons > ahead;
}

#endif /* _PVETH_RING_H */
