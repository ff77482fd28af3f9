// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: the handshake with the guest
 *
 * The state machine is that of <linux/pveth.h>; driver/session.c is the other
 * half, with the same functions in the same order. Every change, of the guest's
 * word or of our own wishes, leads to pvh_session_update().
 */
#include <linux/slab.h>

#include "pveth_host.h"

/* In a second: a guest that rings and asks without end is not to keep a worker busy, nor
 * whoever hears of it by netlink. A handshake takes a few.
 */
#define PVH_SESSION_PASSES	100

/* Before it is looked at again, if there were that many */
#define PVH_SESSION_PAUSE	(HZ / 10)

static void pvh_session_set_word(struct pvh_port *port, u32 gen, u32 state)
{
	struct pvh_attachment *att = port->att;

	port->session.word = pveth_session_word(gen, state);
	/* To the acquire in the guest's pvg_session_update() */
	virt_store_release(&pvh_host_page(att)->session,
			   cpu_to_le32(port->session.word));
	pvh_ring_doorbell(att->doorbells[PVETH_VECTOR_SESSION].call);
}

static u32 pvh_session_gen(const struct pvh_port *port)
{
	return pveth_session_gen(port->session.word);
}

static u32 pvh_session_link(const struct pvh_port *port)
{
	return port->link_off ? 0 : PVETH_LINK_UP;
}

/**
 * pvh_session_max_pairs() - how many queue pairs a guest may use
 * @port: the port, locked and attached
 *
 * Return: queue pairs that there are doorbells for, and that are offered.
 */
u32 pvh_session_max_pairs(const struct pvh_port *port)
{
	return min_t(u32, port->att->vectors - PVETH_VECTOR_QUEUE,
		     port->offered_pairs);
}

/* A ring as the guest describes it */
struct pvh_ring {
	u64 addr;
	u64 bytes;
};

static enum pveth_error pvh_check_ring(const struct pvh_ring *rings, u32 n,
				       const struct pvh_memory *mem)
{
	const struct pvh_ring *ring = &rings[n];
	u32 i;

	if (!IS_ALIGNED(ring->addr, PVETH_LINE_SIZE) ||
	    !pvh_memory_find(mem, ring->addr, ring->bytes))
		return PVETH_ERR_RING_ADDR;
	for (i = 0; i < n; i++)
		if (ring->addr < rings[i].addr + rings[i].bytes &&
		    rings[i].addr < ring->addr + ring->bytes)
			return PVETH_ERR_RING_ADDR;
	return PVETH_ERR_NONE;
}

static bool pvh_ring_size_ok(u32 size)
{
	return size >= PVETH_MIN_RING_SIZE && size <= PVETH_MAX_RING_SIZE &&
	       !(size & (size - 1));
}

static void pvh_get_rings(const struct pveth_queue_pair *pair,
			  struct pvh_ring *rings)
{
	u32 g2h_size = le32_to_cpu(pair->g2h_size);
	u32 h2g_size = le32_to_cpu(pair->h2g_size);

	rings[PVH_RING_G2H] = (struct pvh_ring) {
		.addr	= le64_to_cpu(pair->g2h),
		.bytes	= pvring_bytes(g2h_size, sizeof(struct pveth_desc)),
	};
	rings[PVH_RING_G2H_DONE] = (struct pvh_ring) {
		.addr	= le64_to_cpu(pair->g2h_done),
		.bytes	= pvring_bytes(g2h_size, sizeof(struct pveth_done)),
	};
	rings[PVH_RING_H2G_POST] = (struct pvh_ring) {
		.addr	= le64_to_cpu(pair->h2g_post),
		.bytes	= pvring_bytes(h2g_size, sizeof(struct pveth_buf)),
	};
	rings[PVH_RING_H2G] = (struct pvh_ring) {
		.addr	= le64_to_cpu(pair->h2g),
		.bytes	= pvring_bytes(h2g_size, sizeof(struct pveth_desc)),
	};
}

static enum pveth_error pvh_check_queue(const struct pveth_queue_pair *pair,
					struct pvh_ring *rings, u32 n,
					const struct pvh_memory *mem)
{
	enum pveth_error error;
	u32 i;

	if (memchr_inv(pair->reserved, 0, sizeof(pair->reserved)))
		return PVETH_ERR_RESERVED;
	if (!pvh_ring_size_ok(le32_to_cpu(pair->g2h_size)) ||
	    !pvh_ring_size_ok(le32_to_cpu(pair->h2g_size)))
		return PVETH_ERR_RING_SIZE;

	pvh_get_rings(pair, &rings[n]);
	for (i = n; i < n + PVETH_RINGS_PER_PAIR; i++) {
		error = pvh_check_ring(rings, i, mem);
		if (error)
			return error;
	}
	return PVETH_ERR_NONE;
}

/* Is the guest's RAM where the region table says? */
static enum pveth_error pvh_check_memory(const struct pvh_memory *mem,
					 const struct pveth_guest_page *page)
{
	u32 i, bytes = sizeof(page->check);
	const __le64 *found;
	u64 addr;

	for (i = 0; i < PVETH_CHECKS; i++) {
		addr = le64_to_cpu(page->check_addr[i]);
		if (!IS_ALIGNED(addr, bytes) ||
		    !pvh_memory_find(mem, addr, bytes))
			return PVETH_ERR_MEMORY;
		found = pvh_memory_at(mem, addr, &bytes);
		if (READ_ONCE(*found) != page->check)
			return PVETH_ERR_MEMORY;
	}
	return PVETH_ERR_NONE;
}

/* What the addresses of a session with these features point into */
static const struct pvh_memory *
pvh_session_memory(const struct pvh_attachment *att, u64 features)
{
	return features & PVETH_FEATURE(PVETH_F_DIRECT) ? &att->direct :
							  &att->window;
}

static bool pvh_features_ok(u64 features, u64 offer)
{
	u32 g2h = pveth_g2h_offloads(features);
	u32 h2g = pveth_h2g_offloads(features);

	return !(features & ~offer) && g2h == pveth_sound_offloads(g2h) &&
	       h2g == pveth_sound_offloads(h2g);
}

/* Is what the guest asks for sound? @page is a private copy. */
static enum pveth_error pvh_check_request(const struct pvh_attachment *att,
					  const struct pveth_guest_page *page)
{
	struct pvh_ring rings[PVETH_MAX_QUEUE_PAIRS * PVETH_RINGS_PER_PAIR];
	u32 queue_pairs = le16_to_cpu(page->queue_pairs);
	u64 features = le64_to_cpu(page->features);
	const struct pvh_memory *mem;
	enum pveth_error error;
	u32 i;

	if (!pvh_features_ok(features, pvh_offered(att->port)))
		return PVETH_ERR_FEATURES;
	if (!queue_pairs || queue_pairs > pvh_session_max_pairs(att->port))
		return PVETH_ERR_QUEUES;
	if (page->reserved0 ||
	    memchr_inv(page->reserved1, 0, sizeof(page->reserved1)))
		return PVETH_ERR_RESERVED;

	mem = pvh_session_memory(att, features);
	if (mem == &att->direct) {
		error = pvh_check_memory(mem, page);
		if (error)
			return error;
	}
	for (i = 0; i < queue_pairs; i++) {
		error = pvh_check_queue(&page->queue[i], rings,
					i * PVETH_RINGS_PER_PAIR, mem);
		if (error)
			return error;
	}
	return PVETH_ERR_NONE;
}

static void pvh_queue_unmap(struct pvh_queue *q)
{
	u32 i;

	for (i = 0; i < PVETH_RINGS_PER_PAIR; i++) {
		if (q->rings[i])
			pvh_memory_unmap(q->memory, q->rings[i]);
		q->rings[i] = NULL;
	}
}

/* Map the rings of a queue pair, which are sound. */
static bool pvh_queue_map(struct pvh_queue *q,
			  const struct pveth_queue_pair *pair,
			  const struct pvh_memory *mem)
{
	struct pvh_ring rings[PVETH_RINGS_PER_PAIR];
	u32 i;

	q->memory = mem;
	pvh_get_rings(pair, rings);
	for (i = 0; i < PVETH_RINGS_PER_PAIR; i++) {
		q->rings[i] = pvh_memory_map(mem, rings[i].addr,
					     rings[i].bytes);
		if (!q->rings[i]) {
			pvh_queue_unmap(q);
			return false;
		}
	}
	return true;
}

static enum pveth_error pvh_queues_map(struct pvh_port *port,
				       const struct pveth_guest_page *request)
{
	u64 features = le64_to_cpu(request->features);
	const struct pvh_memory *mem;
	u32 i;

	mem = pvh_session_memory(port->att, features);
	for (i = 0; i < le16_to_cpu(request->queue_pairs); i++) {
		if (pvh_queue_map(&port->queues[i], &request->queue[i], mem))
			continue;
		while (i--)
			pvh_queue_unmap(&port->queues[i]);
		return PVETH_ERR_NO_MEMORY;
	}
	return PVETH_ERR_NONE;
}

static void pvh_queue_init(struct pvh_port *port, u32 index,
			   const struct pveth_queue_pair *pair)
{
	struct pvh_queue *q = &port->queues[index];

	q->call = port->att->doorbells[PVETH_VECTOR_QUEUE + index].call;
	pvh_g2h_init(q, le32_to_cpu(pair->g2h_size));
	pvh_h2g_init(q, le32_to_cpu(pair->h2g_size));
}

/* Tell the guest, and start the queues. */
static void pvh_session_run(struct pvh_port *port,
			    const struct pveth_guest_page *request)
{
	struct pvh_session *s = &port->session;
	u32 i;

	atomic_set(&s->violation, PVETH_ERR_NONE);
	WRITE_ONCE(port->features, le64_to_cpu(request->features));
	s->queue_pairs = le16_to_cpu(request->queue_pairs);
	s->g2h_size = 0;
	s->h2g_size = 0;
	s->error = PVETH_ERR_NONE;
	s->guest_error = PVETH_ERR_NONE;
	s->count++;
	s->state = PVH_SESSION_RUNNING;
	pvh_session_set_word(port, pvh_session_gen(port), PVETH_HOST_CONNECTED);

	for (i = 0; i < s->queue_pairs; i++) {
		pvh_queue_init(port, i, &request->queue[i]);
		s->g2h_size = max(s->g2h_size,
				  le32_to_cpu(request->queue[i].g2h_size));
		s->h2g_size = max(s->h2g_size,
				  le32_to_cpu(request->queue[i].h2g_size));
		/* To the acquire in pvh_poll() */
		smp_store_release(&port->queues[i].polled, true);
	}
	WRITE_ONCE(port->active_queues, s->queue_pairs);

	/* For what the guest sent before anybody looked */
	for (i = 0; i < s->queue_pairs; i++) {
		local_bh_disable();
		napi_schedule(&port->queues[i].napi);
		local_bh_enable();
	}
	if (!port->link_off)
		netif_carrier_on(port->netdev);
}

/* Stop the queues, if they run, and tell the guest. */
static void pvh_session_end(struct pvh_port *port, u32 gen, u32 state)
{
	unsigned long deadline = pvh_loans_deadline();
	struct pvh_session *s = &port->session;
	u32 i, lent = 0;

	if (s->state == PVH_SESSION_RUNNING) {
		netif_carrier_off(port->netdev);
		WRITE_ONCE(port->active_queues, 1);
		for (i = 0; i < s->queue_pairs; i++)
			WRITE_ONCE(port->queues[i].polled, false);
		/* Polls have softirqs off, or interrupts, all of the time. */
		synchronize_net();
		for (i = 0; i < s->queue_pairs; i++) {
			lent += pvh_loans_uninit(&port->queues[i], deadline);
			pvh_h2g_uninit(&port->queues[i]);
			pvh_queue_unmap(&port->queues[i]);
		}
		WRITE_ONCE(pvh_host_page(port->att)->lent, cpu_to_le32(lent));
	}
	pvh_session_set_word(port, gen, state);
	switch (state) {
	case PVETH_HOST_READY:
		s->state = PVH_SESSION_READY;
		break;
	case PVETH_HOST_ERROR:
		s->state = PVH_SESSION_FAILED;
		break;
	default:
		s->state = PVH_SESSION_CLOSED;
		break;
	}
	pvh_netlink_notify(port);
}

/* The guest is to blame. */
static void pvh_session_fail(struct pvh_port *port, u32 error)
{
	struct pvh_session *s = &port->session;

	if (net_ratelimit())
		netdev_warn(port->netdev, "the guest %s (error %u)\n",
			    s->state == PVH_SESSION_RUNNING ?
			    "broke the protocol: link down until it connects anew" :
			    "asks for an impossible session", error);
	s->error = error;
	s->protocol_errors++;
	WRITE_ONCE(pvh_host_page(port->att)->error, cpu_to_le32(error));
	pvh_session_end(port, pvh_session_gen(port), PVETH_HOST_ERROR);
}

/* The guest asks for a session, with this word. */
static void pvh_session_answer(struct pvh_port *port, u32 guest)
{
	struct pvh_attachment *att = port->att;
	struct pvh_session *s = &port->session;
	struct pveth_guest_page *request;
	u32 error = PVETH_ERR_NO_MEMORY;

	request = kmalloc(sizeof(*request), GFP_KERNEL);
	if (request) {
		pvring_copy_in(request, pvh_guest_page(att), sizeof(*request));
		/* For an older session, and about to be renewed? */
		if (le32_to_cpu(request->host_gen) != pvh_session_gen(port))
			goto free;
		error = pvh_check_request(att, request);
		if (!error)
			error = pvh_queues_map(port, request);
	}

	s->peer = guest;
	WRITE_ONCE(pvh_host_page(att)->peer, cpu_to_le32(guest));
	if (error) {
		pvh_session_fail(port, error);
	} else {
		pvh_session_run(port, request);
		pvh_netlink_notify(port);
	}
free:
	kfree(request);
}

/* Do what the guest's word and our own state ask for. */
static void pvh_session_update(struct pvh_port *port)
{
	struct pvh_session *s = &port->session;
	u32 guest, error;

	if (s->state == PVH_SESSION_CLOSED)
		return;
	/* To the release in the guest's pvg_session_set_word() */
	guest = le32_to_cpu(virt_load_acquire(&pvh_guest_page(port->att)->session));

	error = atomic_read(&s->violation);
	if (s->state == PVH_SESSION_RUNNING && error)
		pvh_session_fail(port, error);

	if (s->state != PVH_SESSION_READY && guest != s->peer) {
		if (pveth_session_state(guest) == PVETH_GUEST_ERROR)
			s->guest_error =
				le32_to_cpu(READ_ONCE(pvh_guest_page(port->att)->error));
		pvh_session_end(port,
				pveth_session_next_gen(pvh_session_gen(port)),
				PVETH_HOST_READY);
	}

	if (s->state == PVH_SESSION_READY &&
	    pveth_session_state(guest) == PVETH_GUEST_CONNECT)
		pvh_session_answer(port, guest);
}

static void pvh_session_work(struct work_struct *work)
{
	struct pvh_session *s = container_of(to_delayed_work(work),
					     struct pvh_session, work);
	struct pvh_port *port = container_of(s, struct pvh_port, session);
	struct pvh_attachment *gone = NULL;

	mutex_lock(&port->lock);
	if (port->att && READ_ONCE(port->att->closed)) {
		gone = pvh_port_detach(port);
		port->detaching = true;
	} else if (__ratelimit(&s->passes)) {
		pvh_session_update(port);
	} else {
		schedule_delayed_work(&s->work, PVH_SESSION_PAUSE);
	}
	mutex_unlock(&port->lock);
	if (!gone)
		return;

	pvh_attachment_destroy(gone);
	mutex_lock(&port->lock);
	port->detaching = false;
	pvh_netlink_notify(port);
	mutex_unlock(&port->lock);
}

/**
 * pvh_session_init() - have no session
 * @port: the port
 */
void pvh_session_init(struct pvh_port *port)
{
	struct pvh_session *s = &port->session;

	INIT_DELAYED_WORK(&s->work, pvh_session_work);
	ratelimit_state_init(&s->passes, HZ, PVH_SESSION_PASSES);
	/* Or it says how many were too many. */
	ratelimit_set_flags(&s->passes, RATELIMIT_MSG_ON_RELEASE);
}

/**
 * pvh_session_attach() - make the host's page of a window that was attached
 * @port: the port, locked
 *
 * The window may have been attached before, and its guest may run.
 */
void pvh_session_attach(struct pvh_port *port)
{
	struct pvh_attachment *att = port->att;
	struct pveth_host_page *page = pvh_host_page(att);
	struct pvh_session *s = &port->session;
	u32 found = le32_to_cpu(READ_ONCE(page->session));
	u16 queue_pairs = pvh_session_max_pairs(port);

	lockdep_assert_held(&port->lock);
	WRITE_ONCE(page->version_major, cpu_to_le16(PVETH_VERSION_MAJOR));
	WRITE_ONCE(page->version_minor, cpu_to_le16(PVETH_VERSION_MINOR));
	WRITE_ONCE(page->host_peer, cpu_to_le16(att->host_peer));
	WRITE_ONCE(page->max_queue_pairs, cpu_to_le16(queue_pairs));
	WRITE_ONCE(page->window_size,
		   cpu_to_le64(att->window.regions[0].bytes));
	pvh_session_publish_config(port);
	pvh_session_set_word(port, pveth_session_gen(found), PVETH_HOST_DOWN);
	/* Last, so that a page with a magic is complete: to the guest's
	 * pvg_check_window()
	 */
	virt_wmb();
	WRITE_ONCE(page->magic, cpu_to_le64(PVETH_MAGIC));

	s->state = PVH_SESSION_CLOSED;
	s->error = PVETH_ERR_NONE;
	s->guest_error = PVETH_ERR_NONE;
}

/**
 * pvh_session_open() - be ready for a guest's request
 * @port: the port, locked and attached
 */
void pvh_session_open(struct pvh_port *port)
{
	struct pveth_host_page *page = pvh_host_page(port->att);
	u16 queue_pairs = pvh_session_max_pairs(port);
	u32 gen;

	lockdep_assert_held(&port->lock);
	port->session.state = PVH_SESSION_READY;
	WRITE_ONCE(page->features, cpu_to_le64(pvh_offered(port)));
	WRITE_ONCE(page->max_queue_pairs, cpu_to_le16(queue_pairs));
	/* Twice, so that it is not taken for the end of a session. */
	gen = pveth_session_next_gen(pvh_session_gen(port));
	pvh_session_set_word(port, pveth_session_next_gen(gen),
			     PVETH_HOST_READY);
	pvh_netlink_notify(port);
	pvh_session_update(port);
}

/**
 * pvh_session_close() - end the session, and have no other
 * @port: the port, locked and attached
 *
 * No queue runs any more when it returns.
 */
void pvh_session_close(struct pvh_port *port)
{
	lockdep_assert_held(&port->lock);
	if (port->session.state != PVH_SESSION_CLOSED)
		pvh_session_end(port, pvh_session_gen(port), PVETH_HOST_DOWN);
}

/**
 * pvh_session_notify() - the guest rang, or has gone
 * @port: the port
 *
 * Context: Any.
 */
void pvh_session_notify(struct pvh_port *port)
{
	schedule_delayed_work(&port->session.work, 0);
}

/**
 * pvh_session_detach() - detach the guest
 * @port: the port, locked and attached
 *
 * It is when &pvh_session.work was flushed, which takes as long as there is memory.
 */
void pvh_session_detach(struct pvh_port *port)
{
	lockdep_assert_held(&port->lock);
	WRITE_ONCE(port->att->closed, true);
	/* It may be about to rest. */
	cancel_delayed_work(&port->session.work);
	schedule_delayed_work(&port->session.work, 0);
}

/**
 * pvh_session_break() - the guest broke the protocol: end the session
 * @port: the port
 * @error: what it did
 *
 * The first error of a session is the one that counts.
 *
 * Context: Any.
 */
void pvh_session_break(struct pvh_port *port, enum pveth_error error)
{
	if (!atomic_cmpxchg(&port->session.violation, PVETH_ERR_NONE, error))
		schedule_delayed_work(&port->session.work, 0);
}

/**
 * pvh_session_publish_config() - tell the guest its link, MTU and MAC address
 * @port: the port, locked and attached
 */
void pvh_session_publish_config(struct pvh_port *port)
{
	struct pveth_host_page *page = pvh_host_page(port->att);
	u64 mac = pveth_mac_word(port->att->mac);

	lockdep_assert_held(&port->lock);
	WRITE_ONCE(page->link, cpu_to_le32(pvh_session_link(port)));
	WRITE_ONCE(page->mtu, cpu_to_le32(READ_ONCE(port->netdev->mtu)));
	WRITE_ONCE(page->mac, cpu_to_le64(mac));
	pvh_ring_doorbell(port->att->doorbells[PVETH_VECTOR_SESSION].call);
}
