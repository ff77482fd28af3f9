// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: frames from the host
 *
 * Each entry of the ring has a slot of the window as its buffer. Frames are
 * copied out of it, since the host may change what is there at any time, and
 * the slot is posted again at once.
 */
#include <linux/bitmap.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "pveth.h"

static void pvg_h2g_post(struct pvg_queue *q, u32 id)
{
	struct pveth_buf buf = {
		.addr	= cpu_to_le64(q->h2g_addr + (u64)id * PVG_SLOT_SIZE),
		.len	= cpu_to_le32(PVG_SLOT_SIZE),
		.id	= cpu_to_le16(id),
	};

	__set_bit(id, q->posted);
	pvring_prod_write(&q->h2g_post, q->h2g_pending++, &buf, sizeof(buf));
}

static void pvg_h2g_publish(struct pvg_queue *q)
{
	if (!q->h2g_pending)
		return;
	pvring_prod_publish(&q->h2g_post, q->h2g_pending);
	q->h2g_pending = 0;
	if (pvring_prod_must_ring(&q->h2g_post)) {
		pvg_ring_doorbell(q->pvg, PVETH_VECTOR_QUEUE + q->index);
		atomic64_inc(&q->doorbells);
	}
}

/**
 * pvg_h2g_init() - make the ring from the host ready for a session
 * @q: the queue pair
 * @post: address of the ring of buffers
 * @ring: address of the ring of frames
 * @slots: address of as many slots
 *
 * Return: 0 or -ENOMEM.
 */
int pvg_h2g_init(struct pvg_queue *q, u64 post, u64 ring, u64 slots)
{
	u32 size = q->pvg->h2g_size;
	void *window = q->pvg->window;
	u32 id;

	q->posted = bitmap_zalloc(size, GFP_KERNEL);
	if (!q->posted)
		return -ENOMEM;

	pvring_prod_init(&q->h2g_post, window + post, size, 0);
	pvring_cons_init(&q->h2g, window + ring, size, 0);
	q->h2g_pending = 0;
	q->h2g_slots = window + slots;
	q->h2g_addr = slots;

	for (id = 0; id < size; id++)
		pvg_h2g_post(q, id);
	/* The host looks without being rung when it connects. */
	pvring_prod_publish(&q->h2g_post, q->h2g_pending);
	q->h2g_pending = 0;
	return 0;
}

void pvg_h2g_uninit(struct pvg_queue *q)
{
	bitmap_free(q->posted);
	q->posted = NULL;
}

/* Copy a frame's descriptors and check them; take their buffers back. Returns
 * PVETH_ERR_NONE and how long the frame is.
 */
static enum pveth_error pvg_h2g_read(struct pvg_queue *q, u32 avail,
				     u32 *descs, u32 *frame_len)
{
	u32 offloads = pveth_h2g_offloads(q->pvg->features);
	struct pveth_desc *desc = q->descs;
	u32 i, id, len, n;

	pvring_cons_read(&q->h2g, 0, desc, sizeof(*desc));
	n = pveth_desc_count(desc);
	if (!n || n > PVETH_MAX_FRAME_DESCS || n > avail)
		return PVETH_ERR_FRAME;

	*descs = n;
	*frame_len = 0;
	for (i = 0; i < n; i++, desc++) {
		if (i)
			pvring_cons_read(&q->h2g, i, desc, sizeof(*desc));
		if (!(i ? pveth_desc_is_plain(desc) :
			  pveth_desc_is_allowed(desc, offloads, true)))
			return PVETH_ERR_OFFLOAD;
		if (desc->addr || (i && desc->hdr.num_buffers))
			return PVETH_ERR_RESERVED;
		len = le32_to_cpu(desc->len);
		if (!len || len > PVG_SLOT_SIZE)
			return PVETH_ERR_DESC_LEN;
		id = le16_to_cpu(desc->id);
		if (id > q->h2g.mask)
			return PVETH_ERR_DESC_ID;
		id = array_index_nospec(id, q->h2g.mask + 1);
		if (!__test_and_clear_bit(id, q->posted))
			return PVETH_ERR_DESC_ID;
		desc->id = cpu_to_le16(id);
		*frame_len += len;
	}
	return PVETH_ERR_NONE;
}

/* Copy a frame out of its buffers. */
static void pvg_h2g_copy(struct pvg_queue *q, struct sk_buff *skb, u32 descs)
{
	u32 i, id, len, offset = 0;

	for (i = 0; i < descs; i++) {
		id = le16_to_cpu(q->descs[i].id);
		len = le32_to_cpu(q->descs[i].len);
		/* Cannot fail within the length of the skb. */
		skb_store_bits(skb, offset, q->h2g_slots +
			       (size_t)id * PVG_SLOT_SIZE, len);
		offset += len;
	}
}

/* Receive a frame. Returns the number of descriptors that it took, or zero if
 * the host broke the protocol.
 */
static u32 pvg_h2g_frame(struct pvg_queue *q, u32 avail)
{
	struct net_device *netdev = q->pvg->netdev;
	enum pveth_error error;
	struct sk_buff *skb;
	u32 i, descs, len;

	error = pvg_h2g_read(q, avail, &descs, &len);
	if (error) {
		pvg_session_break(q->pvg, error);
		return 0;
	}

	if (len < ETH_HLEN || len > pveth_longest_frame(PVETH_OFFLOADS, 0)) {
		pveth_stats_bad(&q->h2g_stats);
		goto post;
	}
	skb = pveth_alloc_skb(&q->napi, len);
	if (!skb) {
		pveth_stats_dropped(&q->h2g_stats);
		goto post;
	}
	pvg_h2g_copy(q, skb, descs);
	if (unlikely(pveth_skb_follow(skb, q->descs))) {
		pveth_stats_bad(&q->h2g_stats);
		kfree_skb(skb);
		goto post;
	}
	skb_record_rx_queue(skb, q->index);
	skb->protocol = eth_type_trans(skb, netdev);
	pveth_stats_carried(&q->h2g_stats, 1, len);
	napi_gro_receive(&q->napi, skb);
post:
	for (i = 0; i < descs; i++)
		pvg_h2g_post(q, le16_to_cpu(q->descs[i].id));
	return descs;
}

int pvg_poll(struct napi_struct *napi, int budget)
{
	struct pvg_queue *q = container_of(napi, struct pvg_queue, napi);
	bool broken = false;
	int work = 0;
	u32 descs;
	int avail;

	pvg_g2h_wake(q, budget);

	while (work < budget) {
		avail = pvring_cons_avail(&q->h2g);
		if (!avail)
			break;
		if (avail < 0)
			pvg_session_break(q->pvg, PVETH_ERR_INDEX);
		descs = avail < 0 ? 0 : pvg_h2g_frame(q, avail);
		if (!descs) {
			broken = true;
			break;
		}
		pvring_cons_advance(&q->h2g, descs);
		work++;
	}
	pvg_h2g_publish(q);

	if (work < budget && napi_complete_done(napi, work) && !broken &&
	    pvring_cons_arm(&q->h2g, 0))
		napi_schedule(napi);
	return work;
}
