/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long to wait for more frames before they are looked at
 *
 * Nothing here is a number of frames per second, or a time, beyond the bounds:
 * processors differ, and so do the costs of a doorbell. The first wait is three
 * quarters of the time between two doorbells. Under load much of that time is
 * the cost of the doorbells, so that more than one frame comes meanwhile, and
 * then the wait is doubled until it gathers PVETH_PACE_BATCH. Where each frame
 * is an answer to one of ours, the next one comes only after the wait: it was
 * not held up, and attempts become rare. Where several such exchanges go on at
 * once, a wait that is too long makes the rate fall, and is made shorter again.
 *
 * This has no state but struct pveth_pace and knows no clock, and compiles in
 * userspace as well, where selftests/ring/pace.c shows it all kinds of load.
 */
#ifndef _PVETH_PACE_H
#define _PVETH_PACE_H

#ifdef __KERNEL__
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>
#include <linux/types.h>
#else
#include "pveth_ring_user.h"
#endif

/* A wait is decided on after so many polls that found work. */
#define PVETH_PACE_POLLS	16
/* So many frames for a wake-up are enough: its cost is then a few percent of
 * what the frames cost.
 */
#define PVETH_PACE_BATCH	64
/* Attempts that were in vain are repeated after so many decisions, at most. */
#define PVETH_PACE_HOLD		32
/* Shorter waits are not worth a timer. */
#define PVETH_PACE_MIN_NS	2000

/**
 * enum pveth_pace_step - what was done to a wait
 * @PVETH_PACE_KEPT: nothing
 * @PVETH_PACE_RAISED: it was made longer
 * @PVETH_PACE_LOWERED: it was made shorter, to see whether more comes then
 */
enum pveth_pace_step {
	PVETH_PACE_KEPT,
	PVETH_PACE_RAISED,
	PVETH_PACE_LOWERED,
};

/**
 * struct pveth_pace - what a wait is decided on by; all zero at first
 * @wait_ns: how long to wait; zero for not at all
 * @before_ns: the same before @step
 * @step: what the last decision was
 * @polls: polls that found work since then
 * @vain: those that found none meanwhile
 * @frames: what was found
 * @since: when that was
 * @rate: frames per second before that
 * @hold: decisions to go before another wait is tried
 * @patience: what @hold was set to the last time
 * @down: try a shorter wait the next time, since a longer one was no good
 */
struct pveth_pace {
	u32 wait_ns;
	u32 before_ns;
	enum pveth_pace_step step;
	u32 polls;
	u32 vain;
	u32 frames;
	u64 since;
	u64 rate;
	u32 hold;
	u32 patience;
	bool down;
};

static inline void pveth_pace_hold(struct pveth_pace *p)
{
	p->patience = clamp_t(u32, p->patience * 2, 1, PVETH_PACE_HOLD);
	p->hold = p->patience;
}

static inline void pveth_pace_shorten(struct pveth_pace *p)
{
	p->wait_ns /= 2;
	if (p->wait_ns < PVETH_PACE_MIN_NS)
		p->wait_ns = 0;
}

static inline void pveth_pace_raise(struct pveth_pace *p, u64 wait_ns,
				    u32 max_ns)
{
	p->before_ns = p->wait_ns;
	p->wait_ns = min_t(u64, wait_ns, max_ns);
	p->step = PVETH_PACE_RAISED;
}

static inline void pveth_pace_lower(struct pveth_pace *p)
{
	p->before_ns = p->wait_ns;
	pveth_pace_shorten(p);
	p->step = PVETH_PACE_LOWERED;
	p->down = false;
}

/* After PVETH_PACE_POLLS polls that found work */
static inline void pveth_pace_decide(struct pveth_pace *p, u64 ns, u32 max_ns)
{
	u64 rate = div64_u64((u64)p->frames * NSEC_PER_SEC, max_t(u64, ns, 1));
	u64 between = div_u64(ns, PVETH_PACE_POLLS);
	enum pveth_pace_step last = p->step;
	bool fell = rate < p->rate - p->rate / 8;
	bool rose = rate > p->rate + p->rate / 8;

	p->step = PVETH_PACE_KEPT;
	p->rate = rate;
	if (p->hold)
		p->hold--;

	if (!p->wait_ns) {
		if (!p->hold && between <= 4ULL * max_ns)
			pveth_pace_raise(p, between - between / 4, max_ns);
	} else if (p->frames < 2 * PVETH_PACE_POLLS ||
		   p->vain > PVETH_PACE_POLLS / 2) {
		p->wait_ns = 0;
		pveth_pace_hold(p);
	} else if (last == PVETH_PACE_RAISED && fell) {
		p->wait_ns = p->before_ns;
		p->down = true;
		pveth_pace_hold(p);
	} else if ((last == PVETH_PACE_LOWERED && rose) ||
		   (last == PVETH_PACE_KEPT && fell)) {
		pveth_pace_lower(p);
	} else if (last == PVETH_PACE_LOWERED) {
		p->wait_ns = p->before_ns;
		p->hold = PVETH_PACE_HOLD;
	} else if (p->frames > 2 * PVETH_PACE_BATCH * PVETH_PACE_POLLS) {
		pveth_pace_shorten(p);
	} else {
		if (last == PVETH_PACE_RAISED)
			p->patience = 0;
		if (p->frames >= PVETH_PACE_BATCH * PVETH_PACE_POLLS || p->hold)
			return;
		if (p->down || p->wait_ns == max_ns)
			pveth_pace_lower(p);
		else
			pveth_pace_raise(p, (u64)p->wait_ns * 2, max_ns);
	}
}

/**
 * pveth_pace_next() - decide how long to wait
 * @p: the pace
 * @now: the time
 * @frames: what was found since the last wait
 * @max_ns: the longest wait
 *
 * Return: how long, zero for not at all.
 */
static inline u32 pveth_pace_next(struct pveth_pace *p, u64 now, u32 frames,
				  u32 max_ns)
{
	if (!frames) {
		p->vain++;
		return 0;
	}
	p->frames += frames;
	if (++p->polls >= PVETH_PACE_POLLS) {
		pveth_pace_decide(p, now - p->since, max_ns);
		p->since = now;
		p->polls = 0;
		p->vain = 0;
		p->frames = 0;
	}
	p->wait_ns = min_t(u32, p->wait_ns, max_ns);
	return p->wait_ns;
}

#endif /* _PVETH_PACE_H */
