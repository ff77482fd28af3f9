// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: the handshake with the host
 *
 * The state machine is that of <linux/pveth.h>; hypervisor-side/session.c is
 * the other half, with the same functions in the same order. Every change, of
 * the host's word or of our own wishes, leads to pvg_session_update().
 */
#include "pveth.h"

/* Look at the words now. The work sleeps with the machine, as the host may. */
static void pvg_session_schedule(struct pvg_dev *pvg)
{
	mod_delayed_work(system_freezable_wq, &pvg->session.work, 0);
}

/* Look again after a while, unless the host has rung meanwhile. */
static void pvg_session_retry(struct pvg_dev *pvg, unsigned long delay)
{
	queue_delayed_work(system_freezable_wq, &pvg->session.work, delay);
}

static void pvg_session_set_word(struct pvg_dev *pvg, u32 gen, u32 state)
{
	pvg->session.word = pveth_session_word(gen, state);
	/* To the acquire in the host's pvh_session_update() */
	virt_store_release(&pvg_guest_page(pvg)->session,
			   cpu_to_le32(pvg->session.word));
	pvg_ring_doorbell(pvg, PVETH_VECTOR_SESSION);
}

static u32 pvg_host_word(const struct pvg_dev *pvg)
{
	/* To the release in the host's pvh_session_set_word() */
	return le32_to_cpu(virt_load_acquire(&pvg_host_page(pvg)->session));
}

static u32 pvg_session_gen(const struct pvg_dev *pvg)
{
	return pveth_session_gen(pvg->session.word);
}

/* What a queue pair takes of the window */
static u64 pvg_queue_bytes(u32 g2h_size, u32 h2g_size)
{
	return pvring_bytes(g2h_size, sizeof(struct pveth_desc)) +
	       pvring_bytes(g2h_size, sizeof(struct pveth_done)) +
	       pvring_bytes(h2g_size, sizeof(struct pveth_buf)) +
	       pvring_bytes(h2g_size, sizeof(struct pveth_desc)) +
	       ((u64)g2h_size + h2g_size + 1) * PVG_SLOT_SIZE;
}

static bool pvg_fits(const struct pvg_dev *pvg, u32 queue_pairs, u32 g2h_size,
		     u32 h2g_size)
{
	return pvg_queue_bytes(g2h_size, h2g_size) * queue_pairs <=
	       pvg->window_size - PVETH_MEMORY_OFFSET;
}

static bool pvg_pairs_fit(const struct pvg_dev *pvg, u32 queue_pairs)
{
	return pvg_fits(pvg, queue_pairs, pvg->g2h_size, pvg->h2g_size);
}

/**
 * pvg_session_max_ring_size() - how large the rings can be
 * @pvg: the device
 *
 * Return: the largest size that all rings can have at once in this window, or
 * zero if it is too small for any.
 */
u32 pvg_session_max_ring_size(const struct pvg_dev *pvg)
{
	u32 size = PVETH_MAX_RING_SIZE;

	while (size >= PVETH_MIN_RING_SIZE &&
	       !pvg_fits(pvg, pvg->used_pairs, size, size))
		size /= 2;
	return size >= PVETH_MIN_RING_SIZE ? size : 0;
}

/**
 * pvg_session_max_pairs() - how many queue pairs there can be
 * @pvg: the device
 *
 * Return: queue pairs that the host offers and that have vectors, whether or
 * not the window has room for them.
 */
u32 pvg_session_max_pairs(const struct pvg_dev *pvg)
{
	return min_t(u32, READ_ONCE(pvg->offered_pairs), pvg->queue_pairs);
}

/* How many to use: what is wanted, as far as host, vectors and window allow */
static u32 pvg_session_pairs(const struct pvg_dev *pvg)
{
	u32 pairs = min(pvg->wanted_pairs, pvg_session_max_pairs(pvg));

	while (pairs > 1 && !pvg_pairs_fit(pvg, pairs))
		pairs--;
	return pairs;
}

static void pvg_queue_uninit(struct pvg_queue *q)
{
	pvg_h2g_uninit(q);
	pvg_g2h_uninit(q);
	pvg_memory_uninit(q);
}

static void pvg_queues_uninit(struct pvg_dev *pvg, u32 queue_pairs)
{
	while (queue_pairs--)
		pvg_queue_uninit(&pvg->queues[queue_pairs]);
	pvg_checks_uninit(pvg);
}

/* The host does not let go of our memory, so that nobody else may have it: of that of frames
 * to the host that it has not answered, or, if @all, of any.
 */
static void pvg_queues_abandon(struct pvg_dev *pvg, bool all)
{
	struct pvg_queue *q;
	u32 i;

	netdev_err(pvg->netdev,
		   "the host still uses our memory, which is lost therefore\n");
	for (i = 0; i < pvg->used_pairs; i++) {
		q = &pvg->queues[i];
		pvg_g2h_reap(q);
		if (all) {
			pvg->lost += pvg_h2g_abandon(q);
		} else if (!q->frames_out) {
			pvg_queue_uninit(q);
			continue;
		} else {
			pvg_h2g_uninit(q);
			page_pool_destroy(q->pool);
			q->pool = NULL;
		}
		pvg->lost += pvg_g2h_abandon(q);
	}
	/* What is lost is not freed, but nothing says any more where it is. */
	if (all)
		memset(pvg->checks, 0, sizeof(pvg->checks));
	pvg_checks_uninit(pvg);
	if (pvg->lost > PVG_MAX_LOST && pvg->can_be_direct) {
		netdev_err(pvg->netdev, "no direct mode with such a host\n");
		pvg->can_be_direct = false;
	}
}

/* Make the queues for a new session. */
static int pvg_queues_init(struct pvg_dev *pvg)
{
	struct pveth_guest_page *page = pvg_guest_page(pvg);
	u64 offset = PVETH_MEMORY_OFFSET;
	struct pveth_queue_pair pair;
	struct pvg_queue *q;
	int err;
	u32 i;

	for (i = 0; i < pvg->used_pairs; i++) {
		q = &pvg->queues[i];
		err = pvg_memory_init(q, &offset, &pair);
		if (err)
			goto err_uninit;
		err = pvg_g2h_init(q);
		if (err)
			goto err_memory;
		err = pvg_h2g_init(q);
		if (err)
			goto err_g2h;
		memcpy(&page->queue[i], &pair, sizeof(pair));
	}
	if (!pvg_is_direct(pvg))
		return 0;
	err = pvg_checks_init(pvg, page);
	if (err)
		goto err_uninit;
	return 0;

err_g2h:
	pvg_g2h_uninit(q);
err_memory:
	pvg_memory_uninit(q);
err_uninit:
	pvg_queues_uninit(pvg, i);
	return err;
}

/* What we accept of what the host offers */
static u64 pvg_session_features(const struct pvg_dev *pvg, u64 offered)
{
	u32 g2h = pveth_g2h_offloads(offered);
	u32 h2g = pveth_h2g_offloads(offered) & pvg->h2g_wanted;
	u64 direct = pvg->can_be_direct ? PVETH_FEATURE(PVETH_F_DIRECT) : 0;

	return pveth_features(pveth_sound_offloads(g2h),
			      pveth_sound_offloads(h2g)) | (offered & direct);
}

/* The host has agreed: start the queues. */
static void pvg_session_run(struct pvg_dev *pvg)
{
	u32 i;

	for (i = 0; i < pvg->used_pairs; i++)
		napi_enable(&pvg->queues[i].napi);
	/* The idle ones too: their qdiscs may hold what came while there was no session,
	 * since a carrier that is back soon is not noticed.
	 */
	netif_tx_wake_all_queues(pvg->netdev);
	for (i = 0; i < pvg->used_pairs; i++) {
		struct pvg_queue *q = &pvg->queues[i];

		/* For what the host sent before NAPI was there to see it */
		local_bh_disable();
		napi_schedule(&q->napi);
		local_bh_enable();
	}
	pvg->session.state = PVG_SESSION_RUNNING;
	pvg->session.retry_at = jiffies + PVG_FOLLOW_INTERVAL;
	pvg->session.refusal = PVETH_ERR_NONE;
}

/* Wait until the host is not in this state, with our session's generation, any
 * more. Returns false if it stays there.
 */
static bool pvg_session_leaves(struct pvg_dev *pvg, u32 state)
{
	struct pvg_session *s = &pvg->session;
	u32 word = pveth_session_word(s->host_gen, state);

	return wait_event_timeout(s->wait, pvg_host_word(pvg) != word,
				  PVG_RELEASE_TIMEOUT);
}

/* Does the host leave our memory alone, now that we want no session? One that is
 * slow to answer may still go from READY to CONNECTED, and never the other way. What
 * it says of frames that it keeps is about the last session that it had.
 */
static bool pvg_host_let_go(struct pvg_dev *pvg)
{
	return pvg_session_leaves(pvg, PVETH_HOST_READY) &&
	       pvg_session_leaves(pvg, PVETH_HOST_CONNECTED);
}

static bool pvg_host_keeps_frames(const struct pvg_dev *pvg)
{
	return pvg->session.state == PVG_SESSION_RUNNING &&
	       READ_ONCE(pvg_host_page(pvg)->lent);
}

/* Stop the queues, if they run, and tell the host. */
static void pvg_session_end(struct pvg_dev *pvg, u32 state, u32 error)
{
	struct pvg_session *s = &pvg->session;
	u32 i;

	if (s->state == PVG_SESSION_RUNNING) {
		netif_carrier_off(pvg->netdev);
		for (i = 0; i < pvg->used_pairs; i++)
			napi_disable(&pvg->queues[i].napi);
		/* A poll arms the event index after it is complete. */
		synchronize_net();
		netif_tx_disable(pvg->netdev);
		/* It may ask for a new session, which nobody may once we are gone. */
		for (i = 0; i < pvg->used_pairs; i++)
			timer_delete_sync(&pvg->queues[i].stall);
	}
	/* A host that is about to answer would not notice that we changed our
	 * mind before it did.
	 */
	if (s->state == PVG_SESSION_CONNECTING && pvg_is_direct(pvg))
		pvg_session_leaves(pvg, PVETH_HOST_READY);
	WRITE_ONCE(pvg_guest_page(pvg)->error, cpu_to_le32(error));
	pvg_session_set_word(pvg, pvg_session_gen(pvg), state);
	if (s->state == PVG_SESSION_RUNNING ||
	    s->state == PVG_SESSION_CONNECTING) {
		if (!pvg_is_direct(pvg))
			pvg_queues_uninit(pvg, pvg->used_pairs);
		else if (!pvg_host_let_go(pvg))
			pvg_queues_abandon(pvg, true);
		else if (pvg_host_keeps_frames(pvg))
			pvg_queues_abandon(pvg, false);
		else
			pvg_queues_uninit(pvg, pvg->used_pairs);
		/* No completion is to come for what BQL has counted. */
		for (i = 0; i < pvg->used_pairs; i++)
			netdev_tx_reset_queue(netdev_get_tx_queue(pvg->netdev,
								  i));
	}
	s->state = state == PVETH_GUEST_ERROR ? PVG_SESSION_FAILED :
						PVG_SESSION_IDLE;
}

/* The host is to blame. */
static void pvg_session_fail(struct pvg_dev *pvg, u32 error)
{
	if (net_ratelimit())
		netdev_err(pvg->netdev,
			   "the host broke the protocol (error %u): link down until it starts anew\n",
			   error);
	pvg_session_end(pvg, PVETH_GUEST_ERROR, error);
}

/* Look at what the host offers in this generation. Returns false if there can
 * be no session yet.
 */
static bool pvg_session_read_offer(struct pvg_dev *pvg)
{
	const struct pveth_host_page *page = pvg_host_page(pvg);
	u64 offered = le64_to_cpu(READ_ONCE(page->features));
	u32 pairs = le16_to_cpu(READ_ONCE(page->max_queue_pairs));

	if (!pairs || pairs > PVETH_MAX_QUEUE_PAIRS) {
		pvg_session_fail(pvg, PVETH_ERR_QUEUES);
		return false;
	}
	WRITE_ONCE(pvg->offered, offered);
	WRITE_ONCE(pvg->offered_pairs, pairs);
	/* The stack must know first how many there are, which takes RTNL. */
	if (pvg_session_pairs(pvg) != pvg->used_pairs) {
		pvg_netdev_follow_soon(pvg);
		return false;
	}
	return true;
}

/* Ask the host for a session. */
static void pvg_session_begin(struct pvg_dev *pvg, u32 host_gen)
{
	struct pveth_guest_page *page = pvg_guest_page(pvg);
	struct pvg_session *s = &pvg->session;
	u64 offered;

	/* Nobody transmits while the queues are made, whoever woke them */
	netif_tx_disable(pvg->netdev);

	s->retry_at = jiffies + PVG_RETRY_INTERVAL;
	pvg_session_retry(pvg, PVG_RETRY_INTERVAL);

	s->host_gen = host_gen;
	if (!pvg_session_read_offer(pvg))
		return;
	offered = pvg->offered;
	WRITE_ONCE(pvg->features, pvg_session_features(pvg, offered));
	if (pvg_queues_init(pvg)) {
		netdev_warn_once(pvg->netdev, "no memory for a session\n");
		return;
	}

	atomic_set(&s->violation, PVETH_ERR_NONE);
	atomic_set(&s->restart, 0);
	WRITE_ONCE(page->host_gen, cpu_to_le32(host_gen));
	WRITE_ONCE(page->features, cpu_to_le64(pvg->features));
	WRITE_ONCE(page->queue_pairs, cpu_to_le16(pvg->used_pairs));
	s->state = PVG_SESSION_CONNECTING;
	pvg_session_set_word(pvg, pveth_session_next_gen(pvg_session_gen(pvg)),
			     PVETH_GUEST_CONNECT);
}

/* Is the session that we asked for the one that the host's word is about? */
static bool pvg_session_answered(const struct pvg_dev *pvg, u32 host)
{
	const struct pvg_session *s = &pvg->session;

	return pveth_session_gen(host) == s->host_gen &&
	       le32_to_cpu(READ_ONCE(pvg_host_page(pvg)->peer)) == s->word;
}

/* A request or a session: does it go on? */
static void pvg_session_check(struct pvg_dev *pvg, u32 host)
{
	struct pvg_session *s = &pvg->session;
	u32 error;

	error = atomic_read(&s->violation);
	if (error) {
		pvg_session_fail(pvg, error);
		return;
	}

	if (atomic_xchg(&s->restart, 0)) {
		pvg_session_end(pvg, PVETH_GUEST_DOWN, PVETH_ERR_NONE);
		return;
	}

	switch (pveth_session_state(host)) {
	case PVETH_HOST_CONNECTED:
		if (!pvg_session_answered(pvg, host))
			break;
		if (s->state == PVG_SESSION_CONNECTING)
			pvg_session_run(pvg);
		return;
	case PVETH_HOST_READY:
		if (s->state != PVG_SESSION_CONNECTING ||
		    pveth_session_gen(host) != s->host_gen)
			break;
		/* No answer yet. In case the doorbell was lost: */
		if (time_after_eq(jiffies, s->retry_at)) {
			s->retry_at = jiffies + PVG_RETRY_INTERVAL;
			pvg_ring_doorbell(pvg, PVETH_VECTOR_SESSION);
		}
		pvg_session_retry(pvg, PVG_RETRY_INTERVAL);
		return;
	case PVETH_HOST_ERROR:
		if (!pvg_session_answered(pvg, host))
			break;
		error = le32_to_cpu(READ_ONCE(pvg_host_page(pvg)->error));
		if (error != s->refusal && net_ratelimit())
			netdev_err(pvg->netdev, "the host %s (error %u)\n",
				   s->state == PVG_SESSION_RUNNING ?
				   "ended the session" : "refused to connect",
				   error);
		/* We can do without. */
		if (error == PVETH_ERR_MEMORY)
			pvg->can_be_direct = false;
		s->refusal = error;
		s->retry_at = jiffies + PVG_RETRY_INTERVAL;
		break;
	}
	pvg_session_end(pvg, PVETH_GUEST_DOWN, PVETH_ERR_NONE);
}

/* Do what the host's word and our own state ask for. */
static void pvg_session_update(struct pvg_dev *pvg)
{
	struct pveth_host_page *page = pvg_host_page(pvg);
	struct pvg_session *s = &pvg->session;
	unsigned long now = jiffies;
	u32 host, gen;

	host = pvg_host_word(pvg);
	gen = pveth_session_gen(host);

	if (s->state == PVG_SESSION_CLOSED)
		return;
	if (s->state == PVG_SESSION_CONNECTING ||
	    s->state == PVG_SESSION_RUNNING)
		pvg_session_check(pvg, host);

	/* The host counts once for the end of a session, and more when it starts anew,
	 * which it may have done before we found out that the session failed.
	 */
	if (s->state == PVG_SESSION_FAILED && gen != s->host_gen &&
	    gen != pveth_session_next_gen(s->host_gen))
		s->state = PVG_SESSION_IDLE;

	if (s->state == PVG_SESSION_IDLE &&
	    pveth_session_state(host) == PVETH_HOST_READY) {
		/* Not if that is so long ago that it seems to be to come */
		if (s->retry_at - now - 1 < PVG_RETRY_INTERVAL)
			pvg_session_retry(pvg, s->retry_at - now);
		else
			pvg_session_begin(pvg, gen);
	}

	if (s->state == PVG_SESSION_RUNNING) {
		if (le32_to_cpu(READ_ONCE(page->link)) & PVETH_LINK_UP)
			netif_carrier_on(pvg->netdev);
		else
			netif_carrier_off(pvg->netdev);
	}
}

static void pvg_session_work(struct work_struct *work)
{
	struct pvg_session *s = container_of(to_delayed_work(work),
					     struct pvg_session, work);
	struct pvg_dev *pvg = container_of(s, struct pvg_dev, session);

	mutex_lock(&s->lock);
	pvg_session_update(pvg);
	mutex_unlock(&s->lock);
	pvg_netdev_follow(pvg);
}

/**
 * pvg_session_init() - make the session known to the host, as closed
 * @pvg: the device
 *
 * If another driver left a session behind, this ends it.
 */
void pvg_session_init(struct pvg_dev *pvg)
{
	struct pvg_session *s = &pvg->session;
	u32 found;

	mutex_init(&s->lock);
	init_waitqueue_head(&s->wait);
	INIT_DELAYED_WORK(&s->work, pvg_session_work);
	s->retry_at = jiffies;
	found = le32_to_cpu(READ_ONCE(pvg_guest_page(pvg)->session));
	pvg_session_set_word(pvg, pveth_session_next_gen(pveth_session_gen(found)),
			     PVETH_GUEST_DOWN);
}

/**
 * pvg_session_open() - have a session as soon as the host is ready for one
 * @pvg: the device
 *
 * Context: Process context. The carrier tells when the session runs.
 */
void pvg_session_open(struct pvg_dev *pvg)
{
	mutex_lock(&pvg->session.lock);
	pvg->session.state = PVG_SESSION_IDLE;
	pvg_session_update(pvg);
	mutex_unlock(&pvg->session.lock);
}

/**
 * pvg_session_close() - end the session, and have no other
 * @pvg: the device
 *
 * Context: Process context. No queue runs any more when it returns.
 */
void pvg_session_close(struct pvg_dev *pvg)
{
	mutex_lock(&pvg->session.lock);
	pvg_session_end(pvg, PVETH_GUEST_DOWN, PVETH_ERR_NONE);
	pvg->session.state = PVG_SESSION_CLOSED;
	mutex_unlock(&pvg->session.lock);
}

/**
 * pvg_session_notify() - the host rang: look at its words
 * @pvg: the device
 *
 * Context: Any.
 */
void pvg_session_notify(struct pvg_dev *pvg)
{
	wake_up(&pvg->session.wait);
	pvg_session_schedule(pvg);
}

/**
 * pvg_session_restart() - end the session and begin another
 * @pvg: the device
 *
 * Context: Any.
 */
void pvg_session_restart(struct pvg_dev *pvg)
{
	atomic_set(&pvg->session.restart, 1);
	pvg_session_schedule(pvg);
}

/**
 * pvg_session_break() - the host broke the protocol: end the session
 * @pvg: the device
 * @error: what it did
 *
 * The first error of a session is the one that counts.
 *
 * Context: Any.
 */
void pvg_session_break(struct pvg_dev *pvg, enum pveth_error error)
{
	if (!atomic_cmpxchg(&pvg->session.violation, PVETH_ERR_NONE, error))
		pvg_session_schedule(pvg);
}

/* End a session, so that the next one has other parameters. */
static void pvg_session_interrupt(struct pvg_dev *pvg)
{
	lockdep_assert_held(&pvg->session.lock);
	if (pvg->session.state != PVG_SESSION_CLOSED &&
	    pvg->session.state != PVG_SESSION_FAILED)
		pvg_session_end(pvg, PVETH_GUEST_DOWN, PVETH_ERR_NONE);
	pvg->session.retry_at = jiffies;
}

/**
 * pvg_session_resize() - change the sizes of the rings
 * @pvg: the device
 * @g2h_size: entries of each ring to the host
 * @h2g_size: entries of each ring from the host
 *
 * Context: Process context. A session that runs is replaced by another.
 * Return: 0, or -ENOSPC if the window is too small.
 */
int pvg_session_resize(struct pvg_dev *pvg, u32 g2h_size, u32 h2g_size)
{
	if (!pvg_fits(pvg, pvg->used_pairs, g2h_size, h2g_size))
		return -ENOSPC;

	mutex_lock(&pvg->session.lock);
	pvg_session_interrupt(pvg);
	pvg->g2h_size = g2h_size;
	pvg->h2g_size = h2g_size;
	pvg_session_update(pvg);
	mutex_unlock(&pvg->session.lock);
	return 0;
}

static int pvg_session_apply_pairs(struct pvg_dev *pvg)
{
	u32 pairs = pvg_session_pairs(pvg);
	int err;

	ASSERT_RTNL();
	if (pairs == pvg->used_pairs)
		return 0;
	pvg_session_interrupt(pvg);
	err = netif_set_real_num_queues(pvg->netdev, pairs, pairs);
	if (err)
		/* Memory is short: no new attempt at once */
		pvg->session.retry_at = jiffies + PVG_RETRY_INTERVAL;
	else
		WRITE_ONCE(pvg->used_pairs, pairs);
	pvg_session_update(pvg);
	return err;
}

/**
 * pvg_session_follow_pairs() - use as many queue pairs as there can be now
 * @pvg: the device
 *
 * Context: Process context, with RTNL. A session that runs is replaced by
 * another if the number changes.
 */
void pvg_session_follow_pairs(struct pvg_dev *pvg)
{
	mutex_lock(&pvg->session.lock);
	pvg_session_apply_pairs(pvg);
	mutex_unlock(&pvg->session.lock);
}

/**
 * pvg_session_want_pairs() - change how many queue pairs there are to be
 * @pvg: the device
 * @pairs: at most pvg_session_max_pairs()
 *
 * Context: Process context, with RTNL. A session that runs is replaced by
 * another.
 * Return: 0, -ENOSPC if the window is too small, or another error if the stack
 * refused.
 */
int pvg_session_want_pairs(struct pvg_dev *pvg, u32 pairs)
{
	u32 before;
	int err;

	if (!pvg_pairs_fit(pvg, pairs))
		return -ENOSPC;

	mutex_lock(&pvg->session.lock);
	before = pvg->wanted_pairs;
	pvg->wanted_pairs = pairs;
	err = pvg_session_apply_pairs(pvg);
	if (err)
		pvg->wanted_pairs = before;
	mutex_unlock(&pvg->session.lock);
	return err;
}

/**
 * pvg_session_set_wanted() - change what the host may use in frames to us
 * @pvg: the device
 * @h2g_offloads: PVETH_OFFLOAD bits
 *
 * Context: Process context. A session that runs is replaced by another.
 */
void pvg_session_set_wanted(struct pvg_dev *pvg, u32 h2g_offloads)
{
	mutex_lock(&pvg->session.lock);
	if (pvg->h2g_wanted != h2g_offloads) {
		pvg_session_interrupt(pvg);
		pvg->h2g_wanted = h2g_offloads;
		pvg_session_update(pvg);
	}
	mutex_unlock(&pvg->session.lock);
}
