// SPDX-License-Identifier: GPL-2.0
/*
 * Test of include/pveth_pace.h: models of what frames come from, in microseconds
 *
 * What holds is to hold on machines where a doorbell costs 1 us and on those,
 * emulated, where it costs 70.
 */
#include "pveth_pace.h"
#include "test.h"

#define MAX_US		256
#define NSEC_PER_USEC	1000
#define POLLS		20000
/* Until it has found its pace */
#define SETTLE		2000
#define RING		512
#define MAX_FLOWS	64

/**
 * struct machine - what things cost
 * @frame: to send and to receive a frame
 * @doorbell: to ring
 * @wake: until who was rung or waited for a timer runs
 * @shared: there is one processor for both sides
 */
struct machine {
	double frame;
	double doorbell;
	double wake;
	bool shared;
};

static const struct machine machines[] = {
	{ 0.3, 1.5, 3, false }, { 1, 1.5, 3, false }, { 1, 4, 10, false },
	{ 12, 70, 60, false }, { 12, 70, 60, true },
};

/**
 * struct outcome - what came of it
 * @us: how long it took
 * @frames: how many came
 * @rings: doorbells
 * @timers: waits that a timer ended
 */
struct outcome {
	double us;
	u64 frames;
	u64 rings;
	u64 timers;
};

static double jitter(struct test_side *s, double part)
{
	return 1 + part * (test_random(s, 2001) / 1000.0 - 1);
}

/* The sender never waits. On a processor of its own it goes on meanwhile. */
static struct outcome flood(struct test_side *s, const struct machine *m,
			    u32 max_us)
{
	struct pveth_pace pace = {};
	struct outcome o = {};
	double now = 0, wait = 0, rest, wake;
	u32 n, polls;

	for (polls = 0; polls < POLLS; polls++) {
		if (polls == SETTLE)
			o = (struct outcome) { .us = -now };
		wake = m->wake * jitter(s, 0.3);
		if (wait == 0) {
			n = 1 + (m->shared ? 0 : wake / m->frame);
			now += m->frame + m->doorbell + wake;
			o.rings++;
		} else {
			rest = m->shared ? wait - wake : wait + wake;
			n = rest > 0 ? rest / m->frame : 0;
			n = n < RING / 2 ? n : RING / 2;
			now += wait + wake;
			o.timers++;
		}
		o.frames += n;
		wait = pveth_pace_next(&pace, now * NSEC_PER_USEC, n,
				       max_us * NSEC_PER_USEC);
		wait = n ? wait / NSEC_PER_USEC : 0;
		test_check(s, wait <= max_us);
	}
	o.us += now;
	return o;
}

/* So many exchanges at once, each of which asks again @think after it was
 * answered; sender and receiver have a processor each.
 */
static struct outcome exchanges(struct test_side *s, const struct machine *m,
				double think, u32 flows, u32 max_us)
{
	double next[MAX_FLOWS], now = 0, wait = 0, first;
	struct pveth_pace pace = {};
	struct outcome o = {};
	u32 i, n, polls;

	for (i = 0; i < flows; i++)
		next[i] = think * jitter(s, 1);
	for (polls = 0; polls < POLLS; polls++) {
		if (polls == SETTLE)
			o = (struct outcome) { .us = -now };
		if (wait == 0) {
			for (i = 1, first = next[0]; i < flows; i++)
				first = next[i] < first ? next[i] : first;
			now = (first > now ? first : now) + m->doorbell + m->wake;
			o.rings++;
		} else {
			now += wait + m->wake * jitter(s, 0.3);
			o.timers++;
		}
		for (i = 0, n = 0; i < flows; i++) {
			if (next[i] > now)
				continue;
			n++;
			next[i] = now + n * m->frame + think * jitter(s, 0.1);
		}
		now += n * m->frame;
		o.frames += n;
		wait = pveth_pace_next(&pace, now * NSEC_PER_USEC, n,
				       max_us * NSEC_PER_USEC);
		wait = n ? wait / NSEC_PER_USEC : 0;
	}
	o.us += now;
	return o;
}

/* Hardly a doorbell, few timers, and no slower than without waiting */
static void pace_flood(struct test_side *s)
{
	struct outcome o, plain;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		test_progress(s, 1);
		o = flood(s, &machines[i], MAX_US);
		plain = flood(s, &machines[i], 0);
		if (o.rings * 100 > o.frames ||
		    (o.rings + o.timers) * 12 > o.frames ||
		    o.frames / o.us < plain.frames / plain.us)
			test_fail(s, "machine %u: %llu frames, %llu doorbells, %llu timers",
				  i, (unsigned long long)o.frames,
				  (unsigned long long)o.rings,
				  (unsigned long long)o.timers);
	}
}

/* One exchange at a time is never held up, and hardly a timer is set. */
static void pace_exchange(struct test_side *s)
{
	static const double thinks[] = { 10, 25, 100, 500 };
	struct outcome o, plain;
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		for (k = 0; k < ARRAY_SIZE(thinks); k++) {
			test_progress(s, 1);
			o = exchanges(s, &machines[i], thinks[k], 1, MAX_US);
			plain = exchanges(s, &machines[i], thinks[k], 1, 0);
			if (o.frames / o.us < 0.99 * plain.frames / plain.us ||
			    o.timers * 10 > o.frames)
				test_fail(s, "machine %u, every %g us: %g exchanges per ms, %g without waiting; %llu timers for %llu frames",
					  i, thinks[k], 1000 * o.frames / o.us,
					  1000 * plain.frames / plain.us,
					  (unsigned long long)o.timers,
					  (unsigned long long)o.frames);
		}
	}
}

/* What is found out depends on luck: one time in hundreds it is a tenth less. */
#define RUNS	16

static double exchange_rate(struct test_side *s, const struct machine *m, u32 flows,
			    u32 max_us)
{
	double sum = 0;
	struct outcome o;
	u32 i;

	for (i = 0; i < RUNS; i++) {
		o = exchanges(s, m, 25, flows, max_us);
		sum += 1000 * o.frames / o.us;
	}
	return sum / RUNS;
}

/* Many exchanges at once lose little to the waits. */
static void pace_exchanges(struct test_side *s)
{
	static const u32 flows[] = { 2, 4, 16, 64 };
	double rate, plain;
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		for (k = 0; k < ARRAY_SIZE(flows); k++) {
			test_progress(s, 1);
			rate = exchange_rate(s, &machines[i], flows[k], MAX_US);
			plain = exchange_rate(s, &machines[i], flows[k], 0);
			if (rate < 0.8 * plain)
				test_fail(s, "machine %u, %u at once: %g exchanges per ms, %g without waiting",
					  i, flows[k], rate, plain);
		}
	}
}

/* After a flood an exchange is not held up for long. */
static void pace_recovers(struct test_side *s)
{
	struct pveth_pace pace = { .wait_ns = MAX_US * NSEC_PER_USEC };
	u64 now = 0;
	u32 i;

	test_progress(s, 1);
	for (i = 0; i < 4 * PVETH_PACE_POLLS; i++) {
		now += pace.wait_ns + 25 * NSEC_PER_USEC;
		pveth_pace_next(&pace, now, 1, MAX_US * NSEC_PER_USEC);
	}
	test_check(s, pace.wait_ns < 25 * NSEC_PER_USEC);
}

/* Bounds that change meanwhile */
static void pace_bounds(struct test_side *s)
{
	struct pveth_pace pace = {};
	u64 now = 0;
	u32 i, max_ns;

	for (i = 0; i < 100000; i++) {
		test_progress(s, 1);
		max_ns = test_random(s, 4) ? test_random(s, 1000000) : 0;
		now += test_random(s, 100000);
		test_check(s, pveth_pace_next(&pace, now, test_random(s, 600),
					      max_ns) <= max_ns);
	}
}

const struct test_case pace_cases[] = {
	{ .name = "pace: a flood", .unit = pace_flood },
	{ .name = "pace: an exchange", .unit = pace_exchange },
	{ .name = "pace: many exchanges", .unit = pace_exchanges },
	{ .name = "pace: an exchange after a flood", .unit = pace_recovers },
	{ .name = "pace: bounds", .unit = pace_bounds },
	{}
};
