// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: frames from the guest
 *
 * A frame is copied out of the guest's memory, since the guest may change what is
 * there at any time, and is completed at once. Of large ones in direct mode, only
 * the headers are: see loan.c.
 */
#include "pveth_host.h"

/**
 * pvh_g2h_init() - make the ring from the guest ready for a session
 * @q: the queue pair, its rings mapped
 * @size: entries of the rings
 */
void pvh_g2h_init(struct pvh_queue *q, u32 size)
{
	pvring_cons_init(&q->g2h, q->rings[PVH_RING_G2H], size, 0);
	pvring_prod_init(&q->g2h_done, q->rings[PVH_RING_G2H_DONE], size, 0);
	q->done_pending = 0;
	pvh_loans_init(q);
}

static enum pveth_error pvh_g2h_check(const struct pvh_queue *q,
				      const struct pveth_desc *desc, bool first)
{
	u32 offloads = pveth_g2h_offloads(q->port->features);
	u32 len = le32_to_cpu(desc->len);

	if (!(first ? pveth_desc_is_allowed(desc, offloads, false) :
		      pveth_desc_is_plain(desc)))
		return PVETH_ERR_OFFLOAD;
	if (!len)
		return PVETH_ERR_DESC_LEN;
	if (!pvh_memory_find(q->memory, le64_to_cpu(desc->addr), len))
		return PVETH_ERR_DESC_ADDR;
	if (!first && (desc->id || desc->hdr.num_buffers))
		return PVETH_ERR_RESERVED;
	if (le16_to_cpu(desc->id) > q->g2h.mask)
		return PVETH_ERR_DESC_ID;
	return PVETH_ERR_NONE;
}

/* Copy a frame's descriptors and check them. Returns PVETH_ERR_NONE and how
 * long the frame is.
 */
static enum pveth_error pvh_g2h_read(struct pvh_queue *q, u32 avail,
				     u32 *descs, u64 *frame_len)
{
	struct pveth_desc *desc = q->descs;
	enum pveth_error error;
	u32 i, n;

	pvring_cons_read(&q->g2h, 0, desc, sizeof(*desc));
	n = pveth_desc_count(desc);
	if (!n || n > PVETH_MAX_FRAME_DESCS || n > avail)
		return PVETH_ERR_FRAME;

	*descs = n;
	*frame_len = 0;
	for (i = 0; i < n; i++, desc++) {
		if (i)
			pvring_cons_read(&q->g2h, i, desc, sizeof(*desc));
		error = pvh_g2h_check(q, desc, !i);
		if (error)
			return error;
		*frame_len += le32_to_cpu(desc->len);
	}
	return PVETH_ERR_NONE;
}

/* Copy a frame out of the guest's memory. */
static void pvh_g2h_copy(struct pvh_queue *q, struct sk_buff *skb, u32 descs)
{
	u32 i, len, piece, offset = 0;
	const void *from;
	u64 addr;

	for (i = 0; i < descs; i++) {
		addr = le64_to_cpu(q->descs[i].addr);
		len = le32_to_cpu(q->descs[i].len);
		for (; len; len -= piece, addr += piece, offset += piece) {
			piece = len;
			from = pvh_memory_at(q->memory, addr, &piece);
			/* Cannot fail within the length of the skb. */
			skb_store_bits(skb, offset, from, piece);
		}
	}
}

/**
 * pvh_g2h_complete() - be done with a frame
 * @q: the queue pair
 * @id: &pveth_desc.id of the frame
 * @status: what became of it
 *
 * Context: NAPI. The guest is told at the end of the poll.
 */
void pvh_g2h_complete(struct pvh_queue *q, __le16 id,
		      enum pveth_done_status status)
{
	struct pveth_done done = {
		.id	= id,
		.status	= cpu_to_le16(status),
	};

	pvring_prod_write_done(&q->g2h_done, q->done_pending++, &done);
}

static void pvh_g2h_publish(struct pvh_queue *q)
{
	if (!q->done_pending)
		return;
	pvring_prod_publish(&q->g2h_done, q->done_pending);
	q->done_pending = 0;
	/* The guest waits for all, and is to hear of those that overtake one
	 * that the stack keeps.
	 */
	if (pvring_prod_must_ring(&q->g2h_done) || q->loans_before || q->loans) {
		pvh_ring_doorbell(q->call);
		atomic64_inc(&q->calls);
	}
}

/* Is a frame's length that of a frame? */
static bool pvh_g2h_length_ok(const struct pvh_queue *q, u64 len)
{
	u32 offloads = q->descs[0].hdr.gso_type ? PVETH_OFFLOAD_GSO : 0;
	u32 mtu = READ_ONCE(q->port->netdev->mtu);

	return len >= ETH_HLEN && len <= pveth_longest_frame(offloads, mtu);
}

/* Receive a frame. Returns the number of descriptors that it took, or zero if
 * the guest broke the protocol.
 */
static u32 pvh_g2h_frame(struct pvh_queue *q, u32 avail)
{
	struct net_device *netdev = q->port->netdev;
	enum pveth_error error;
	struct sk_buff *skb;
	u32 descs;
	bool lent;
	u64 len;

	error = pvh_g2h_read(q, avail, &descs, &len);
	if (error) {
		pvh_session_break(q->port, error);
		return 0;
	}

	if (!pvh_g2h_length_ok(q, len))
		goto bad;
	skb = pvh_loan_skb(q, len);
	lent = skb;
	if (!skb) {
		skb = pveth_alloc_skb(&q->napi, len);
		if (!skb) {
			pveth_stats_dropped(&q->g2h_stats);
			pvh_g2h_complete(q, q->descs[0].id, PVETH_DONE_DROPPED);
			return descs;
		}
		pvh_g2h_copy(q, skb, descs);
	}
	if (unlikely(pveth_skb_follow(skb, q->descs))) {
		if (lent) {
			pvh_loan_refuse(skb);
			pveth_stats_bad(&q->g2h_stats);
			return descs;
		}
		kfree_skb(skb);
		goto bad;
	}
	/* It said that it is one, and is too short to be cut. */
	if (lent && unlikely(!skb_is_gso(skb)) &&
	    skb_orphan_frags(skb, GFP_ATOMIC)) {
		pveth_stats_dropped(&q->g2h_stats);
		kfree_skb(skb);
		return descs;
	}
	if (!lent)
		pvh_g2h_complete(q, q->descs[0].id, PVETH_DONE_OK);
	skb_record_rx_queue(skb, q->index);
	skb->protocol = eth_type_trans(skb, netdev);
	skb_reset_network_header(skb);
	pvh_flow_learn(q, skb);
	pveth_stats_carried(&q->g2h_stats, 1, len);
	napi_gro_receive(&q->napi, skb);
	return descs;

bad:
	pveth_stats_bad(&q->g2h_stats);
	pvh_g2h_complete(q, q->descs[0].id, PVETH_DONE_BAD);
	return descs;
}

/**
 * pvh_g2h_schedule() - poll the queue pair, if there is a session
 * @q: the queue pair
 *
 * Context: Any, with interrupts off.
 */
void pvh_g2h_schedule(struct pvh_queue *q)
{
	/* Else nothing is lost: a session begins with a poll. */
	if (!READ_ONCE(q->polled))
		return;
	/* In process context, where the guest rings, a softirq that is raised
	 * with interrupts off may have to wait for the next interrupt.
	 */
	if (test_bit(NAPI_STATE_THREADED, &q->napi.state))
		napi_schedule(&q->napi);
	else
		irq_work_queue(&q->schedule);
}

/**
 * pvh_g2h_kick() - the guest rang: poll the queue pair
 * @q: the queue pair
 *
 * Context: Any, with interrupts off.
 */
void pvh_g2h_kick(struct pvh_queue *q)
{
	atomic64_inc(&q->kicks);
	pvh_g2h_schedule(q);
}

void pvh_g2h_schedule_work(struct irq_work *work)
{
	struct pvh_queue *q = container_of(work, struct pvh_queue, schedule);

	napi_schedule_irqoff(&q->napi);
}

int pvh_poll(struct napi_struct *napi, int budget)
{
	struct pvh_queue *q = container_of(napi, struct pvh_queue, napi);
	bool broken = false;
	int work = 0;
	u32 descs;
	int avail;

	/* To the release in pvh_session_run() */
	if (!smp_load_acquire(&q->polled)) {
		if (budget)
			napi_complete_done(napi, 0);
		return 0;
	}
	/* None of netpoll's, which may interrupt another one */
	if (budget)
		pvh_h2g_poll_begins();
	pvh_loans_collect(q, true);
	q->loans_before = q->loans;
	while (work < budget) {
		avail = pvring_cons_avail(&q->g2h);
		if (!avail)
			break;
		if (avail < 0)
			pvh_session_break(q->port, PVETH_ERR_INDEX);
		descs = avail < 0 ? 0 : pvh_g2h_frame(q, avail);
		if (!descs) {
			broken = true;
			break;
		}
		pvring_cons_advance(&q->g2h, descs);
		work++;
	}
	pvh_g2h_publish(q);
	pvh_h2g_wake(q, budget);

	pveth_moderation_polled(&q->moderation, work);
	pvh_thread_polled(&q->thread, napi, work, work < budget);
	if (work < budget && napi_complete_done(napi, work) && !broken &&
	    pveth_moderation_rest(&q->moderation, &q->g2h))
		napi_schedule(napi);
	/* After what napi_complete_done() has passed on */
	if (budget)
		pvh_h2g_poll_ends();
	return work;
}
