/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Single-producer single-consumer rings in shared memory
 *
 * Only the functions of this header touch the shared words of a ring, which are
 * zero before. It compiles unchanged in the kernel and in userspace, where selftests/ring/
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
#include <linux/prefetch.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>
#else
#include "pveth_ring_user.h"
#endif

/* The ABI's sizes and offsets, wherever rings are used. */
static_assert(sizeof(struct pveth_host_page) == PVETH_PAGE_SIZE);
static_assert(offsetof(struct pveth_host_page, magic) == 0);
static_assert(offsetof(struct pveth_host_page, version_major) == 8);
static_assert(offsetof(struct pveth_host_page, version_minor) == 10);
static_assert(offsetof(struct pveth_host_page, host_peer) == 12);
static_assert(offsetof(struct pveth_host_page, max_queue_pairs) == 14);
static_assert(offsetof(struct pveth_host_page, window_size) == 16);
static_assert(offsetof(struct pveth_host_page, features) == 24);
static_assert(offsetof(struct pveth_host_page, session) == 128);
static_assert(offsetof(struct pveth_host_page, peer) == 132);
static_assert(offsetof(struct pveth_host_page, error) == 136);
static_assert(offsetof(struct pveth_host_page, lent) == 140);
static_assert(offsetof(struct pveth_host_page, link) == 256);
static_assert(offsetof(struct pveth_host_page, mtu) == 260);
static_assert(offsetof(struct pveth_host_page, mac) == 264);
static_assert(sizeof(struct pveth_guest_page) == PVETH_PAGE_SIZE);
static_assert(offsetof(struct pveth_guest_page, session) == 0);
static_assert(offsetof(struct pveth_guest_page, host_gen) == 4);
static_assert(offsetof(struct pveth_guest_page, features) == 8);
static_assert(offsetof(struct pveth_guest_page, queue_pairs) == 16);
static_assert(offsetof(struct pveth_guest_page, error) == 20);
static_assert(offsetof(struct pveth_guest_page, check) == 24);
static_assert(offsetof(struct pveth_guest_page, check_addr) == 32);
static_assert(offsetof(struct pveth_guest_page, mtu) == 128);
static_assert(offsetof(struct pveth_guest_page, mac) == 136);
static_assert(offsetof(struct pveth_guest_page, queue) == 256);
static_assert(sizeof(struct pveth_queue_pair) == 64);
static_assert(offsetof(struct pveth_queue_pair, g2h) == 0);
static_assert(offsetof(struct pveth_queue_pair, g2h_done) == 8);
static_assert(offsetof(struct pveth_queue_pair, h2g_post) == 16);
static_assert(offsetof(struct pveth_queue_pair, h2g) == 24);
static_assert(offsetof(struct pveth_queue_pair, g2h_size) == 32);
static_assert(offsetof(struct pveth_queue_pair, h2g_size) == 36);
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

/* Bytes that a reader fetches ahead: enough for several lines to be on their way
 * from the producer's cache at a time
 */
#define PVRING_AHEAD	(2 * PVETH_LINE_SIZE)

/* Word by word, each read once, so that the copy is of one moment for each word
 * and nothing is fetched again behind the checks that follow. What is as short
 * as an entry is straight code, or the compiler would leave it a loop.
 */
static __always_inline void pvring_copy_in(void *to, const void *from,
					   size_t bytes)
{
	const pvring_word *src = from;
	pvring_word *dst = to;
	size_t i;

	if (__builtin_constant_p(bytes) && bytes <= sizeof(struct pveth_desc)) {
		dst[0] = READ_ONCE(src[0]);
		if (bytes >= 2 * sizeof(*dst))
			dst[1] = READ_ONCE(src[1]);
		if (bytes >= 3 * sizeof(*dst))
			dst[2] = READ_ONCE(src[2]);
		if (bytes >= 4 * sizeof(*dst))
			dst[3] = READ_ONCE(src[3]);
		return;
	}
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
 *
 * For entries of the ABI there are functions of their own below. A processor
 * that has just stored the fields of a word one by one has to wait until they
 * are in the cache before it can load the word, so they make the words from the
 * fields in registers.
 */
static inline void pvring_prod_write(const struct pvring_prod *p, u32 n,
				     const void *entry, size_t entry_size)
{
	pvring_copy_out(pvring_entry(p->ring, (p->prod + n) & p->mask,
				     entry_size), entry, entry_size);
}

/* Words of an entry out of its fields, the first of which is at the lowest
 * address
 */
static inline u32 pvring_half_of(__virtio16 first, __virtio16 second)
{
	return le16_to_cpu((__force __le16)first) |
	       (u32)le16_to_cpu((__force __le16)second) << 16;
}

static inline u64 pvring_word_of(u32 first, u32 second)
{
	return (__force u64)cpu_to_le64(first | (u64)second << 32);
}

/**
 * pvring_prod_write_desc() - as pvring_prod_write(), of a descriptor
 * @p: the producer
 * @n: which one, counted from the first that is not published
 * @desc: the contents, copied
 */
static __always_inline void
pvring_prod_write_desc(const struct pvring_prod *p, u32 n,
		       const struct pveth_desc *desc)
{
	pvring_word *to = pvring_entry(p->ring, (p->prod + n) & p->mask,
				       sizeof(*desc));
	const struct virtio_net_hdr_v1 *hdr = &desc->hdr;

	WRITE_ONCE(to[0], (__force u64)desc->addr);
	WRITE_ONCE(to[1], pvring_word_of(le32_to_cpu(desc->len),
					 le16_to_cpu(desc->id) |
					 (u32)le16_to_cpu(desc->flags) << 16));
	WRITE_ONCE(to[2], pvring_word_of(hdr->flags | (u32)hdr->gso_type << 8 |
			(u32)le16_to_cpu((__force __le16)hdr->hdr_len) << 16,
			pvring_half_of(hdr->gso_size, hdr->csum_start)));
	WRITE_ONCE(to[3], pvring_word_of(pvring_half_of(hdr->csum_offset,
							hdr->num_buffers),
					 le32_to_cpu(desc->hash)));
}

/**
 * pvring_prod_write_done() - as pvring_prod_write(), of a completion
 * @p: the producer
 * @n: which one, counted from the first that is not published
 * @done: the contents, copied
 */
static __always_inline void
pvring_prod_write_done(const struct pvring_prod *p, u32 n,
		       const struct pveth_done *done)
{
	pvring_word *to = pvring_entry(p->ring, (p->prod + n) & p->mask,
				       sizeof(*done));

	WRITE_ONCE(to[0], pvring_word_of(le16_to_cpu(done->id) |
					 (u32)le16_to_cpu(done->status) << 16,
					 le32_to_cpu(done->reserved)));
}

/**
 * pvring_prod_write_buf() - as pvring_prod_write(), of a buffer
 * @p: the producer
 * @n: which one, counted from the first that is not published
 * @buf: the contents, copied
 */
static __always_inline void
pvring_prod_write_buf(const struct pvring_prod *p, u32 n,
		      const struct pveth_buf *buf)
{
	pvring_word *to = pvring_entry(p->ring, (p->prod + n) & p->mask,
				       sizeof(*buf));

	WRITE_ONCE(to[0], (__force u64)buf->addr);
	WRITE_ONCE(to[1], pvring_word_of(le32_to_cpu(buf->len),
					 le16_to_cpu(buf->id) |
					 (u32)le16_to_cpu(buf->reserved) << 16));
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
static __always_inline void pvring_cons_read(const struct pvring_cons *c, u32 n,
					     void *entry, size_t entry_size)
{
	const u32 ahead = PVRING_AHEAD / entry_size;
	u32 index = c->cons + n;

	/* Not what may be unpublished: the producer needs that line. */
	if (c->prod - index > ahead)
		prefetch(pvring_entry(c->ring, (index + ahead) & c->mask,
				      entry_size));
	pvring_copy_in(entry, pvring_entry(c->ring, index & c->mask,
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
	/* Who arms as the last thing it does may find the next one at work. */
	u32 cons = READ_ONCE(c->cons);
	u32 prod;

	WRITE_ONCE(c->ring->event, cpu_to_le32(cons + ahead));
	virt_mb(); /* D, to C */
	prod = le32_to_cpu(READ_ONCE(c->ring->prod));
	return prod - cons > ahead;
}

#endif /* _PVETH_RING_H */
