/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue pair: all four rings, as the driver and the backend use them
 *
 * The guest sends frames of several descriptors out of slots, takes the slots
 * back as completions come, and posts buffers. The host holds frames for a while
 * and completes them in any order, and fills buffers in any order. What is in a
 * slot is ordinary memory, written and read without any atomic access: that it
 * is right on the other side is what the rings are for.
 *
 * Each side has one doorbell for all its rings, and sleeps when there is nothing
 * that it can do.
 */
#ifndef _PAIR_H
#define _PAIR_H

#include "test.h"

#define SLOT_WORDS	8
#define SLOT_SIZE	(SLOT_WORDS * sizeof(u64))
#define MAX_DESCS	7

/* Numbers of the rings in struct test_report.count */
enum { G2H, G2H_DONE, H2G_POST, H2G };

/* Contents of slots differ by direction. */
#define H2G_ITEMS	(1ULL << 60)

/**
 * struct pair - the queue pair as a side sees it
 * @ring: the rings
 * @slots: memory of the slots, those for frames to the host first
 * @size: entries of each ring, and slots of each direction
 */
struct pair {
	struct pveth_ring *ring[4];
	u64 *slots;
	u32 size;
};

/**
 * struct frame - a frame on its way to the host
 * @item: number of its first fragment
 * @descs: number of fragments; zero if there is no frame
 * @slot: where they are
 */
struct frame {
	u64 item;
	u16 id;
	u16 descs;
	u16 slot[MAX_DESCS];
};

/* pair.c */
void pair_map(struct pair *pair, const struct test_case *test, u8 *data);
void pair_fill(struct test_side *s, u64 *slot, u64 item);
void pair_check(struct test_side *s, const u64 *slot, u64 item);
void pair_publish(struct test_side *s, struct pvring_prod *p, int ring,
		  u32 *pending);
bool pair_arm(struct test_side *s, struct pvring_cons *c, int ring, u32 ahead);
u32 pair_avail(struct test_side *s, struct pvring_cons *c);
u16 pair_pick(struct test_side *s, u16 *ids, u32 *n);

/* pair_guest.c, pair_host.c */
void pair_guest(struct test_side *s);
void pair_host(struct test_side *s);

#endif /* _PAIR_H */
