// SPDX-License-Identifier: GPL-2.0
/* A queue pair: what the guest does */
#include "pair.h"

/**
 * struct guest - the guest's side
 * @frames: by ID, which is that of the first slot
 * @free: slots that are free
 * @next_descs: of the next frame to send
 * @items_out: fragments sent
 * @items_in: fragments received
 */
struct guest {
	struct test_side *s;
	struct pair pair;
	struct pvring_prod g2h, h2g_post;
	struct pvring_cons g2h_done, h2g;
	struct frame frames[PVETH_MAX_RING_SIZE];
	u16 free[PVETH_MAX_RING_SIZE];
	bool posted[PVETH_MAX_RING_SIZE];
	u32 frees, next_descs, g2h_pending, h2g_pending;
	u64 sent, completed, received, items_out, items_in;
};

static void guest_send(struct guest *g)
{
	struct frame frame = { .item = g->items_out, .descs = g->next_descs };
	struct pveth_desc desc;
	u32 i;

	for (i = 0; i < frame.descs; i++) {
		frame.slot[i] = pair_pick(g->s, g->free, &g->frees);
		pair_fill(g->s, g->pair.slots + frame.slot[i] * SLOT_WORDS,
			  g->items_out++);
		desc = (struct pveth_desc) {
			.addr = cpu_to_le64(frame.slot[i] * SLOT_SIZE),
			.len = cpu_to_le32(SLOT_SIZE),
		};
		if (!i) {
			frame.id = frame.slot[0];
			desc.id = cpu_to_le16(frame.id);
			desc.hdr.num_buffers = cpu_to_le16(frame.descs);
		}
		desc.hash = cpu_to_le32(frame.item + i);
		pvring_prod_write_desc(&g->g2h, g->g2h_pending++, &desc);
	}
	g->frames[frame.id] = frame;
	g->sent++;
	g->next_descs = 1 + test_random(g->s, MAX_DESCS);
}

static bool guest_can_send(const struct guest *g)
{
	return g->sent < g->s->entries && g->frees >= g->next_descs;
}

static bool guest_transmit(struct guest *g)
{
	u32 burst = 1 + test_random(g->s, 32);
	bool busy = guest_can_send(g);

	while (burst-- && guest_can_send(g))
		guest_send(g);
	pair_publish(g->s, &g->g2h, G2H, &g->g2h_pending);
	return busy;
}

static bool guest_complete(struct guest *g)
{
	u32 avail = pair_avail(g->s, &g->g2h_done);
	struct pveth_done done;
	struct frame *frame;
	u32 i, n;

	for (n = 0; n < avail; n++) {
		pvring_cons_read(&g->g2h_done, 0, &done, sizeof(done));
		pvring_cons_advance(&g->g2h_done, 1);
		test_check(g->s, le16_to_cpu(done.id) < g->pair.size);
		frame = &g->frames[le16_to_cpu(done.id)];
		test_check(g->s, frame->descs);
		for (i = 0; i < frame->descs; i++)
			g->free[g->frees++] = frame->slot[i];
		frame->descs = 0;
		g->completed++;
	}
	test_progress(g->s, avail);
	return avail;
}

static void guest_post(struct guest *g, u32 id)
{
	u32 slot = g->pair.size + id;
	struct pveth_buf buf = {
		.addr = cpu_to_le64(slot * SLOT_SIZE),
		.len = cpu_to_le32(SLOT_SIZE),
		.id = cpu_to_le16(id),
	};

	g->posted[id] = true;
	pvring_prod_write_buf(&g->h2g_post, g->h2g_pending++, &buf);
}

static bool guest_receive(struct guest *g)
{
	u32 avail = pair_avail(g->s, &g->h2g);
	struct pveth_desc desc;
	u32 id, n, left = 0;

	for (n = 0; n < avail; n++) {
		pvring_cons_read(&g->h2g, n, &desc, sizeof(desc));
		id = le16_to_cpu(desc.id);
		test_check(g->s, id < g->pair.size && g->posted[id]);
		test_check(g->s, le32_to_cpu(desc.hash) == (u32)g->items_in);
		if (!left) {
			left = le16_to_cpu(desc.hdr.num_buffers);
			/* A frame is published at once. */
			test_check(g->s, left && left <= avail - n);
			g->received++;
		}
		left--;
		pair_check(g->s, g->pair.slots + (g->pair.size + id) * SLOT_WORDS,
			   H2G_ITEMS + g->items_in++);
		g->posted[id] = false;
		guest_post(g, id);
	}
	pvring_cons_advance(&g->h2g, avail);
	pair_publish(g->s, &g->h2g_post, H2G_POST, &g->h2g_pending);
	test_progress(g->s, avail);
	return avail;
}

/* There is nothing to do: sleep, unless that has just changed. */
static void guest_wait(struct guest *g)
{
	u32 out = g->sent - g->completed;
	bool more = false;

	/* When out of slots, half of the completions will do, say. */
	if (out)
		more |= pair_arm(g->s, &g->g2h_done, G2H_DONE,
				 test_random(g->s, out));
	if (g->received < g->s->entries)
		more |= pair_arm(g->s, &g->h2g, H2G, 0);
	if (!more)
		test_sleep(g->s);
}

void pair_guest(struct test_side *s)
{
	u32 size = s->test->size, start = s->test->start, i;
	static struct guest guest;
	struct guest *g = &guest;
	bool busy;

	g->s = s;
	pair_map(&g->pair, s->test, s->data);
	pvring_prod_init(&g->g2h, g->pair.ring[G2H], size, start);
	pvring_cons_init(&g->g2h_done, g->pair.ring[G2H_DONE], size, start);
	pvring_prod_init(&g->h2g_post, g->pair.ring[H2G_POST], size, start);
	pvring_cons_init(&g->h2g, g->pair.ring[H2G], size, start);
	g->next_descs = 1;
	for (i = 0; i < size; i++) {
		g->free[g->frees++] = i;
		guest_post(g, i);
	}
	pair_publish(s, &g->h2g_post, H2G_POST, &g->h2g_pending);

	while (g->completed < s->entries || g->received < s->entries) {
		busy = guest_complete(g);
		busy |= guest_receive(g);
		/* Now and then do not keep the host awake. */
		if (!busy || test_random(s, 4))
			busy |= guest_transmit(g);
		if (!busy)
			guest_wait(g);
	}
	test_check(s, g->frees == size);
}
