// SPDX-License-Identifier: GPL-2.0
/*
 * One ring: a producer and a consumer
 *
 * How much the consumer has taken, which in a queue pair the answers tell, goes
 * through a word of the test. Every entry is compared with what it must be, so
 * that none can be lost, seen twice, torn or early.
 *
 * Lost wake-ups show as two sides that wait for each other. They are likeliest
 * when an entry is published just as the consumer gives up, so the producer now
 * and then lets the ring run dry, waits for about as long as the consumer needs
 * to notice, and publishes a single entry.
 */
#include "test.h"

#define MAX_ENTRY_WORDS	(sizeof(struct pveth_desc) / sizeof(u64))

static size_t stream_bytes(const struct test_case *test)
{
	return pvring_bytes(test->size, test->entry_size);
}

static void stream_prepare(const struct test_case *test, u8 *data)
{
	struct pveth_ring *ring = (struct pveth_ring *)data;

	ring->prod = cpu_to_le32(test->start);
	ring->event = cpu_to_le32(test->start);
}

static void stream_dump(const struct test_case *test, u8 *data,
			const struct test_common *common)
{
	const struct pveth_ring *ring = (const struct pveth_ring *)data;

	printf("# prod %#x, event %#x, consumed up to %#x\n",
	       le32_to_cpu(READ_ONCE(ring->prod)),
	       le32_to_cpu(READ_ONCE(ring->event)),
	       READ_ONCE(common->answered) + test->start);
}

/* Decide about the doorbell for what was published. */
static void stream_announce(struct test_side *s, struct pvring_prod *p)
{
	if (pvring_prod_must_ring(p)) {
		s->report->count[0].rings++;
		test_ring_bell(s);
	}
}

static u32 stream_room(struct test_side *s, u64 sent)
{
	/* What the consumer is done with may be written again. */
	u32 answered = virt_load_acquire(&s->common->answered);

	return s->test->size - ((u32)sent - answered);
}

/* Let the consumer take all, unless it sleeps until there is more, and then wait
 * for about as long as it needs to notice.
 */
static void stream_run_dry(struct test_side *s, u64 sent)
{
	u32 patience = 4096, spin = test_random(s, 256);

	while (stream_room(s, sent) != s->test->size && patience--)
		test_relax();
	while (spin--)
		__asm__ volatile("" : : : "memory");
}

/* Write and publish entries, in one go or two. */
static void stream_send(struct test_side *s, struct pvring_prod *p, u64 sent,
			u32 n)
{
	u64 entry[MAX_ENTRY_WORDS];
	u32 split = test_random(s, n + 1);
	u32 i, word;

	for (i = 0; i < n; i++) {
		for (word = 0; word < s->test->entry_size / sizeof(u64); word++)
			entry[word] = test_pattern(s, sent + i, word);
		pvring_prod_write(p, i, entry, s->test->entry_size);
	}
	pvring_prod_publish(p, split);
	pvring_prod_publish(p, n - split);
}

static void stream_producer(struct test_side *s)
{
	struct pvring_prod p;
	u64 sent = 0;
	u32 n, room;

	pvring_prod_init(&p, (struct pveth_ring *)s->data, s->test->size,
			 s->test->start);
	while (sent < s->entries) {
		n = 1;
		room = stream_room(s, sent);
		test_check(s, room <= s->test->size);
		if (!room) {
			stream_announce(s, &p);
			test_relax();
			continue;
		}
		if (!test_random(s, 4)) {
			stream_announce(s, &p);
			stream_run_dry(s, sent);
		} else {
			n += test_random(s, room);
			if (n > s->entries - sent)
				n = s->entries - sent;
		}
		stream_send(s, &p, sent, n);
		sent += n;
		test_progress(s, n);
		/* One doorbell for several batches, now and then */
		if (test_random(s, 4))
			stream_announce(s, &p);
	}
	stream_announce(s, &p);
}

/* Take and check entries. */
static void stream_receive(struct test_side *s, struct pvring_cons *c, u64 got,
			   u32 n)
{
	u64 entry[MAX_ENTRY_WORDS];
	u64 expected;
	u32 i, word;

	for (i = 0; i < n; i++) {
		pvring_cons_read(c, i, entry, s->test->entry_size);
		for (word = 0; word < s->test->entry_size / sizeof(u64); word++) {
			expected = test_pattern(s, got + i, word);
			if (entry[word] != expected)
				test_fail(s, "entry %llu, word %u: %#llx, not %#llx",
					  (unsigned long long)(got + i), word,
					  (unsigned long long)entry[word],
					  (unsigned long long)expected);
		}
	}
	pvring_cons_advance(c, n);
}

/* Ask for a doorbell and wait for it, unless there is something already. */
static void stream_wait(struct test_side *s, struct pvring_cons *c, u64 got)
{
	u64 left = s->entries - got;
	u32 ahead = 0;

	if (!test_random(s, 8))
		ahead = test_random(s, left < s->test->size ? left : s->test->size);
	s->report->count[0].arms++;
	if (!pvring_cons_arm(c, ahead))
		test_sleep(s);
}

static void stream_consumer(struct test_side *s)
{
	struct pvring_cons c;
	u64 got = 0;
	int avail;
	u32 n;

	pvring_cons_init(&c, (struct pveth_ring *)s->data, s->test->size,
			 s->test->start);
	while (got < s->entries) {
		avail = test_random(s, 2) ? pvring_cons_avail(&c) :
					    pvring_cons_refresh(&c);
		test_check(s, avail >= 0 && avail <= (int)s->test->size);
		if (!avail) {
			stream_wait(s, &c, got);
			continue;
		}
		n = 1 + test_random(s, avail);
		stream_receive(s, &c, got, n);
		got += n;
		test_progress(s, n);
		/* To the acquire in stream_room() */
		virt_store_release(&s->common->answered, (u32)got);
	}
}

#define STREAM(_name, _size, _type, _start, _spin, _share) {		\
	.name = "stream: " _name,					\
	.first = stream_producer,						\
	.second = stream_consumer,					\
	.bytes = stream_bytes,						\
	.prepare = stream_prepare,					\
	.dump = stream_dump,						\
	.size = _size,							\
	.entry_size = sizeof(_type),					\
	.start = _start,						\
	.spin = _spin,							\
	.share = _share,						\
}

const struct test_case stream_cases[] = {
	STREAM("64 descriptors, doorbell in memory", 64, struct pveth_desc,
	       0xffffffc0, true, 20),
	STREAM("64 completions, doorbell in memory", 64, struct pveth_done,
	       0xfffffff0, true, 20),
	STREAM("512 buffers, doorbell in memory", 512, struct pveth_buf,
	       0xffffff01, true, 15),
	STREAM("4096 descriptors, doorbell in memory", 4096, struct pveth_desc,
	       0xfffff001, true, 15),
	STREAM("64 descriptors, eventfd", 64, struct pveth_desc,
	       0xffffffff, false, 5),
	STREAM("512 completions, eventfd", 512, struct pveth_done,
	       0, false, 10),
	STREAM("4096 buffers, eventfd", 4096, struct pveth_buf,
	       0xfffff800, false, 15),
	{}
};
