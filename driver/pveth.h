/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pveth guest driver: what its files share
 *
 * pci.c      the transport: ivshmem's window, vectors and doorbell, and nothing
 *            of it elsewhere
 * memory.c   what descriptors point into
 * session.c  the handshake with the host
 * netdev.c   the network device
 * g2h.c      frames to the host
 * h2g.c      frames from the host
 * ethtool.c  what ethtool asks
 */
#ifndef _PVETH_H
#define _PVETH_H

#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/page_pool/helpers.h>

#include "pveth_moderation.h"
#include "pveth_net.h"

/* The window is cut into slots: a frame takes as many as it fills. */
#define PVG_SLOT_SIZE		PVETH_MIN_BUF_SIZE
/* In direct mode, frames up to this size are copied into slots that they fit in:
 * that is cheaper than what it takes to wait for the host.
 */
#define PVG_SMALL_FRAME		256

#define PVG_DEFAULT_RING_SIZE	512

/* For how long a transmit queue may stand still, and the host complete nothing */
#define PVG_STALL_TIMEOUT	(10 * HZ)
/* How long to wait for the host to let go of our memory */
#define PVG_RELEASE_TIMEOUT	HZ
/* How many bytes may be lost to a host that does not let go of our memory, before there is no
 * direct mode with it any more
 */
#define PVG_MAX_LOST		SZ_64M
/* The host's wishes are followed, and sessions that end are replaced, no more often than this */
#define PVG_FOLLOW_INTERVAL	(HZ / 10)
/* How long to wait before asking again a host that refused or did not answer */
#define PVG_RETRY_INTERVAL	HZ

/**
 * struct pvg_frame - a frame in the ring to the host, by the ID of its slot
 * @next: following slot of this frame, or of the free list
 * @last: last slot of the frame
 * @slots: how many it takes; zero if this slot does not start a frame
 * @queued: bytes of it that BQL knows of
 */
struct pvg_frame {
	u16 next;
	u16 last;
	u16 slots;
	u32 queued;
};

/**
 * struct pvg_mapping - in direct mode, a piece of a frame that the host has
 * @skb: the frame, if this is its first piece and it is not in a slot
 * @addr: DMA address
 * @len: bytes
 */
struct pvg_mapping {
	struct sk_buff *skb;
	dma_addr_t addr;
	u32 len;
};

/* As in &struct pveth_queue_pair */
enum pvg_ring_index {
	PVG_RING_G2H,
	PVG_RING_G2H_DONE,
	PVG_RING_H2G_POST,
	PVG_RING_H2G,
};

/**
 * struct pvg_queue - a queue pair
 * @pvg: the device
 * @index: number of the queue pair
 * @irq: Linux interrupt number
 * @irq_name: its name in /proc/interrupts
 * @napi: polls @h2g, and wakes the transmit queue
 * @moderation: how long @napi rests
 * @rings: the rings, by enum pvg_ring_index
 * @block: direct mode: RAM for rings and slots
 * @block_addr: its DMA address
 * @block_bytes: its size
 *
 * @g2h: frames to the host. Protected by the transmit queue's lock, as all that
 *	follows up to @g2h_stats.
 * @g2h_done: their completions
 * @g2h_pending: entries written to @g2h and not yet published
 * @g2h_slots: where the slots are
 * @g2h_addr: their address in the ABI's sense
 * @g2h_slot_size: bytes of each
 * @mappings: direct mode: by slot
 * @mapped_out: frames that the host has, and that are not in slots
 * @frames: state of each slot; NULL if there is no session
 * @free_slot: head of the list of free slots
 * @free_slots: how many there are
 * @frames_out: frames that the host has
 * @answered: the host has completed something since @stall was started
 * @rung_again: it had not, and was rung again; if that does not help, there is another session
 * @stalls: how often it had not
 * @stall: runs while the transmit queue is stopped, or frames are with the host where they are
 * @g2h_stats: counters
 * @doorbells: doorbells rung for either direction
 *
 * @h2g_post: buffers for the host. Used by @napi only, as all that follows.
 * @h2g_pending: entries written to @h2g_post and not yet published
 * @h2g: frames from the host
 * @h2g_slots: window mode: where the slots are; that of buffer ID n is the nth
 * @h2g_addr: window mode: their address in the ABI's sense
 * @h2g_buf_size: bytes of each buffer
 * @pool: direct mode: where pages come from
 * @pages: direct mode: the page of each buffer
 * @posted: a bit for each buffer that the host has
 * @descs: the descriptors of the frame being received
 * @h2g_stats: counters
 */
struct pvg_queue {
	struct pvg_dev *pvg;
	u16 index;
	int irq;
	char irq_name[IFNAMSIZ + 8];
	struct napi_struct napi;
	struct pveth_moderation moderation;

	struct pveth_ring *rings[PVETH_RINGS_PER_PAIR];
	void *block;
	dma_addr_t block_addr;
	size_t block_bytes;

	/* Transmit */
	struct pvring_prod g2h ____cacheline_aligned_in_smp;
	struct pvring_cons g2h_done;
	u32 g2h_pending;
	u8 *g2h_slots;
	u64 g2h_addr;
	u32 g2h_slot_size;
	struct pvg_mapping *mappings;
	u32 mapped_out;
	struct pvg_frame *frames;
	u32 free_slot;
	u32 free_slots;
	u32 frames_out;
	bool answered;
	bool rung_again;
	atomic64_t stalls;
	struct timer_list stall;
	struct pveth_stats g2h_stats;
	atomic64_t doorbells;

	/* Receive */
	struct pvring_prod h2g_post ____cacheline_aligned_in_smp;
	u32 h2g_pending;
	struct pvring_cons h2g;
	u8 *h2g_slots;
	u64 h2g_addr;
	u32 h2g_buf_size;
	struct page_pool *pool;
	struct page **pages;
	unsigned long *posted;
	struct pveth_desc descs[PVETH_MAX_FRAME_DESCS];
	struct pveth_stats h2g_stats;
};

/**
 * enum pvg_session_state - where the handshake stands
 * @PVG_SESSION_CLOSED: the interface is down
 * @PVG_SESSION_IDLE: waiting for the host to be ready
 * @PVG_SESSION_CONNECTING: asked, not answered
 * @PVG_SESSION_RUNNING: frames may flow
 * @PVG_SESSION_FAILED: the host broke the protocol; waiting for it to start
 *	anew
 */
enum pvg_session_state {
	PVG_SESSION_CLOSED,
	PVG_SESSION_IDLE,
	PVG_SESSION_CONNECTING,
	PVG_SESSION_RUNNING,
	PVG_SESSION_FAILED,
};

/**
 * struct pvg_session - the guest's side of the session
 * @lock: protects the rest; taken inside RTNL, and never the other way round
 * @work: brings the session up to date with the host's word
 * @wait: woken when the host may have changed its word
 * @state: where the handshake stands
 * @word: the guest's session word
 * @host_gen: the host's generation that the session belongs to
 * @refusal: enum pveth_error of the host's last answer, so that a host that
 *	repeats itself is not
 * @retry_at: in jiffies; there is no new request before
 * @violation: enum pveth_error, set from any context when the host broke the
 *	protocol; @work acts on it
 * @restart: set from any context to make @work begin a new session
 */
struct pvg_session {
	struct mutex lock; /* protects the rest */
	struct delayed_work work;
	wait_queue_head_t wait;
	enum pvg_session_state state;
	u32 word;
	u32 host_gen;
	u32 refusal;
	unsigned long retry_at;
	atomic_t violation;
	atomic_t restart;
};

/**
 * struct pvg_check - a number in our RAM, for the host to find
 * @number: the number
 * @addr: its DMA address
 */
struct pvg_check {
	__le64 *number;
	dma_addr_t addr;
};

/**
 * struct pvg_dev - the device; private part of its struct net_device
 * @netdev: the network device
 * @parent: the device on its bus
 *
 * Set by the transport, constant:
 * @window: start of the window, mapped
 * @window_size: its size in bytes
 * @window_vmapped: it was mapped by vmap_pfn(), not by memremap()
 * @doorbell: register that rings the host
 * @host_peer: whom it rings
 * @queue_pairs: queue pairs that there are vectors for, and number of @queues
 *
 * @coalesce: settings of ethtool -C
 * @session: the handshake
 * @config_work: follows the host's MTU and MAC address
 * @host_mtu: the host's MTU as last followed. Written under RTNL, as @host_mac
 *	and @host_features.
 * @host_mac: the host's idea of our MAC address as last followed
 * @host_features: the host's offers as last followed
 * @offered: PVETH_F bits that the host offers. Protected by @session.lock, as
 *	all that follows.
 * @features: PVETH_F bits of the session, or of the last; read from anywhere
 * @offered_pairs: queue pairs that the host offers
 * @wanted_pairs: queue pairs that the administrator wants
 * @used_pairs: queue pairs in use, what the stack knows. Written with RTNL as
 *	well.
 * @spread_pairs: for how many of them interrupts and transmit queues have their CPUs.
 *	Protected by RTNL.
 * @h2g_wanted: offloads that the host may use
 * @can_be_direct: direct mode is possible
 * @lost: bytes that were lost to a host that did not let go of them
 * @checks: direct mode: for the host to see that it knows where our RAM is
 * @g2h_size: entries of each ring to the host
 * @h2g_size: entries of each ring from the host
 * @queues: the queue pairs; those from @used_pairs on are idle
 */
struct pvg_dev {
	struct net_device *netdev;
	struct device *parent;

	void *window;
	u64 window_size;
	bool window_vmapped;
	void __iomem *doorbell;
	u16 host_peer;
	u16 queue_pairs;

	struct pveth_coalesce coalesce;
	struct pvg_session session;
	struct delayed_work config_work;
	u32 host_mtu;
	u8 host_mac[ETH_ALEN];
	u64 host_features;
	u64 offered;
	u64 features;
	u32 offered_pairs;
	u32 wanted_pairs;
	u32 used_pairs;
	u32 spread_pairs;
	u32 h2g_wanted;
	bool can_be_direct;
	u64 lost;
	struct pvg_check checks[PVETH_CHECKS];
	u32 g2h_size;
	u32 h2g_size;
	struct pvg_queue *queues;
};

static inline struct pveth_host_page *pvg_host_page(const struct pvg_dev *pvg)
{
	return pvg->window + PVETH_HOST_PAGE_OFFSET;
}

static inline struct pveth_guest_page *pvg_guest_page(const struct pvg_dev *pvg)
{
	return pvg->window + PVETH_GUEST_PAGE_OFFSET;
}

static inline bool pvg_is_direct(const struct pvg_dev *pvg)
{
	return READ_ONCE(pvg->features) & PVETH_FEATURE(PVETH_F_DIRECT);
}

/* pci.c APIs: */
void pvg_ring_doorbell(struct pvg_dev *pvg, u32 vector);
int pvg_request_irqs(struct pvg_dev *pvg);
void pvg_free_irqs(struct pvg_dev *pvg);
void pvg_place_irq(struct pvg_queue *q, unsigned int cpu);

/* memory.c APIs: */
bool pvg_memory_can_be_direct(const struct pvg_dev *pvg);
int pvg_memory_init(struct pvg_queue *q, u64 *offset,
		    struct pveth_queue_pair *pair);
void pvg_memory_uninit(struct pvg_queue *q);
int pvg_checks_init(struct pvg_dev *pvg, struct pveth_guest_page *page);
void pvg_checks_uninit(struct pvg_dev *pvg);

/* session.c APIs: */
void pvg_session_init(struct pvg_dev *pvg);
void pvg_session_open(struct pvg_dev *pvg);
void pvg_session_close(struct pvg_dev *pvg);
void pvg_session_notify(struct pvg_dev *pvg);
void pvg_session_restart(struct pvg_dev *pvg);
void pvg_session_break(struct pvg_dev *pvg, enum pveth_error error);
u32 pvg_session_max_ring_size(const struct pvg_dev *pvg);
u32 pvg_session_max_pairs(const struct pvg_dev *pvg);
int pvg_session_resize(struct pvg_dev *pvg, u32 g2h_size, u32 h2g_size);
int pvg_session_want_pairs(struct pvg_dev *pvg, u32 pairs);
void pvg_session_follow_pairs(struct pvg_dev *pvg);
void pvg_session_set_wanted(struct pvg_dev *pvg, u32 h2g_offloads);

/* netdev.c APIs: */
struct net_device *pvg_netdev_alloc(struct device *parent, u32 queue_pairs);
int pvg_netdev_add(struct pvg_dev *pvg);
void pvg_netdev_remove(struct pvg_dev *pvg);
void pvg_netdev_free(struct pvg_dev *pvg);
void pvg_netdev_follow(struct pvg_dev *pvg);
void pvg_netdev_follow_soon(struct pvg_dev *pvg);
void pvg_netdev_spread(struct pvg_dev *pvg);
void pvg_netdev_publish(struct pvg_dev *pvg);

/* g2h.c APIs: */
int pvg_g2h_init(struct pvg_queue *q);
void pvg_g2h_uninit(struct pvg_queue *q);
bool pvg_g2h_reap(struct pvg_queue *q);
u64 pvg_g2h_abandon(struct pvg_queue *q);
netdev_tx_t pvg_start_xmit(struct sk_buff *skb, struct net_device *netdev);
void pvg_g2h_wake(struct pvg_queue *q, int budget);
void pvg_g2h_stalled(struct timer_list *timer);

/* h2g.c APIs: */
int pvg_h2g_init(struct pvg_queue *q);
void pvg_h2g_uninit(struct pvg_queue *q);
u64 pvg_h2g_abandon(struct pvg_queue *q);
int pvg_poll(struct napi_struct *napi, int budget);

/* ethtool.c APIs: */
extern const struct ethtool_ops pvg_ethtool_ops;

#endif /* _PVETH_H */
