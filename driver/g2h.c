// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: frames to the host
 *
 * A frame is copied into slots, and its skb is free at once. The host's
 * completions give the slots back; they are looked at when slots run short or
 * BQL wants to know, and an interrupt is asked for only when the queue had to
 * stop.
 *
 * In direct mode that is so for small frames. Larger ones stay where they are,
 * take a slot for each piece, to count by, and are free when the host is done
 * with them, which is worth an interrupt if nothing else comes. BQL does not
 * count these: they are on their sockets' account until then, and one that the
 * host's stack keeps is not to hold up others.
 */
#include <linux/dma-mapping.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "pveth.h"

static struct netdev_queue *pvg_txq(const struct pvg_queue *q)
{
	return netdev_get_tx_queue(q->pvg->netdev, q->index);
}

static u32 pvg_g2h_offloads(const struct pvg_queue *q)
{
	return pveth_g2h_offloads(q->pvg->features);
}

/* Slots of the longest frame there can be */
static u32 pvg_frame_slots(const struct pvg_queue *q)
{
	u32 mtu = READ_ONCE(q->pvg->netdev->mtu);

	if (q->mappings)
		return MAX_SKB_FRAGS + 1;
	return DIV_ROUND_UP(pveth_longest_frame(pvg_g2h_offloads(q), mtu),
			    PVG_SLOT_SIZE);
}

/**
 * pvg_g2h_init() - make the ring to the host ready for a session
 * @q: the queue pair, which has its memory
 *
 * Return: 0 or -ENOMEM.
 */
int pvg_g2h_init(struct pvg_queue *q)
{
	u32 size = q->pvg->g2h_size;
	u32 i;

	if (pvg_is_direct(q->pvg)) {
		q->mappings = kvcalloc(size, sizeof(*q->mappings), GFP_KERNEL);
		if (!q->mappings)
			return -ENOMEM;
	}

	q->frames = kvcalloc(size, sizeof(*q->frames), GFP_KERNEL);
	if (!q->frames) {
		kvfree(q->mappings);
		q->mappings = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < size; i++)
		q->frames[i].next = i + 1;

	pvring_prod_init(&q->g2h, q->rings[PVG_RING_G2H], size, 0);
	pvring_cons_init(&q->g2h_done, q->rings[PVG_RING_G2H_DONE], size, 0);
	q->g2h_pending = 0;
	q->mapped_out = 0;
	q->free_slot = 0;
	q->free_slots = size;
	q->frames_out = 0;
	q->answered = false;
	q->rung_again = false;
	return 0;
}

/* The pieces of a frame are in consecutive slots of its chain. */
static void pvg_g2h_unmap(struct pvg_queue *q, u32 slot, u32 count)
{
	struct device *dev = q->pvg->parent;
	const struct pvg_mapping *m;
	u32 i;

	for (i = 0; i < count; i++) {
		m = &q->mappings[slot];
		if (i)
			dma_unmap_page(dev, m->addr, m->len, DMA_TO_DEVICE);
		else
			dma_unmap_single(dev, m->addr, m->len, DMA_TO_DEVICE);
		slot = q->frames[slot].next;
	}
}

/* The host is done with a frame, which may be more than a slot. */
static void pvg_g2h_release(struct pvg_queue *q, u32 id)
{
	struct pvg_mapping *m = &q->mappings[id];

	if (!m->skb)
		return;
	pvg_g2h_unmap(q, id, q->frames[id].slots);
	dev_consume_skb_any(m->skb);
	m->skb = NULL;
	WRITE_ONCE(q->mapped_out, q->mapped_out - 1);
}

/**
 * pvg_g2h_uninit() - the opposite of pvg_g2h_init()
 * @q: the queue pair, which the host does not use any more
 */
void pvg_g2h_uninit(struct pvg_queue *q)
{
	u32 id;

	for (id = 0; q->mappings && id <= q->g2h.mask; id++)
		pvg_g2h_release(q, id);
	kvfree(q->mappings);
	q->mappings = NULL;
	kvfree(q->frames);
	q->frames = NULL;
}

/**
 * pvg_g2h_reap() - take the slots of completed frames back
 * @q: the queue pair
 *
 * Context: With the transmit queue's lock, or when nothing runs.
 * Return: false if the host broke the protocol.
 */
bool pvg_g2h_reap(struct pvg_queue *q)
{
	unsigned int frames = 0, bytes = 0;
	struct pvg_frame *frame;
	struct pveth_done done;
	int avail;
	u32 id;

	avail = pvring_cons_refresh(&q->g2h_done);
	if (avail < 0) {
		pvg_session_break(q->pvg, PVETH_ERR_INDEX);
		return false;
	}
	for (; avail; avail--) {
		pvring_cons_read(&q->g2h_done, 0, &done, sizeof(done));
		pvring_cons_advance(&q->g2h_done, 1);

		id = le16_to_cpu(done.id);
		if (id > q->g2h.mask) {
			pvg_session_break(q->pvg, PVETH_ERR_DESC_ID);
			return false;
		}
		id = array_index_nospec(id, q->g2h.mask + 1);
		frame = &q->frames[id];
		if (!frame->slots) {
			pvg_session_break(q->pvg, PVETH_ERR_DESC_ID);
			return false;
		}
		if (done.reserved) {
			pvg_session_break(q->pvg, PVETH_ERR_RESERVED);
			return false;
		}
		q->answered = true;
		if (le16_to_cpu(done.status) == PVETH_DONE_BAD)
			pveth_stats_bad(&q->g2h_stats);
		else if (le16_to_cpu(done.status) != PVETH_DONE_OK)
			pveth_stats_dropped(&q->g2h_stats);

		if (q->mappings)
			pvg_g2h_release(q, id);
		frames++;
		bytes += frame->queued;
		q->free_slots += frame->slots;
		q->frames_out--;
		frame->slots = 0;
		q->frames[frame->last].next = q->free_slot;
		q->free_slot = id;
	}
	netdev_tx_completed_queue(pvg_txq(q), frames, bytes);
	return true;
}

/**
 * pvg_g2h_abandon() - lose the rings and slots, and the frames that the host has
 * @q: the queue pair, in direct mode, which the host still uses
 *
 * The frames keep nothing of the stack's with them: sockets and others would wait for
 * them for ever. Who waits for pages of its own that it had sent, by MSG_ZEROCOPY, does.
 *
 * Return: how many bytes are lost.
 */
u64 pvg_g2h_abandon(struct pvg_queue *q)
{
	u64 bytes = q->block_bytes;
	struct sk_buff *skb;
	u32 id;

	for (id = 0; id <= q->g2h.mask; id++) {
		skb = q->mappings[id].skb;
		if (!skb)
			continue;
		bytes += skb->truesize;
		skb_orphan(skb);
		nf_reset_ct(skb);
		skb_ext_reset(skb);
		skb_dst_drop(skb);
	}
	kvfree(q->mappings);
	q->mappings = NULL;
	kvfree(q->frames);
	q->frames = NULL;
	q->mapped_out = 0;
	q->block = NULL;
	return bytes;
}

/* The transmit queue is stopped, or sockets wait for their frames: look after a while whether
 * the host does anything.
 */
static void pvg_g2h_watch(struct pvg_queue *q)
{
	if (timer_pending(&q->stall))
		return;
	q->answered = false;
	mod_timer(&q->stall, jiffies + PVG_STALL_TIMEOUT);
}

/* The host completes nothing. A doorbell may have been lost: ring once more. If that does not
 * help, begin a new session, unless there is room for other frames: the host's stack may keep
 * those that it has for as long as it likes. This is not left to the kernel's watchdog, which
 * warns of it as of a broken driver: hosts may be slow, or hostile, without a backtrace in our
 * log.
 */
void pvg_g2h_stalled(struct timer_list *timer)
{
	struct pvg_queue *q = container_of(timer, struct pvg_queue, stall);
	struct netdev_queue *txq = pvg_txq(q);
	struct pvg_dev *pvg = q->pvg;
	bool stopped;

	__netif_tx_lock(txq, smp_processor_id());
	stopped = netif_xmit_stopped(txq);
	if (!q->frames || (!stopped && !q->mapped_out)) {
		q->rung_again = false;
		goto unlock;
	}
	if (q->answered) {
		q->rung_again = false;
	} else if (!stopped || !q->rung_again) {
		q->rung_again = stopped;
		if (stopped)
			atomic64_inc(&q->stalls);
		pvg_ring_doorbell(pvg, PVETH_VECTOR_QUEUE + q->index);
		napi_schedule(&q->napi);
	} else {
		if (net_ratelimit())
			netdev_warn(pvg->netdev,
				    "queue %u: the host does not answer, reconnecting\n",
				    q->index);
		pvg_session_restart(pvg);
		goto unlock;
	}
	pvg_g2h_watch(q);
unlock:
	__netif_tx_unlock(txq);
}

/* Ask for an interrupt: when half of the frames that BQL counts are done, if it
 * stopped the transmit queue, or else when all are, if stack memory is among
 * them.
 */
static void pvg_g2h_listen(struct pvg_queue *q)
{
	/* A host that shows one index to the one who arms, and another to the one who reaps,
	 * is not to keep us here.
	 */
	int tries = 2;
	u32 ahead;

	do {
		if (!tries--) {
			napi_schedule(&q->napi);
			return;
		}
		if (netif_xmit_stopped(pvg_txq(q))) {
			pvg_g2h_watch(q);
			ahead = (q->frames_out - q->mapped_out) / 2;
		} else if (q->mapped_out) {
			pvg_g2h_watch(q);
			ahead = q->frames_out - 1;
		} else {
			return;
		}
	} while (pvring_cons_arm(&q->g2h_done, ahead) && pvg_g2h_reap(q));
}

/* Hand over what was written. */
static void pvg_g2h_publish(struct pvg_queue *q)
{
	if (!q->g2h_pending)
		return;
	pvring_prod_publish(&q->g2h, q->g2h_pending);
	q->g2h_pending = 0;
	if (pvring_prod_must_ring(&q->g2h)) {
		pvg_ring_doorbell(q->pvg, PVETH_VECTOR_QUEUE + q->index);
		atomic64_inc(&q->doorbells);
	}
	pvg_g2h_listen(q);
}

/* Does a frame go to the host where it is? */
static bool pvg_g2h_is_large(const struct pvg_queue *q,
			     const struct sk_buff *skb)
{
	return q->mappings && skb->len > PVG_SMALL_FRAME;
}

/* Slots that a frame takes */
static u32 pvg_g2h_slots_of(const struct pvg_queue *q,
			    const struct sk_buff *skb)
{
	if (pvg_g2h_is_large(q, skb))
		return 1 + skb_shinfo(skb)->nr_frags;
	return DIV_ROUND_UP(skb->len, q->g2h_slot_size);
}

/* Map a frame, with the slots that it is about to take. */
static bool pvg_g2h_map(struct pvg_queue *q, struct sk_buff *skb)
{
	const skb_frag_t *frag = skb_shinfo(skb)->frags;
	struct device *dev = q->pvg->parent;
	u32 slot = q->free_slot;
	struct pvg_mapping *m;
	u32 i;

	for (i = 0; i <= skb_shinfo(skb)->nr_frags; i++) {
		m = &q->mappings[slot];
		if (!i) {
			m->len = skb_headlen(skb);
			m->addr = dma_map_single(dev, skb->data, m->len,
						 DMA_TO_DEVICE);
		} else {
			m->len = skb_frag_size(frag);
			m->addr = skb_frag_dma_map(dev, frag++, 0, m->len,
						   DMA_TO_DEVICE);
		}
		if (dma_mapping_error(dev, m->addr)) {
			pvg_g2h_unmap(q, q->free_slot, i);
			return false;
		}
		slot = q->frames[slot].next;
	}
	q->mappings[q->free_slot].skb = skb;
	WRITE_ONCE(q->mapped_out, q->mapped_out + 1);
	return true;
}

/* Copy a piece of a frame into a slot, or take it as it is mapped. Returns its
 * length.
 */
static u32 pvg_g2h_piece(struct pvg_queue *q, const struct sk_buff *skb,
			 u32 slot, u32 offset, u64 *addr)
{
	const struct pvg_mapping *m;
	size_t start;
	u32 len;

	if (pvg_g2h_is_large(q, skb)) {
		m = &q->mappings[slot];
		*addr = m->addr;
		return m->len;
	}
	start = (size_t)slot * q->g2h_slot_size;
	len = min_t(u32, skb->len - offset, q->g2h_slot_size);
	/* Cannot fail within the length of the skb. */
	skb_copy_bits(skb, offset, q->g2h_slots + start, len);
	*addr = q->g2h_addr + start;
	return len;
}

/* Write the descriptors of a frame, the first of which is @desc but for what
 * the slots make. The caller has seen that
 * there are enough slots; each unanswered descriptor has one, and there are as
 * many as the ring has entries, so that the ring has room as well.
 */
static void pvg_g2h_write(struct pvg_queue *q, const struct sk_buff *skb,
			  struct pveth_desc desc, u32 slots)
{
	struct pvg_frame *head = &q->frames[q->free_slot];
	u32 slot = q->free_slot;
	u32 offset = 0;
	u32 i, len;
	u64 addr;

	desc.id = cpu_to_le16(slot);
	pveth_desc_set_count(&desc, slots);
	for (i = 0; i < slots; i++) {
		slot = q->free_slot;
		len = pvg_g2h_piece(q, skb, slot, offset, &addr);
		desc.addr = cpu_to_le64(addr);
		desc.len = cpu_to_le32(len);
		pvring_prod_write_desc(&q->g2h, q->g2h_pending++, &desc);
		desc = (struct pveth_desc) {};
		offset += len;
		q->free_slot = q->frames[slot].next;
	}
	head->last = slot;
	head->slots = slots;
	head->queued = pvg_g2h_is_large(q, skb) ? 0 : skb->len;
	q->free_slots -= slots;
	q->frames_out++;
}

/* Stop the transmit queue until half of the frames are done, unless there is
 * room already: publishing them may have found them done.
 */
static void pvg_g2h_stop(struct pvg_queue *q, u32 slots)
{
	if (q->free_slots >= slots)
		return;
	netif_tx_stop_queue(pvg_txq(q));
	pvg_g2h_watch(q);
	if (!pvring_cons_arm(&q->g2h_done, q->frames_out / 2))
		return;
	if (!pvg_g2h_reap(q))
		return;
	if (q->free_slots >= slots) {
		netif_tx_start_queue(pvg_txq(q));
		pvg_g2h_listen(q);
	} else {
		napi_schedule(&q->napi);	/* which tries again */
	}
}

netdev_tx_t pvg_start_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	struct pvg_queue *q = &pvg->queues[skb_get_queue_mapping(skb)];
	bool more = netdev_xmit_more();
	struct netdev_queue *txq = pvg_txq(q);
	struct pveth_desc desc = {};
	u32 len = skb->len;
	u32 reserve, slots;
	bool large, ring;

	/* No session: XDP and netpoll ask neither qdisc nor carrier. */
	if (unlikely(!q->frames)) {
		pveth_stats_dropped(&q->g2h_stats);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}

	if (unlikely(len < ETH_HLEN)) {
		pveth_stats_bad(&q->g2h_stats);
		goto drop;
	}

	/* Before the pieces are counted: it may take some together */
	large = pvg_g2h_is_large(q, skb);
	if (unlikely(pveth_desc_describe(&desc, skb, pvg_g2h_offloads(q),
					 false) ||
		     (large && ((skb_has_frag_list(skb) && skb_linearize(skb)) ||
				!skb_headlen(skb))))) {
		pveth_stats_dropped(&q->g2h_stats);
		goto drop;
	}
	slots = pvg_g2h_slots_of(q, skb);
	if (unlikely(slots > PVETH_MAX_FRAME_DESCS)) {
		pveth_stats_bad(&q->g2h_stats);
		goto drop;
	}

	if (q->free_slots < q->g2h.mask / 2 && !pvg_g2h_reap(q))
		goto drop_stop;

	/* Only after the MTU has grown, which pvg_frame_slots() did not know */
	if (unlikely(q->free_slots < slots)) {
		pvg_g2h_publish(q);
		pvg_g2h_stop(q, slots);
		return NETDEV_TX_BUSY;
	}

	if (large && unlikely(!pvg_g2h_map(q, skb))) {
		pveth_stats_dropped(&q->g2h_stats);
		goto drop;
	}
	pvg_g2h_write(q, skb, desc, slots);
	ring = __netdev_tx_sent_queue(txq, large ? 0 : len, more);
	skb_tx_timestamp(skb);
	if (!large)
		dev_consume_skb_any(skb);
	pveth_stats_carried(&q->g2h_stats, 1, len);

	reserve = pvg_frame_slots(q);
	if (q->free_slots < reserve) {
		pvg_g2h_publish(q);
		pvg_g2h_stop(q, reserve);
	} else if (ring) {
		pvg_g2h_publish(q);
	}
	return NETDEV_TX_OK;

drop_stop:
	netif_tx_stop_queue(txq);
	pveth_stats_dropped(&q->g2h_stats);
drop:
	dev_kfree_skb_any(skb);
	if (!more)
		pvg_g2h_publish(q);
	return NETDEV_TX_OK;
}

/**
 * pvg_g2h_wake() - free what the host is done with, if it is the stack's, and
 *	wake the transmit queue if it is stopped and has room again
 * @q: the queue pair
 * @budget: NAPI's; zero from netpoll, which may hold the queue's lock already
 *
 * Context: NAPI.
 */
void pvg_g2h_wake(struct pvg_queue *q, int budget)
{
	struct netdev_queue *txq = pvg_txq(q);
	u32 slots;

	if (!netif_xmit_stopped(txq) && !READ_ONCE(q->mapped_out))
		return;

	if (budget)
		__netif_tx_lock(txq, smp_processor_id());
	else if (!__netif_tx_trylock(txq))
		return;
	slots = pvg_frame_slots(q);
	if (!q->frames || !pvg_g2h_reap(q))
		goto unlock;
	if (netif_tx_queue_stopped(txq)) {
		if (q->free_slots < slots)
			pvg_g2h_stop(q, slots);
		else
			netif_tx_wake_queue(txq);
		/* pvg_g2h_stop() may have found room, and started it. */
		if (!netif_tx_queue_stopped(txq))
			netif_schedule_queue(txq);
	}
	if (!netif_tx_queue_stopped(txq))
		pvg_g2h_listen(q);
unlock:
	__netif_tx_unlock(txq);
}
