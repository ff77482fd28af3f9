/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Moderation: how long the consumer of a ring rests before it looks again
 *
 * A doorbell costs an exit of the guest or an interrupt in it, and the time to
 * wake somebody up; under load that is several times what a small frame costs.
 * So a consumer that found work does not ask for a doorbell at the next frame.
 * It looks again after a while by itself, and asks to be rung only if more
 * frames than it wants to wait for come before that. When it has looked and
 * found nothing it asks for a doorbell at the next frame and sleeps without a
 * timer: an idle ring costs nothing, and the first frame is never held up.
 *
 *     found work                            found nothing
 *       |                                     |
 *       v                                     v
 *     event = @frames ahead, timer          event = next entry, no timer
 *       |                                     |
 *       +--> doorbell or timer: look again    +--> doorbell: look again
 *
 * How long "a while" is, is a setting of ethtool -C, or adapts itself: see
 * pveth_pace.h. Both modules moderate what they consume, so that the guest
 * decides on its interrupts and the host on the guest's doorbells.
 */
#ifndef _PVETH_MODERATION_H
#define _PVETH_MODERATION_H

#include <linux/ethtool.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/netdevice.h>

#include "pveth_pace.h"
#include "pveth_ring.h"

/* Bounds of ethtool -C. Nobody wants to wait for longer than a millisecond: a
 * ring of 512 entries is full by then at half a million frames per second.
 */
#define PVETH_MAX_USECS		1000
#define PVETH_MAX_FRAMES	PVETH_MAX_RING_SIZE

/* What adapts does so within this, as the kernel's DIM does for most cards. */
#define PVETH_DEFAULT_USECS	256
#define PVETH_DEFAULT_FRAMES	256

/**
 * struct pveth_coalesce - settings of ethtool -C
 * @usecs: how long to wait; if @adaptive, at most. Zero is never.
 * @frames: entries of the ring to wait for, at most
 * @adaptive: choose the time by what comes
 *
 * Written under RTNL, read from anywhere.
 */
struct pveth_coalesce {
	u32 usecs;
	u32 frames;
	bool adaptive;
};

/**
 * struct pveth_moderation - moderation of one ring
 * @napi: consumes it. All that follows is its own.
 * @settings: of ethtool -C
 * @timer: schedules @napi
 * @pace: if it adapts
 * @frames: found since the last rest
 * @polls: counts polls; read from anywhere
 */
struct pveth_moderation {
	struct napi_struct *napi;
	const struct pveth_coalesce *settings;
	struct hrtimer timer;
	struct pveth_pace pace;
	u32 frames;
	atomic64_t polls;
};

static inline enum hrtimer_restart pveth_moderation_timer(struct hrtimer *timer)
{
	struct pveth_moderation *m = container_of(timer, struct pveth_moderation,
						  timer);

	napi_schedule_irqoff(m->napi);
	return HRTIMER_NORESTART;
}

/**
 * pveth_moderation_init() - moderate a NAPI instance
 * @m: the moderation
 * @napi: consumes the ring
 * @settings: of its device
 */
static inline void pveth_moderation_init(struct pveth_moderation *m,
					 struct napi_struct *napi,
					 const struct pveth_coalesce *settings)
{
	m->napi = napi;
	m->settings = settings;
	hrtimer_setup(&m->timer, pveth_moderation_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED);
}

/**
 * pveth_moderation_uninit() - be done with it
 * @m: the moderation, whose NAPI instance was deleted. Until then the timer may
 *	run, which does nothing to an instance that is disabled.
 */
static inline void pveth_moderation_uninit(struct pveth_moderation *m)
{
	hrtimer_cancel(&m->timer);
}

/**
 * pveth_moderation_polled() - a poll is over
 * @m: the moderation
 * @work: frames that it found
 */
static inline void pveth_moderation_polled(struct pveth_moderation *m, u32 work)
{
	m->frames += work;
	atomic64_inc(&m->polls);
}

/**
 * pveth_moderation_rest() - ask to be woken up, by a doorbell or after a while
 * @m: the moderation
 * @ring: the ring, in which nothing more was found
 *
 * Return: true if there is more: look again.
 */
static inline bool pveth_moderation_rest(struct pveth_moderation *m,
					 struct pvring_cons *ring)
{
	u32 usecs = READ_ONCE(m->settings->usecs);
	u32 ahead = READ_ONCE(m->settings->frames) - 1;
	u32 frames = m->frames;
	u32 wait_ns = usecs * NSEC_PER_USEC;

	/* Polled for the other direction's sake: the wait goes on. */
	if (!frames && hrtimer_is_queued(&m->timer))
		return false;

	m->frames = 0;
	if (READ_ONCE(m->settings->adaptive))
		wait_ns = pveth_pace_next(&m->pace, ktime_get_ns(), frames,
					  wait_ns);
	/* Or the producer could run out of entries before it has to ring. */
	ahead = min(ahead, ring->mask / 2);
	if (!frames || !wait_ns || !ahead)
		return pvring_cons_arm(ring, 0);
	if (pvring_cons_arm(ring, ahead))
		return true;
	hrtimer_start(&m->timer, ns_to_ktime(wait_ns), HRTIMER_MODE_REL_PINNED);
	return false;
}

#define PVETH_COALESCE_PARAMS	(ETHTOOL_COALESCE_RX_USECS | \
				 ETHTOOL_COALESCE_RX_MAX_FRAMES | \
				 ETHTOOL_COALESCE_USE_ADAPTIVE_RX)

static inline void pveth_coalesce_init(struct pveth_coalesce *c)
{
	c->usecs = PVETH_DEFAULT_USECS;
	c->frames = PVETH_DEFAULT_FRAMES;
	c->adaptive = true;
}

static inline void pveth_coalesce_get(const struct pveth_coalesce *c,
				      struct ethtool_coalesce *ec)
{
	ec->rx_coalesce_usecs = c->usecs;
	ec->rx_max_coalesced_frames = c->frames;
	ec->use_adaptive_rx_coalesce = c->adaptive;
}

static inline int pveth_coalesce_set(struct pveth_coalesce *c,
				     const struct ethtool_coalesce *ec,
				     struct netlink_ext_ack *extack)
{
	if (ec->rx_coalesce_usecs > PVETH_MAX_USECS) {
		NL_SET_ERR_MSG(extack, "rx-usecs is at most 1000");
		return -EINVAL;
	}
	if (!ec->rx_max_coalesced_frames ||
	    ec->rx_max_coalesced_frames > PVETH_MAX_FRAMES) {
		NL_SET_ERR_MSG(extack, "rx-frames is 1 to 4096");
		return -EINVAL;
	}
	WRITE_ONCE(c->usecs, ec->rx_coalesce_usecs);
	WRITE_ONCE(c->frames, ec->rx_max_coalesced_frames);
	WRITE_ONCE(c->adaptive, ec->use_adaptive_rx_coalesce);
	return 0;
}

#endif /* _PVETH_MODERATION_H */
