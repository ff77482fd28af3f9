// SPDX-License-Identifier: GPL-2.0
/* A queue pair: what the host does */
#include "pair.h"

/**
 * struct host - the host's side
 * @held: frames that are not yet completed, in no order
 * @buffers: IDs of the buffers that the guest has posted
 */
struct host {
	struct test_side *s;
	struct pair pair;
	struct pvring_cons g2h, h2g_post;
	struct pvring_prod g2h_done, h2g;
	struct frame held[PVETH_MAX_RING_SIZE];
	u16 buffers[PVETH_MAX_RING_SIZE];
	u32 n_held, n_buffers, next_descs, done_pending, h2g_pending;
	u64 received, completed, sent, items_in, items_out;
};

/* Take a frame, out of @avail descriptors. Returns how many it has. */
static u32 host_take(struct host *h, u32 avail)
{
	struct frame *frame = &h->held[h->n_held];
	struct pveth_desc desc;
	u64 addr;
	u32 i;

	test_check(h->s, h->n_held < h->pair.size);
	frame->item = h->items_in;
	frame->descs = 1;
	for (i = 0; i < frame->descs; i++) {
		pvring_cons_read(&h->g2h, i, &desc, sizeof(desc));
		if (!i) {
			frame->id = le16_to_cpu(desc.id);
			frame->descs = le16_to_cpu(desc.hdr.num_buffers);
			/* A frame is published at once. */
			test_check(h->s, frame->descs && frame->descs <= MAX_DESCS &&
				   frame->descs <= avail);
		}
		addr = le64_to_cpu(desc.addr);
		test_check(h->s, addr % SLOT_SIZE == 0);
		test_check(h->s, addr / SLOT_SIZE < h->pair.size);
		test_check(h->s, le32_to_cpu(desc.len) == SLOT_SIZE);
		test_check(h->s, le32_to_cpu(desc.hash) == (u32)h->items_in);
		frame->slot[i] = addr / SLOT_SIZE;
		h->items_in++;
	}
	h->n_held++;
	h->received++;
	return frame->descs;
}

static bool host_receive(struct host *h)
{
	u32 avail = pair_avail(h->s, &h->g2h);
	u32 taken, left = avail;

	while (left) {
		taken = host_take(h, left);
		pvring_cons_advance(&h->g2h, taken);
		left -= taken;
	}
	test_progress(h->s, avail);
	return avail;
}

/* Complete @n of the frames that are held, whichever. */
static bool host_complete(struct host *h, u32 n)
{
	struct pveth_done done = {};
	struct frame *frame;
	bool busy = n;
	u32 i;

	while (n--) {
		frame = &h->held[test_random(h->s, h->n_held)];
		/* Until now the slots are the host's. */
		for (i = 0; i < frame->descs; i++)
			pair_check(h->s, h->pair.slots +
				   frame->slot[i] * SLOT_WORDS, frame->item + i);
		done.id = cpu_to_le16(frame->id);
		pvring_prod_write_done(&h->g2h_done, h->done_pending++, &done);
		*frame = h->held[--h->n_held];
		h->completed++;
	}
	pair_publish(h->s, &h->g2h_done, G2H_DONE, &h->done_pending);
	return busy;
}

static bool host_take_buffers(struct host *h)
{
	u32 avail = pair_avail(h->s, &h->h2g_post);
	struct pveth_buf buf;
	u32 n, id;

	for (n = 0; n < avail; n++) {
		pvring_cons_read(&h->h2g_post, n, &buf, sizeof(buf));
		id = le16_to_cpu(buf.id);
		test_check(h->s, id < h->pair.size && h->n_buffers < h->pair.size);
		test_check(h->s, le64_to_cpu(buf.addr) ==
			   (h->pair.size + id) * SLOT_SIZE);
		h->buffers[h->n_buffers++] = id;
	}
	pvring_cons_advance(&h->h2g_post, avail);
	return avail;
}

static bool host_can_send(const struct host *h)
{
	return h->sent < h->s->entries && h->n_buffers >= h->next_descs;
}

static bool host_transmit(struct host *h)
{
	u32 burst = 1 + test_random(h->s, 32);
	bool busy = host_can_send(h);
	struct pveth_desc desc;
	u32 i, id;

	while (burst-- && host_can_send(h)) {
		for (i = 0; i < h->next_descs; i++) {
			id = pair_pick(h->s, h->buffers, &h->n_buffers);
			pair_fill(h->s, h->pair.slots +
				  (h->pair.size + id) * SLOT_WORDS,
				  H2G_ITEMS + h->items_out);
			desc = (struct pveth_desc) {
				.len = cpu_to_le32(SLOT_SIZE),
				.id = cpu_to_le16(id),
				.hash = cpu_to_le32((u32)h->items_out++),
			};
			if (!i)
				desc.hdr.num_buffers = cpu_to_le16(h->next_descs);
			pvring_prod_write_desc(&h->h2g, h->h2g_pending++, &desc);
		}
		h->sent++;
		h->next_descs = 1 + test_random(h->s, MAX_DESCS);
	}
	pair_publish(h->s, &h->h2g, H2G, &h->h2g_pending);
	return busy;
}

static void host_wait(struct host *h)
{
	bool more = false;

	if (h->received < h->s->entries)
		more |= pair_arm(h->s, &h->g2h, G2H, 0);
	if (h->sent < h->s->entries)
		more |= pair_arm(h->s, &h->h2g_post, H2G_POST, 0);
	if (!more)
		test_sleep(h->s);
}

void pair_host(struct test_side *s)
{
	u32 size = s->test->size, start = s->test->start;
	static struct host host;
	struct host *h = &host;
	bool busy;

	h->s = s;
	pair_map(&h->pair, s->test, s->data);
	pvring_cons_init(&h->g2h, h->pair.ring[G2H], size, start);
	pvring_prod_init(&h->g2h_done, h->pair.ring[G2H_DONE], size, start);
	pvring_cons_init(&h->h2g_post, h->pair.ring[H2G_POST], size, start);
	pvring_prod_init(&h->h2g, h->pair.ring[H2G], size, start);
	h->next_descs = 1;

	while (h->completed < s->entries || h->sent < s->entries) {
		busy = host_receive(h);
		busy |= host_take_buffers(h);
		busy |= host_transmit(h);
		if (h->n_held)
			host_complete(h, test_random(s, h->n_held));
		/* Frames are not held for ever. */
		if (!busy && !host_complete(h, h->n_held))
			host_wait(h);
	}
}
