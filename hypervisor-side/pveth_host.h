/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pveth host backend: what its files share
 *
 * port.c        the network device, one for each guest
 * attachment.c  the transport: a guest's window and doorbells, and nothing of
 *               them elsewhere
 * memory.c      what descriptors point into
 * session.c     the handshake with the guest
 * flow.c        the queue pair of a flow
 * g2h.c         frames from the guest
 * loan.c        those that stay where they are
 * thread.c      when the threads that poll are to run
 * h2g.c         frames to the guest
 * netlink.c     control from userspace
 * ethtool.c     what ethtool asks
 */
#ifndef _PVETH_HOST_H
#define _PVETH_HOST_H

#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/ratelimit.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/pveth_netlink.h>

#include "pveth_moderation.h"
#include "pveth_net.h"

struct eventfd_ctx;
struct file;
struct pvh_lender;
struct net;
struct netlink_ext_ack;
struct user_struct;

/* A guest that takes no frames for so long holds up nobody any more. */
#define PVH_STALL_TIMEOUT	(5 * HZ)

/* Flows of a port whose queue pair is known, a power of two */
#define PVH_FLOWS		4096

/* Windows have a size within these bounds, so that what they pin is bounded */
#define PVH_MIN_WINDOW		(64ULL << 10)
#define PVH_MAX_WINDOW		(4ULL << 30)
/* A region of the guest's RAM has this size at most. */
#define PVH_MAX_REGION		(512ULL << 30)

/**
 * struct pvh_region - memory that is contiguous for the guest
 * @start: its address there
 * @bytes: its size; this and all addresses are multiples of PAGE_SIZE
 * @pages: its pages, pinned
 * @virt: where all of it is mapped, or NULL
 */
struct pvh_region {
	u64 start;
	u64 bytes;
	struct page **pages;
	void *virt;
};

/**
 * struct pvh_span - memory to be shared, as a request describes it
 * @guest_addr: its address in the guest
 * @addr: its address in the current process
 * @bytes: its size
 */
struct pvh_span {
	u64 guest_addr;
	u64 addr;
	u64 bytes;
};

/**
 * struct pvh_attach_request - what userspace wants a port to share with a guest
 * @window: the window
 * @regions: number of @region
 * @region: the guest's RAM, for direct mode
 * @vectors: number of doorbells in each direction
 * @kick_fds: eventfds that the guest signals
 * @call_fds: eventfds that signal the guest
 */
struct pvh_attach_request {
	struct pvh_span window;
	u32 regions;
	struct pvh_span region[PVETH_MAX_REGIONS];
	u16 vectors;
	int kick_fds[PVETH_MAX_FDS];
	int call_fds[PVETH_MAX_FDS];
};

/**
 * struct pvh_memory - what descriptors point into: the window, or in direct mode
 *	the guest's RAM
 * @floor: the lowest address that is for rings and buffers
 * @count: number of @regions
 * @regions: its parts
 */
struct pvh_memory {
	u64 floor;
	u32 count;
	struct pvh_region regions[PVETH_MAX_REGIONS];
};

/**
 * struct pvh_doorbell - the doorbells of a vector, one for each direction
 * @att: the attachment it belongs to
 * @vector: PVETH_VECTOR_SESSION, or PVETH_VECTOR_QUEUE plus a queue pair
 * @kick: the guest rings the host
 * @call: the host rings the guest
 * @kick_file: file of @kick, held until @wait listens to it
 * @wait: in the wait queue of @kick
 * @poll: adds @wait to that queue
 */
struct pvh_doorbell {
	struct pvh_attachment *att;
	u16 vector;
	struct eventfd_ctx *kick;
	struct eventfd_ctx *call;
	struct file *kick_file;
	wait_queue_entry_t wait;
	poll_table poll;
};

/**
 * struct pvh_attachment - what a port shares with a guest
 * @port: the port, set when it is connected to one
 * @window: the window, one region
 * @direct: the guest's RAM, if it may use direct mode, else without a region
 * @pages_count: pages of both
 * @user: whose locked memory they count as, or NULL if they are not accounted
 * @host_peer: peer ID that the guest rings
 * @mac: the guest's MAC address
 * @closed: set from any context when the virtual machine has gone, or is to be detached
 * @vectors: number of @doorbells, of which there are none when it is over
 * @doorbells: by vector
 */
struct pvh_attachment {
	struct pvh_port *port;
	struct pvh_memory window;
	struct pvh_memory direct;
	unsigned long pages_count;
	struct user_struct *user;
	u16 host_peer;
	u8 mac[ETH_ALEN];
	bool closed;
	u16 vectors;
	struct pvh_doorbell doorbells[];
};

/* As in &struct pveth_queue_pair */
enum pvh_ring_index {
	PVH_RING_G2H,
	PVH_RING_G2H_DONE,
	PVH_RING_H2G_POST,
	PVH_RING_H2G,
};

/**
 * struct pvh_thread - the thread that polls a queue pair; see thread.c
 * @eager: it is to run as soon as it is woken up
 * @found: frames found since it was woken up
 * @credit: how often it may be woken up until @eager changes
 * @task: the thread whose policy @work is to change, or NULL
 * @work: changes it
 */
struct pvh_thread {
	bool eager;
	u32 found;
	u32 credit;
	struct task_struct *task;
	struct work_struct work;
};

/**
 * struct pvh_queue - a queue pair
 * @port: the port
 * @index: number of the queue pair
 * @napi: polls @g2h, and wakes the transmit queue
 * @thread: runs @napi, if it is threaded
 * @moderation: how long @napi rests
 * @schedule: schedules @napi from an interrupt
 * @kicks: doorbells rung by the guest
 * @calls: doorbells rung by the host, for either direction
 *
 * @polled: a session runs, and @napi polls it. Polls that began before it was
 *	cleared end within a grace period. NAPI itself is enabled as long as there is
 *	the port: nobody who turns threads on or off has to wait for a guest.
 *
 * Constant while a session runs:
 * @call: rings the guest
 * @memory: what addresses point into
 * @rings: the rings, by enum pvh_ring_index, mapped
 *
 * @g2h: frames from the guest. Used by @napi only, as all up to @g2h_stats.
 * @g2h_done: their completions
 * @done_pending: entries written to @g2h_done and not yet published
 * @descs: the descriptors of the frame being received
 * @lender: lends frames in the guest's memory to the stack, or NULL
 * @loans: descriptors of the frames that are lent
 * @loans_before: how many of them were lent before this poll
 * @loans_pay: the stack did not have to copy what was lent last
 * @loan_pause: frames to be copied before another is lent, if that does not pay
 * @lent: frames lent ever
 * @g2h_stats: counters
 *
 * @running: a session runs. Protected by the transmit queue's lock, as all that
 *	follows, but for @stall.
 * @h2g_post: buffers for frames to the guest
 * @h2g: frames to the guest
 * @h2g_pending: entries written to @h2g and not yet published
 * @bufs: the buffers of the frame being sent
 * @unrung: in the list of a CPU that is to announce frames in @h2g, or empty
 * @stalled: the guest takes no frames, which are dropped until it does
 * @h2g_stats: counters
 * @stall: runs out when the transmit queue was stopped for PVH_STALL_TIMEOUT
 */
struct pvh_queue {
	struct pvh_port *port;
	u16 index;
	struct napi_struct napi;
	struct pvh_thread thread;
	struct pveth_moderation moderation;
	struct irq_work schedule;
	atomic64_t kicks;
	atomic64_t calls;
	bool polled;

	struct eventfd_ctx *call;
	const struct pvh_memory *memory;
	struct pveth_ring *rings[PVETH_RINGS_PER_PAIR];

	/* From the guest */
	struct pvring_cons g2h ____cacheline_aligned_in_smp;
	struct pvring_prod g2h_done;
	u32 done_pending;
	struct pveth_desc descs[PVETH_MAX_FRAME_DESCS];
	struct pvh_lender *lender;
	u32 loans;
	u32 loans_before;
	bool loans_pay;
	u32 loan_pause;
	atomic64_t lent;
	struct pveth_stats g2h_stats;

	/* To the guest */
	bool running ____cacheline_aligned_in_smp;
	struct pvring_cons h2g_post;
	struct pvring_prod h2g;
	u32 h2g_pending;
	struct pveth_buf bufs[PVETH_MAX_FRAME_DESCS];
	struct list_head unrung;
	bool stalled;
	struct pveth_stats h2g_stats;
	struct timer_list stall;
};

/**
 * enum pvh_session_state - where the handshake stands
 * @PVH_SESSION_CLOSED: no guest is attached, or the interface is down
 * @PVH_SESSION_READY: waiting for a guest to connect
 * @PVH_SESSION_RUNNING: frames may flow
 * @PVH_SESSION_FAILED: the guest's request was refused, or it broke the
 *	protocol; waiting for its next request
 */
enum pvh_session_state {
	PVH_SESSION_CLOSED,
	PVH_SESSION_READY,
	PVH_SESSION_RUNNING,
	PVH_SESSION_FAILED,
};

/**
 * struct pvh_session - the host's side of the session; protected by the port's
 *	lock
 * @work: brings the session up to date with the guest's word
 * @passes: how often it does
 * @state: where the handshake stands
 * @word: the host's session word
 * @peer: the guest's session word that was answered
 * @queue_pairs: queue pairs of the session
 * @g2h_size: entries of the largest ring from the guest, to be shown
 * @h2g_size: entries of the largest ring to the guest, to be shown
 * @error: enum pveth_error, why the last session was refused or ended
 * @guest_error: the same, as the guest has it
 * @count: sessions since the port was made
 * @protocol_errors: how many were refused or ended because of the guest, or for want of memory
 * @violation: enum pveth_error, set from any context when the guest broke the
 *	protocol; @work acts on it
 */
struct pvh_session {
	struct delayed_work work;
	struct ratelimit_state passes;
	enum pvh_session_state state;
	u32 word;
	u32 peer;
	u32 queue_pairs;
	u32 g2h_size;
	u32 h2g_size;
	u32 error;
	u32 guest_error;
	u64 count;
	u64 protocol_errors;
	atomic_t violation;
};

/**
 * struct pvh_port - a port; private part of its struct net_device
 * @netdev: the network device
 * @lock: protects @att, @detaching, @session, @link_off, @offer and @offered_pairs;
 *	taken inside RTNL, and never the other way round
 * @att: what it shares with a guest, or NULL
 * @leftover: what it shared when it was deleted, or NULL
 * @detaching: it does not share it any more, but the memory is not free yet
 * @session: the handshake
 * @coalesce: settings of ethtool -C
 * @link_off: the administrator took the carrier away
 * @offer: PVETH_F bits that guests may accept
 * @features: PVETH_F bits of the session, or of the last; written with @lock
 * @offered_pairs: queue pairs that guests may use, what the stack knows. Written
 *	with RTNL as well.
 * @active_queues: queue pairs of the session, at least 1
 * @flows: by which of them flows come; NULL if the port has one. See flow.c
 * @queue_pairs: number of @queues, constant
 * @queues: the queue pairs
 */
struct pvh_port {
	struct net_device *netdev;
	struct mutex lock; /* protects att, detaching, session, link_off, offers */
	struct pvh_attachment *att;
	struct pvh_attachment *leftover;
	bool detaching;
	struct pvh_session session;
	struct pveth_coalesce coalesce;
	bool link_off;
	u64 offer;
	u64 features;
	u32 offered_pairs;
	u32 active_queues;
	u32 *flows;
	u32 queue_pairs;
	struct pvh_queue *queues;
};

static inline struct pveth_host_page *
pvh_host_page(const struct pvh_attachment *att)
{
	return att->window.regions[0].virt + PVETH_HOST_PAGE_OFFSET;
}

static inline struct pveth_guest_page *
pvh_guest_page(const struct pvh_attachment *att)
{
	return att->window.regions[0].virt + PVETH_GUEST_PAGE_OFFSET;
}

/**
 * pvh_memory_find() - where is a piece of memory that the guest names?
 * @mem: the memory
 * @addr: its address, of any value
 * @bytes: its length, of any value: no sum of the two is made
 *
 * Return: the region that all of it is in, or NULL if there is none.
 */
static inline const struct pvh_region *
pvh_memory_find(const struct pvh_memory *mem, u64 addr, u64 bytes)
{
	const struct pvh_region *region = mem->regions;
	u32 i;

	if (addr < mem->floor)
		return NULL;
	for (i = 0; i < mem->count; i++, region++)
		if (addr >= region->start &&
		    addr - region->start <= region->bytes &&
		    bytes <= region->bytes - (addr - region->start))
			return region;
	return NULL;
}

/**
 * pvh_memory_at() - get at memory that pvh_memory_find() knows
 * @mem: the memory
 * @addr: its address
 * @len: its length, not zero; is reduced to what is contiguous
 *
 * Return: where it is.
 */
static inline void *pvh_memory_at(const struct pvh_memory *mem, u64 addr,
				  u32 *len)
{
	const struct pvh_region *region = pvh_memory_find(mem, addr, *len);
	unsigned long offset = addr - region->start;

	offset = array_index_nospec(offset, (unsigned long)region->bytes);
	if (region->virt)
		return region->virt + offset;

	*len = min_t(u32, *len, PAGE_SIZE - offset_in_page(offset));
	return page_address(region->pages[offset >> PAGE_SHIFT]) +
	       offset_in_page(offset);
}

/* PVETH_F bits that a guest may accept */
static inline u64 pvh_offered(const struct pvh_port *port)
{
	return port->offer | (port->att->direct.count ?
			      PVETH_FEATURE(PVETH_F_DIRECT) : 0);
}

/* port.c APIs: */
bool pvh_is_port(const struct net_device *netdev);
void pvh_port_install(struct pvh_port *port, struct pvh_attachment *att);
struct pvh_attachment *pvh_port_detach(struct pvh_port *port);
int pvh_port_offer_pairs(struct pvh_port *port, u32 pairs);

/* attachment.c APIs: */
struct pvh_attachment *
pvh_attachment_create(const struct pvh_attach_request *request,
		      struct netlink_ext_ack *extack);
void pvh_attachment_listen(struct pvh_attachment *att, struct pvh_port *port);
void pvh_attachment_deafen(struct pvh_attachment *att);
void pvh_attachment_destroy(struct pvh_attachment *att);
void pvh_ring_doorbell(struct eventfd_ctx *call);

/* memory.c APIs: */
int pvh_memory_add(struct pvh_memory *mem, const struct pvh_span *span,
		   struct netlink_ext_ack *extack);
void pvh_memory_release(struct pvh_memory *mem);
void *pvh_memory_map(const struct pvh_memory *mem, u64 addr, u64 bytes);
void pvh_memory_unmap(const struct pvh_memory *mem, void *virt);

/* session.c APIs: */
void pvh_session_init(struct pvh_port *port);
void pvh_session_attach(struct pvh_port *port);
void pvh_session_open(struct pvh_port *port);
void pvh_session_close(struct pvh_port *port);
void pvh_session_notify(struct pvh_port *port);
void pvh_session_detach(struct pvh_port *port);
void pvh_session_break(struct pvh_port *port, enum pveth_error error);
void pvh_session_publish_config(struct pvh_port *port);
u32 pvh_session_max_pairs(const struct pvh_port *port);

/* thread.c APIs: */
void pvh_thread_init(struct pvh_thread *thread);
void pvh_thread_uninit(struct pvh_thread *thread);
void pvh_thread_polled(struct pvh_thread *thread,
		       const struct napi_struct *napi, u32 work, bool last);

/* flow.c APIs: */
void pvh_flow_learn(const struct pvh_queue *q, const struct sk_buff *skb);
u16 pvh_flow_queue(const struct pvh_port *port, const struct sk_buff *skb);

/* g2h.c APIs: */
void pvh_g2h_init(struct pvh_queue *q, u32 size);
void pvh_g2h_kick(struct pvh_queue *q);
void pvh_g2h_schedule(struct pvh_queue *q);
void pvh_g2h_schedule_work(struct irq_work *work);
void pvh_g2h_complete(struct pvh_queue *q, __le16 id,
		      enum pveth_done_status status);
int pvh_poll(struct napi_struct *napi, int budget);

/* loan.c APIs: */
void pvh_loans_init(struct pvh_queue *q);
unsigned long pvh_loans_deadline(void);
u32 pvh_loans_uninit(struct pvh_queue *q, unsigned long deadline);
void pvh_loans_collect(struct pvh_queue *q, bool complete);
struct sk_buff *pvh_loan_skb(struct pvh_queue *q, u32 len);
void pvh_loan_refuse(struct sk_buff *skb);
void pvh_loans_exit(void);

/* h2g.c APIs: */
void pvh_h2g_init(struct pvh_queue *q, u32 size);
void pvh_h2g_uninit(struct pvh_queue *q);
netdev_tx_t pvh_start_xmit(struct sk_buff *skb, struct net_device *netdev);
void pvh_h2g_stalled(struct timer_list *timer);
void pvh_h2g_wake(struct pvh_queue *q, int budget);
void pvh_h2g_poll_begins(void);
void pvh_h2g_poll_ends(void);
void pvh_h2g_module_init(void);

/* netlink.c APIs: */
int pvh_netlink_init(void);
void pvh_netlink_uninit(void);
void pvh_netlink_notify(struct pvh_port *port);

/* ethtool.c APIs: */
extern const struct ethtool_ops pvh_ethtool_ops;

#endif /* _PVETH_HOST_H */
