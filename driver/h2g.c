// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: frames from the host
 *
 * Each entry of the ring has a buffer. In window mode that is a slot of the
 * window. Frames are copied out of it, since the host may change what is there
 * at any time, and it is posted again at once. In direct mode, where the host
 * has all of our memory, it is a page, and only small frames are copied; large
 * ones take the page along.
 */
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "pveth.h"

/* Address of a buffer in the ABI's sense */
static u64 pvg_h2g_buf_addr(const struct pvg_queue *q, u32 id)
{
	if (q->pages)
		return page_pool_get_dma_addr(q->pages[id]);
	return q->h2g_addr + (u64)id * PVG_SLOT_SIZE;
}

/* The first bytes of a buffer, as the host wrote them */
static const void *pvg_h2g_buf(const struct pvg_queue *q, u32 id, u32 len)
{
	if (!q->pages)
		return q->h2g_slots + (size_t)id * PVG_SLOT_SIZE;
	dma_sync_single_for_cpu(q->pvg->parent, pvg_h2g_buf_addr(q, id), len,
				DMA_FROM_DEVICE);
	return page_address(q->pages[id]);
}

static void pvg_h2g_post(struct pvg_queue *q, u32 id)
{
	struct pveth_buf buf = {
		.addr	= cpu_to_le64(pvg_h2g_buf_addr(q, id)),
		.len	= cpu_to_le32(q->h2g_buf_size),
		.id	= cpu_to_le16(id),
	};

	if (q->pages)
		dma_sync_single_for_device(q->pvg->parent,
					   pvg_h2g_buf_addr(q, id),
					   q->h2g_buf_size, DMA_FROM_DEVICE);

	__set_bit(id, q->posted);
	pvring_prod_write_buf(&q->h2g_post, q->h2g_pending++, &buf);
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

static bool pvg_h2g_alloc_pages(struct pvg_queue *q)
{
	u32 size = q->pvg->h2g_size;
	u32 id;

	q->pages = kvcalloc(size, sizeof(*q->pages), GFP_KERNEL);
	if (!q->pages)
		return false;
	for (id = 0; id < size; id++) {
		q->pages[id] = page_pool_alloc_pages(q->pool, GFP_KERNEL);
		if (!q->pages[id])
			return false;
	}
	return true;
}

/**
 * pvg_h2g_init() - make the ring from the host ready for a session
 * @q: the queue pair, which has its memory
 *
 * Return: 0 or -ENOMEM.
 */
int pvg_h2g_init(struct pvg_queue *q)
{
	u32 size = q->pvg->h2g_size;
	u32 id;

	pvring_prod_init(&q->h2g_post, q->rings[PVG_RING_H2G_POST], size, 0);
	pvring_cons_init(&q->h2g, q->rings[PVG_RING_H2G], size, 0);
	q->h2g_pending = 0;

	q->posted = bitmap_zalloc(size, GFP_KERNEL);
	if (!q->posted)
		return -ENOMEM;
	if (q->pool && !pvg_h2g_alloc_pages(q)) {
		pvg_h2g_uninit(q);
		return -ENOMEM;
	}

	for (id = 0; id < size; id++)
		pvg_h2g_post(q, id);
	/* The host looks without being rung when it connects. */
	pvring_prod_publish(&q->h2g_post, q->h2g_pending);
	q->h2g_pending = 0;
	return 0;
}

/**
 * pvg_h2g_uninit() - the opposite of pvg_h2g_init()
 * @q: the queue pair, which the host does not use any more
 */
void pvg_h2g_uninit(struct pvg_queue *q)
{
	u32 id;

	for (id = 0; q->pages && id <= q->h2g.mask; id++)
		if (q->pages[id])
			page_pool_put_full_page(q->pool, q->pages[id], false);
	kvfree(q->pages);
	q->pages = NULL;
	bitmap_free(q->posted);
	q->posted = NULL;
}

/**
 * pvg_h2g_abandon() - lose the buffers that the host has
 * @q: the queue pair, in direct mode, which the host still uses
 *
 * Return: how many bytes are lost.
 */
u64 pvg_h2g_abandon(struct pvg_queue *q)
{
	kvfree(q->pages);
	q->pages = NULL;
	bitmap_free(q->posted);
	q->posted = NULL;
	q->pool = NULL;
	return (u64)(q->h2g.mask + 1) * PAGE_SIZE;
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
		if (!len || len > q->h2g_buf_size)
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
		skb_store_bits(skb, offset, pvg_h2g_buf(q, id, len), len);
		offset += len;
	}
}

/* Make a frame of the pages that it is in, and put others into their place. */
static struct sk_buff *pvg_h2g_take(struct pvg_queue *q, u32 descs)
{
	struct page *fresh[MAX_SKB_FRAGS];
	u32 i, id, len, header = 0;
	struct sk_buff *skb;
	const void *data;

	for (i = 0; i < descs; i++) {
		fresh[i] = page_pool_dev_alloc_pages(q->pool);
		if (!fresh[i])
			goto err_put;
	}
	skb = napi_alloc_skb(&q->napi, PVETH_HEADER_LEN);
	if (!skb)
		goto err_put;
	skb_mark_for_recycle(skb);

	for (i = 0; i < descs; i++) {
		id = le16_to_cpu(q->descs[i].id);
		len = le32_to_cpu(q->descs[i].len);
		data = pvg_h2g_buf(q, id, len);
		if (!i) {
			header = eth_get_headlen(q->pvg->netdev, data,
						 min_t(u32, len,
						       PVETH_HEADER_LEN));
			skb_put_data(skb, data, header);
		}
		if (!i && header == len) {
			page_pool_recycle_direct(q->pool, fresh[i]);
			continue;
		}
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, q->pages[id],
				i ? 0 : header, i ? len : len - header,
				PAGE_SIZE);
		q->pages[id] = fresh[i];
	}
	return skb;

err_put:
	while (i--)
		page_pool_recycle_direct(q->pool, fresh[i]);
	return NULL;
}

/* Get a frame out of its buffers. */
static struct sk_buff *pvg_h2g_skb(struct pvg_queue *q, u32 descs, u32 len)
{
	struct sk_buff *skb;

	/* A header in pieces is for those that copy. */
	if (q->pages && len > PVETH_LINEAR_LEN && descs <= MAX_SKB_FRAGS &&
	    le32_to_cpu(q->descs[0].len) >= ETH_HLEN)
		return pvg_h2g_take(q, descs);

	skb = pveth_alloc_skb(&q->napi, len);
	if (skb)
		pvg_h2g_copy(q, skb, descs);
	return skb;
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
	skb = pvg_h2g_skb(q, descs, len);
	if (!skb) {
		pveth_stats_dropped(&q->h2g_stats);
		goto post;
	}
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

	pveth_moderation_polled(&q->moderation, work);
	if (work < budget && napi_complete_done(napi, work) && !broken &&
	    pveth_moderation_rest(&q->moderation, &q->h2g))
		napi_schedule(napi);
	return work;
}
