// SPDX-License-Identifier: GPL-2.0
/*
 * The rings of include/pveth_ring.h behind the interface of ringtest
 *
 * ringtest is the kernel's tools/virtio/ringtest; its main.h says what a ring
 * implements, and its main.c is the work. A buffer that is added comes back
 * through the other ring of a pair:
 *
 *            guest                                      host
 *              |  add_inbuf   ---- g2h ---->   use_buf   |
 *              |  get_buf   <--- g2h_done ---            |
 *
 * or, with BENCH_H2G, h2g_post and h2g. Entries are filled in and checked as the
 * driver and the backend do it, with IDs from a list of free ones, since answers
 * may come in any order.
 *
 * The guest publishes at the end of a batch or when it would wait, as the modules
 * do at the end of a burst (netdev_xmit_more). The host publishes when there is
 * nothing left or a poll's budget is used up, as they do at the end of a poll.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pveth_ring.h"

/* ringtest has its own, which are the same. */
#undef READ_ONCE
#undef WRITE_ONCE
#include "main.h"

extern int batch, runcycles;

/* NAPI_POLL_WEIGHT */
#define BUDGET	64

#ifdef BENCH_H2G
#define bench_ask	pveth_buf
#define bench_answer	pveth_desc
#define write_ask	pvring_prod_write_buf
#define write_answer	pvring_prod_write_desc
#else
#define bench_ask	pveth_desc
#define bench_answer	pveth_done
#define write_ask	pvring_prod_write_desc
#define write_answer	pvring_prod_write_done
#endif

/**
 * struct slot - what the guest knows of an ID
 * @data: of the buffer that it names; NULL if it names none
 * @buf: the buffer
 * @next: the next free ID
 */
struct slot {
	void *data;
	void *buf;
	u32 next;
};

static struct {
	struct pvring_prod ask;
	struct pvring_cons answer;
	struct slot *slots;
	u32 free_id, num_free, pending;
} guest __attribute__((aligned(PVETH_LINE_SIZE)));

static struct {
	struct pvring_cons ask;
	struct pvring_prod answer;
	u32 pending, left;
} host __attribute__((aligned(PVETH_LINE_SIZE)));

static void __attribute__((noreturn, cold)) broken(void)
{
	fputs("bench: the peer broke the protocol\n", stderr);
	abort();
}

static struct pveth_ring *alloc_one(size_t entry_size)
{
	size_t bytes = pvring_bytes(ring_size, entry_size);
	void *ring;

	if (posix_memalign(&ring, PVETH_PAGE_SIZE, bytes))
		abort();
	return memset(ring, 0, bytes);
}

void alloc_ring(void)
{
	struct pveth_ring *ask = alloc_one(sizeof(struct bench_ask));
	struct pveth_ring *answer = alloc_one(sizeof(struct bench_answer));
	u32 i;

	pvring_prod_init(&guest.ask, ask, ring_size, 0);
	pvring_cons_init(&host.ask, ask, ring_size, 0);
	pvring_prod_init(&host.answer, answer, ring_size, 0);
	pvring_cons_init(&guest.answer, answer, ring_size, 0);
	guest.slots = calloc(ring_size, sizeof(*guest.slots));
	if (!guest.slots)
		abort();
	for (i = 0; i < ring_size; i++)
		guest.slots[i].next = i + 1;
	guest.free_id = 0;
	guest.num_free = ring_size;
	guest.pending = 0;
	host.pending = 0;
	host.left = runcycles;
}

static void guest_publish(void)
{
	pvring_prod_publish(&guest.ask, guest.pending);
	guest.pending = 0;
}

static void host_publish(void)
{
	pvring_prod_publish(&host.answer, host.pending);
	host.pending = 0;
}

int add_inbuf(unsigned int len, void *buf, void *datap)
{
	struct bench_ask ask = {
		.addr	= cpu_to_le64((unsigned long)buf),
		.len	= cpu_to_le32(len),
		.id	= cpu_to_le16(guest.free_id),
#ifndef BENCH_H2G
		.hdr	= { .num_buffers = cpu_to_le16(1) },
#endif
	};
	struct slot *slot;

	if (!guest.num_free)
		return -1;
	slot = &guest.slots[guest.free_id];
	guest.free_id = slot->next;
	guest.num_free--;
	slot->data = datap;
	slot->buf = buf;
	write_ask(&guest.ask, guest.pending++, &ask);
	if (guest.pending == batch)
		guest_publish();
	return 0;
}

void *get_buf(unsigned int *lenp, void **bufp)
{
	int avail = pvring_cons_avail(&guest.answer);
	struct slot *slot;
	struct bench_answer answer;
	void *data;
	u32 id;

	if (avail <= 0) {
		if (avail)
			broken();
		return NULL;
	}
	pvring_cons_read(&guest.answer, 0, &answer, sizeof(answer));
	pvring_cons_advance(&guest.answer, 1);
	id = le16_to_cpu(answer.id);
	if (id > guest.ask.mask)
		broken();
	slot = &guest.slots[id];
	data = slot->data;
	if (!data)
		broken();
#ifdef BENCH_H2G
	if (answer.addr)
		broken();
	*lenp = le32_to_cpu(answer.len);
#else
	if (answer.reserved)
		broken();
	*lenp = 0;
#endif
	*bufp = slot->buf;
	slot->data = NULL;
	slot->next = guest.free_id;
	guest.free_id = id;
	guest.num_free++;
	return data;
}

bool used_empty(void)
{
	if (guest.pending)
		guest_publish();
	return !pvring_cons_avail(&guest.answer);
}

void disable_call(void)
{
	/* An event index that is behind disables by itself. */
}

/* Whether there is still nothing, which is what ringtest's main.c expects */
bool enable_call(void)
{
	return !pvring_cons_arm(&guest.answer, 0);
}

void kick_available(void)
{
	if (guest.pending)
		guest_publish();
	if (pvring_prod_must_ring(&guest.ask))
		kick();
}

void disable_kick(void)
{
	/* As disable_call() */
}

bool enable_kick(void)
{
	return !pvring_cons_arm(&host.ask, 0);
}

bool avail_empty(void)
{
	if (host.pending)
		host_publish();
	return !pvring_cons_avail(&host.ask);
}

bool use_buf(unsigned int *lenp, void **bufp)
{
	int avail = pvring_cons_avail(&host.ask);
	struct bench_answer answer = {};
	struct bench_ask ask;

	if (avail <= 0) {
		if (avail)
			broken();
		if (host.pending) {
			host_publish();
			if (do_sleep)
				call_used();
		}
		return false;
	}
	pvring_cons_read(&host.ask, 0, &ask, sizeof(ask));
	pvring_cons_advance(&host.ask, 1);
	*lenp = le32_to_cpu(ask.len);
	*bufp = (void *)(unsigned long)le64_to_cpu(ask.addr);
	answer.id = ask.id;
#ifdef BENCH_H2G
	if (le16_to_cpu(ask.id) > host.ask.mask || ask.reserved)
		broken();
	answer.len = ask.len;
	answer.hdr.num_buffers = cpu_to_le16(1);
#else
	if (le16_to_cpu(ask.hdr.num_buffers) != 1 || ask.flags)
		broken();
#endif
	write_answer(&host.answer, host.pending++, &answer);
	host.left--;
	/* After the last buffer ringtest does not call again. */
	if (host.pending == BUDGET || !host.left)
		host_publish();
	return true;
}

void call_used(void)
{
	if (pvring_prod_must_ring(&host.answer))
		call();
}
