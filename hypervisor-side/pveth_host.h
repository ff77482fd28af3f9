/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pveth host backend: what its files share
 *
 * port.c        the network device, one for each guest
 * attachment.c  the transport: a guest's window and doorbells, and nothing of
 *               them elsewhere
 * session.c     the handshake with the guest
 * g2h.c         frames from the guest
 * h2g.c         frames to the guest
 * netlink.c     control from userspace
 * ethtool.c     what ethtool asks
 */
#ifndef _PVETH_HOST_H
#define _PVETH_HOST_H

#include <linux/irq_work.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "pveth_net.h"

struct eventfd_ctx;
struct file;
struct net;
struct netlink_ext_ack;
struct page;
struct user_struct;

/* A guest that takes no frames for so long holds up nobody any more. */
#define PVH_STALL_TIMEOUT	(5 * HZ)

/* Windows have a size within these bounds, so that what they pin is bounded */
#define PVH_MIN_WINDOW		(64ULL << 10)
#define PVH_MAX_WINDOW		(4ULL << 30)

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
 * @window: start of the window, mapped
 * @window_size: its size in bytes
 * @pages: pages of the window, pinned
 * @pages_count: how many
 * @user: whose locked memory they count as, or NULL if they are not accounted
 * @host_peer: peer ID that the guest rings
 * @mac: the guest's MAC address
 * @closed: set from any context when the virtual machine has gone
 * @vectors: number of @doorbells
 * @doorbells: by vector
 */
struct pvh_attachment {
	struct pvh_port *port;
	void *window;
	u64 window_size;
	struct page **pages;
	unsigned long pages_count;
	struct user_struct *user;
	u16 host_peer;
	u8 mac[ETH_ALEN];
	bool closed;
	u16 vectors;
	struct pvh_doorbell doorbells[];
};

/**
 * struct pvh_queue - a queue pair
 * @port: the port
 * @index: number of the queue pair
 * @napi: polls @g2h, and wakes the transmit queue
 * @schedule: schedules @napi from an interrupt
 * @kicks: doorbells rung by the guest
 * @calls: doorbells rung by the host, for either direction
 *
 * Constant while a session runs:
 * @call: rings the guest
 * @window: start of the window
 * @window_size: its size in bytes
 *
 * @g2h: frames from the guest. Used by @napi only, as all up to @g2h_stats.
 * @g2h_done: their completions
 * @done_pending: entries written to @g2h_done and not yet published
 * @descs: the descriptors of the frame being received
 * @g2h_stats: counters
 *
 * @running: a session runs. Protected by the transmit queue's lock, as all that
 *	follows, but for @stall.
 * @h2g_post: buffers for frames to the guest
 * @h2g: frames to the guest
 * @h2g_pending: entries written to @h2g and not yet published
 * @bufs: the buffers of the frame being sent
 * @h2g_stats: counters
 * @stall: runs out when the transmit queue was stopped for PVH_STALL_TIMEOUT
 */
struct pvh_queue {
	struct pvh_port *port;
	u16 index;
	struct napi_struct napi;
	struct irq_work schedule;
	atomic64_t kicks;
	atomic64_t calls;

	struct eventfd_ctx *call;
	void *window;
	u64 window_size;

	/* From the guest */
	struct pvring_cons g2h ____cacheline_aligned_in_smp;
	struct pvring_prod g2h_done;
	u32 done_pending;
	struct pveth_desc descs[PVETH_MAX_FRAME_DESCS];
	struct pveth_stats g2h_stats;

	/* To the guest */
	bool running ____cacheline_aligned_in_smp;
	struct pvring_cons h2g_post;
	struct pvring_prod h2g;
	u32 h2g_pending;
	struct pveth_buf bufs[PVETH_MAX_FRAME_DESCS];
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
 * @state: where the handshake stands
 * @word: the host's session word
 * @peer: the guest's session word that was answered
 * @queue_pairs: queue pairs of the session
 * @g2h_size: entries of the largest ring from the guest, to be shown
 * @h2g_size: entries of the largest ring to the guest, to be shown
 * @error: enum pveth_error, why the last session was refused or ended
 * @guest_error: the same, as the guest has it
 * @count: sessions since the port was made
 * @protocol_errors: how many were refused or ended because of the guest
 * @violation: enum pveth_error, set from any context when the guest broke the
 *	protocol; @work acts on it
 */
struct pvh_session {
	struct work_struct work;
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
 * @lock: protects @att, @session, @link_off and @offer; taken inside RTNL, and
 *	never the other way round
 * @att: what it shares with a guest, or NULL
 * @session: the handshake
 * @link_off: the administrator took the carrier away
 * @offer: PVETH_F bits that guests may accept
 * @features: PVETH_F bits of the session, or of the last; written with @lock
 * @active_queues: queue pairs that frames to the guest are spread over
 * @queue_pairs: number of @queues, constant
 * @queues: the queue pairs
 */
struct pvh_port {
	struct net_device *netdev;
	struct mutex lock; /* protects att, session, link_off, offer */
	struct pvh_attachment *att;
	struct pvh_session session;
	bool link_off;
	u64 offer;
	u64 features;
	u32 active_queues;
	u32 queue_pairs;
	struct pvh_queue *queues;
};

static inline struct pveth_host_page *
pvh_host_page(const struct pvh_attachment *att)
{
	return att->window + PVETH_HOST_PAGE_OFFSET;
}

static inline struct pveth_guest_page *
pvh_guest_page(const struct pvh_attachment *att)
{
	return att->window + PVETH_GUEST_PAGE_OFFSET;
}

/* Is it in the part of the window that is for rings and buffers? Addresses and
 * lengths are the guest's: no sum of the two is made.
 */
static inline bool pvh_in_memory(u64 window_size, u64 addr, u64 bytes)
{
	return addr >= PVETH_MEMORY_OFFSET && addr <= window_size &&
	       bytes <= window_size - addr;
}

/* port.c APIs: */
bool pvh_is_port(const struct net_device *netdev);
void pvh_port_install(struct pvh_port *port, struct pvh_attachment *att);
void pvh_port_detach(struct pvh_port *port);

/* attachment.c APIs: */
struct pvh_attachment *
pvh_attachment_create(unsigned long addr, u64 bytes, u16 vectors,
		      const int *kick_fds, const int *call_fds,
		      struct netlink_ext_ack *extack);
void pvh_attachment_listen(struct pvh_attachment *att, struct pvh_port *port);
void pvh_attachment_destroy(struct pvh_attachment *att);
void pvh_ring_doorbell(struct eventfd_ctx *call);

/* session.c APIs: */
void pvh_session_init(struct pvh_port *port);
void pvh_session_attach(struct pvh_port *port);
void pvh_session_open(struct pvh_port *port);
void pvh_session_close(struct pvh_port *port);
void pvh_session_notify(struct pvh_port *port);
void pvh_session_break(struct pvh_port *port, enum pveth_error error);
void pvh_session_publish_config(struct pvh_port *port);

/* g2h.c APIs: */
void pvh_g2h_init(struct pvh_queue *q, u64 ring, u64 done, u32 size);
void pvh_g2h_kick(struct pvh_queue *q);
void pvh_g2h_schedule(struct irq_work *work);
int pvh_poll(struct napi_struct *napi, int budget);

/* h2g.c APIs: */
void pvh_h2g_init(struct pvh_queue *q, u64 post, u64 ring, u32 size);
void pvh_h2g_uninit(struct pvh_queue *q);
netdev_tx_t pvh_start_xmit(struct sk_buff *skb, struct net_device *netdev);
void pvh_h2g_stalled(struct timer_list *timer);
void pvh_h2g_wake(struct pvh_queue *q, int budget);

/* netlink.c APIs: */
int pvh_netlink_init(void);
void pvh_netlink_uninit(void);
void pvh_netlink_notify(struct pvh_port *port);

/* ethtool.c APIs: */
extern const struct ethtool_ops pvh_ethtool_ops;

#endif /* _PVETH_HOST_H */
