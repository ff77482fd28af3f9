/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stress test of include/pveth_ring.h: what its files share
 *
 * harness.c  runs the cases: two sides, a watchdog, TAP
 * unit.c     one side alone: bounds, wrap, and what a hostile peer can write
 * pace.c     what include/pveth_pace.h makes of loads of all kinds
 * stream.c   one ring: producer and consumer
 * pair.c     a queue pair: all four rings, as the driver and the backend use
 *            them
 *
 * A case has two sides. Each is a process that maps the shared memory at an
 * address of its own, so that a pointer which slips into the ring is noticed.
 * With --threads they are threads with one mapping, for ThreadSanitizer, which
 * sees the missing release or acquire that x86 would forgive.
 */
#ifndef _TEST_H
#define _TEST_H

#include <stdio.h>
#include <string.h>

#include "pveth_ring.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * struct test_common - of the test, in the memory that both sides share
 * @bell: doorbell of each side, where it is a word in memory
 * @answered: entries that the consumer is done with, where no ring says so
 */
struct test_common {
	u32 bell[2][PVETH_LINE_SIZE / sizeof(u32)];
	u32 answered;
};

/**
 * struct test_ring_count - what a side did with a ring
 * @rings: doorbells that the producer rang
 * @arms: times that the consumer asked for one
 *
 * The first entry is announced without being asked for, each other doorbell
 * answers one request: rings <= arms + 1.
 */
struct test_ring_count {
	u64 rings;
	u64 arms;
};

/**
 * struct test_report - what a side tells the harness
 * @progress: entries that it is done with; what the watchdog looks at
 * @sleeps: times that it went to sleep
 * @asleep: it sleeps now
 * @finished: it came to its end
 * @count: by number of the ring
 * @failure: what it found wrong, if anything
 */
struct test_report {
	u64 progress;
	u64 sleeps;
	u32 asleep;
	u32 finished;
	struct test_ring_count count[4];
	char failure[256];
};

struct test_case;

/**
 * struct test_side - a side of a running case
 * @test: the case
 * @index: which side
 * @common: shared memory of the test
 * @data: shared memory with the rings
 * @entries: how many there are to be
 * @seed: of the contents, the same on both sides
 * @random: state of the generator
 * @memory_fd: memfd of the shared memory
 * @bell_fd: eventfd that rings this side, and the one that rings the other
 * @bell_seen: value of this side's doorbell in memory when last looked at
 * @report: what the harness sees
 */
struct test_side {
	const struct test_case *test;
	unsigned int index;
	struct test_common *common;
	u8 *data;
	u64 entries;
	u64 seed;
	u64 random;
	int memory_fd;
	int bell_fd[2];
	u32 bell_seen;
	struct test_report *report;
};

/**
 * struct test_case - a case
 * @name: its name in the TAP output
 * @unit: it has but one side, which is this; the rest is not used then
 * @first: what side 0 does
 * @second: what side 1 does
 * @bytes: shared memory that it needs, a multiple of PVETH_LINE_SIZE. What
 *	follows it is not mapped.
 * @prepare: fills in the shared memory beforehand; optional
 * @dump: says what the shared words are, when the sides are stuck
 * @size: entries of a ring
 * @entry_size: bytes of an entry
 * @start: first index
 * @spin: doorbells are words in memory, which is fast and makes many more
 *	races; else they are eventfds, and the sides really sleep
 * @share: of the entries asked for, this many per cent
 */
struct test_case {
	const char *name;
	void (*unit)(struct test_side *s);
	void (*first)(struct test_side *s);
	void (*second)(struct test_side *s);
	size_t (*bytes)(const struct test_case *test);
	void (*prepare)(const struct test_case *test, u8 *data);
	void (*dump)(const struct test_case *test, u8 *data,
		     const struct test_common *common);
	u32 size;
	size_t entry_size;
	u32 start;
	bool spin;
	unsigned int share;
};

/* harness.c */
void test_fail(struct test_side *s, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void test_ring_bell(struct test_side *s);
void test_sleep(struct test_side *s);
void test_relax(void);

#define test_check(s, condition) do {					\
	if (!(condition))						\
		test_fail(s, "%s:%d: %s", __FILE__, __LINE__, #condition); \
} while (0)

static inline void test_progress(struct test_side *s, u64 n)
{
	u64 progress = s->report->progress + n;

	WRITE_ONCE(s->report->progress, progress);
}

/* xorshift64*; never zero */
static inline u32 test_random(struct test_side *s, u32 below)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (s->random * 0x2545f4914f6cdd1dULL >> 32) * (u64)below >> 32;
}

/* What is in word @word of item @n of a case: both sides know it. splitmix64 */
static inline u64 test_pattern(const struct test_side *s, u64 n, u32 word)
{
	u64 x = s->seed + (n * 8 + word) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* stream.c, pair.c, unit.c, pace.c: cases, the last one without a name */
extern const struct test_case unit_cases[];
extern const struct test_case pace_cases[];
extern const struct test_case stream_cases[];
extern const struct test_case pair_cases[];

#endif /* _TEST_H */
