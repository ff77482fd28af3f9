// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: frames to the guest
 *
 * A frame is copied into the guest's buffers in the context of its sender, and
 * its skb is free at once. Without buffers the transmit queue stops, and the
 * guest is asked to ring when it has posted some.
 */
#include <linux/irqflags.h>
#include <linux/percpu.h>

#include "pveth_host.h"

/**
 * struct pvh_unrung - doorbells that a CPU is to ring when its poll is over
 * @polling: it polls: frames that it forwards are announced later
 * @queues: whom to ring, by &pvh_queue.unrung. Used by this CPU only, with BHs
 *	disabled and interrupts enabled.
 */
struct pvh_unrung {
	bool polling;
	struct list_head queues;
};

static DEFINE_PER_CPU(struct pvh_unrung, pvh_unrung);

static struct netdev_queue *pvh_txq(const struct pvh_queue *q)
{
	return netdev_get_tx_queue(q->port->netdev, q->index);
}

static u32 pvh_h2g_offloads(const struct pvh_queue *q)
{
	return pveth_h2g_offloads(q->port->features);
}

/* Buffers of the longest frame there can be */
static u32 pvh_frame_bufs(const struct pvh_queue *q)
{
	u32 mtu = READ_ONCE(q->port->netdev->mtu);

	return DIV_ROUND_UP(pveth_longest_frame(pvh_h2g_offloads(q), mtu),
			    PVETH_MIN_BUF_SIZE);
}

/**
 * pvh_h2g_init() - make the ring to the guest ready for a session
 * @q: the queue pair, its rings mapped
 * @size: entries of the rings
 */
void pvh_h2g_init(struct pvh_queue *q, u32 size)
{
	struct netdev_queue *txq = pvh_txq(q);

	__netif_tx_lock_bh(txq);
	pvring_cons_init(&q->h2g_post, q->rings[PVH_RING_H2G_POST], size, 0);
	pvring_prod_init(&q->h2g, q->rings[PVH_RING_H2G], size, 0);
	q->h2g_pending = 0;
	q->stalled = false;
	q->running = true;
	__netif_tx_unlock_bh(txq);
}

/**
 * pvh_h2g_uninit() - let go of the ring to the guest
 * @q: the queue pair
 *
 * What is queued, or comes later, is dropped. No sender uses the guest's memory
 * any more when it returns.
 */
void pvh_h2g_uninit(struct pvh_queue *q)
{
	struct netdev_queue *txq = pvh_txq(q);

	__netif_tx_lock_bh(txq);
	q->running = false;
	netif_tx_wake_queue(txq);
	__netif_tx_unlock_bh(txq);
}

static enum pveth_error pvh_h2g_check(const struct pvh_queue *q,
				      const struct pveth_buf *buf)
{
	u32 len = le32_to_cpu(buf->len);

	if (buf->reserved)
		return PVETH_ERR_RESERVED;
	if (len < PVETH_MIN_BUF_SIZE)
		return PVETH_ERR_DESC_LEN;
	if (!pvh_memory_find(q->memory, le64_to_cpu(buf->addr), len))
		return PVETH_ERR_DESC_ADDR;
	if (le16_to_cpu(buf->id) > q->h2g.mask)
		return PVETH_ERR_DESC_ID;
	return PVETH_ERR_NONE;
}

/* Copy as many buffers as a frame needs, and check them. Returns how many, zero
 * if the guest has not posted enough, or a negative error if it broke the
 * protocol.
 */
static int pvh_h2g_gather(struct pvh_queue *q, u32 frame_len)
{
	int avail = pvring_cons_avail(&q->h2g_post);
	struct pveth_buf *buf = q->bufs;
	enum pveth_error error;
	u64 room = 0;
	int n;

	for (n = 0; room < frame_len; n++, buf++) {
		if (n == avail)
			avail = pvring_cons_refresh(&q->h2g_post);
		if (avail < 0) {
			pvh_session_break(q->port, PVETH_ERR_INDEX);
			return avail;
		}
		if (n == avail)
			return 0;
		pvring_cons_read(&q->h2g_post, n, buf, sizeof(*buf));
		error = pvh_h2g_check(q, buf);
		if (error) {
			pvh_session_break(q->port, error);
			return -EPROTO;
		}
		room += le32_to_cpu(buf->len);
	}
	return n;
}

/* Copy a piece of a frame into a buffer. */
static void pvh_h2g_copy(const struct pvh_queue *q, const struct sk_buff *skb,
			 u32 offset, u64 addr, u32 len)
{
	u32 piece;
	void *to;

	for (; len; len -= piece, addr += piece, offset += piece) {
		piece = len;
		to = pvh_memory_at(q->memory, addr, &piece);
		/* Cannot fail within the length of the skb. */
		skb_copy_bits(skb, offset, to, piece);
	}
}

/* Copy a frame into the buffers that were gathered. The first descriptor is
 * @desc but for what the buffers make.
 */
static void pvh_h2g_write(struct pvh_queue *q, const struct sk_buff *skb,
			  struct pveth_desc desc, u32 bufs)
{
	u32 i, len, offset = 0;

	pveth_desc_set_count(&desc, bufs);
	for (i = 0; i < bufs; i++) {
		const struct pveth_buf *buf = &q->bufs[i];

		len = min_t(u32, skb->len - offset, le32_to_cpu(buf->len));
		pvh_h2g_copy(q, skb, offset, le64_to_cpu(buf->addr), len);
		desc.len = cpu_to_le32(len);
		desc.id = buf->id;
		pvring_prod_write_desc(&q->h2g, q->h2g_pending++, &desc);
		desc = (struct pveth_desc) {};
		offset += len;
	}
	pvring_cons_advance(&q->h2g_post, bufs);
}

/* Announce what was handed over. */
static void pvh_h2g_ring(struct pvh_queue *q)
{
	if (pvring_prod_must_ring(&q->h2g)) {
		pvh_ring_doorbell(q->call);
		atomic64_inc(&q->calls);
	}
}

/* Hand over what was written. */
static void pvh_h2g_publish(struct pvh_queue *q)
{
	struct pvh_unrung *unrung = this_cpu_ptr(&pvh_unrung);

	if (!q->h2g_pending)
		return;
	pvring_prod_publish(&q->h2g, q->h2g_pending);
	q->h2g_pending = 0;
	/* netpoll may interrupt a poll, and with PREEMPT_RT anybody. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || !unrung->polling ||
	    irqs_disabled())
		pvh_h2g_ring(q);
	else if (list_empty(&q->unrung))
		list_add(&q->unrung, &unrung->queues);
}

/**
 * pvh_h2g_poll_begins() - from now on, this CPU hands frames over to guests
 *	without ringing
 *
 * A poll may forward many frames to a guest, one at a time.
 *
 * Context: NAPI, until pvh_h2g_poll_ends().
 */
void pvh_h2g_poll_begins(void)
{
	this_cpu_write(pvh_unrung.polling, true);
}

/**
 * pvh_h2g_poll_ends() - ring whoever got frames since pvh_h2g_poll_begins()
 *
 * Context: NAPI.
 */
void pvh_h2g_poll_ends(void)
{
	struct pvh_unrung *unrung = this_cpu_ptr(&pvh_unrung);
	struct netdev_queue *txq;
	struct pvh_queue *q;

	unrung->polling = false;
	while (!list_empty(&unrung->queues)) {
		q = list_first_entry(&unrung->queues, struct pvh_queue, unrung);
		txq = pvh_txq(q);
		__netif_tx_lock(txq, smp_processor_id());
		list_del_init(&q->unrung);
		if (q->running)
			pvh_h2g_ring(q);
		__netif_tx_unlock(txq);
	}
}

/**
 * pvh_h2g_module_init() - before there are ports
 *
 * Context: Process context.
 */
void pvh_h2g_module_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_LIST_HEAD(&per_cpu_ptr(&pvh_unrung, cpu)->queues);
}

/* Has the guest posted so many buffers? If its index is impossible, the next
 * frame finds out.
 */
static bool pvh_h2g_room(struct pvh_queue *q, u32 bufs)
{
	int avail = pvring_cons_avail(&q->h2g_post);

	if (avail >= 0 && avail < bufs)
		avail = pvring_cons_refresh(&q->h2g_post);
	return avail < 0 || avail >= bufs;
}

/* Stop the transmit queue until there are so many buffers, unless there are
 * already.
 */
static void pvh_h2g_stop(struct pvh_queue *q, u32 bufs)
{
	/* A guest that does everything else but post is no better. */
	if (!netif_tx_queue_stopped(pvh_txq(q)))
		mod_timer(&q->stall, jiffies + PVH_STALL_TIMEOUT);
	netif_tx_stop_queue(pvh_txq(q));
	if (!pvring_cons_arm(&q->h2g_post, bufs - 1))
		return;
	if (pvh_h2g_room(q, bufs))
		netif_tx_start_queue(pvh_txq(q));
	else
		napi_schedule(&q->napi);	/* which tries again */
}

static bool pvh_h2g_length_ok(const struct sk_buff *skb, u32 mtu)
{
	u32 offloads = skb_is_gso(skb) ? PVETH_OFFLOAD_GSO : 0;

	return skb->len >= ETH_HLEN &&
	       skb->len <= pveth_longest_frame(offloads, mtu);
}

netdev_tx_t pvh_start_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct pvh_port *port = netdev_priv(netdev);
	struct pvh_queue *q = &port->queues[skb_get_queue_mapping(skb)];
	struct netdev_queue *txq = pvh_txq(q);
	bool more = netdev_xmit_more();
	struct pveth_desc desc = {};
	u32 len = skb->len;
	u32 reserve;
	int bufs;

	if (!q->running || !pvh_h2g_length_ok(skb, READ_ONCE(netdev->mtu)))
		goto drop;
	if (q->stalled && !pvh_h2g_room(q, pvh_frame_bufs(q)))
		goto drop;
	q->stalled = false;

	bufs = pvh_h2g_gather(q, len);
	if (bufs <= 0)
		goto drop;
	if (pveth_desc_describe(&desc, skb, pvh_h2g_offloads(q), true))
		goto drop;

	pvh_h2g_write(q, skb, desc, bufs);
	skb_tx_timestamp(skb);
	dev_consume_skb_any(skb);
	pveth_stats_carried(&q->h2g_stats, 1, len);

	reserve = pvh_frame_bufs(q);
	if (!pvh_h2g_room(q, reserve)) {
		pvh_h2g_publish(q);
		pvh_h2g_stop(q, reserve);
	} else if (!more || netif_tx_queue_stopped(txq)) {
		pvh_h2g_publish(q);
	}
	return NETDEV_TX_OK;

drop:
	pveth_stats_dropped(&q->h2g_stats);
	dev_kfree_skb_any(skb);
	if (q->running && !more)
		pvh_h2g_publish(q);
	return NETDEV_TX_OK;
}

/* The guest takes no frames: let them come, and be dropped, so that senders do
 * not wait for it. It gets frames again as soon as it has buffers. This is not
 * left to the kernel's watchdog, which holds a stopped queue for a broken driver
 * and warns of it: a guest may be slow, or paused, without the host's log.
 */
void pvh_h2g_stalled(struct timer_list *timer)
{
	struct pvh_queue *q = container_of(timer, struct pvh_queue, stall);
	struct netdev_queue *txq = pvh_txq(q);

	__netif_tx_lock(txq, smp_processor_id());
	if (netif_tx_queue_stopped(txq)) {
		q->stalled = true;
		netif_tx_wake_queue(txq);
	}
	__netif_tx_unlock(txq);
}

/**
 * pvh_h2g_wake() - wake the transmit queue if it is stopped and has room again
 * @q: the queue pair
 * @budget: NAPI's; zero from netpoll, which may hold the queue's lock already
 *
 * Context: NAPI.
 */
void pvh_h2g_wake(struct pvh_queue *q, int budget)
{
	struct netdev_queue *txq = pvh_txq(q);
	u32 bufs;

	if (!netif_tx_queue_stopped(txq))
		return;

	if (budget)
		__netif_tx_lock(txq, smp_processor_id());
	else if (!__netif_tx_trylock(txq))
		return;
	bufs = pvh_frame_bufs(q);
	if (q->running && netif_tx_queue_stopped(txq)) {
		if (pvh_h2g_room(q, bufs))
			netif_tx_wake_queue(txq);
		else
			pvh_h2g_stop(q, bufs);
		/* pvh_h2g_stop() may have found room, and started it. */
		if (!netif_tx_queue_stopped(txq))
			netif_schedule_queue(txq);
	}
	__netif_tx_unlock(txq);
}
