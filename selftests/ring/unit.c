// SPDX-License-Identifier: GPL-2.0
/*
 * One side alone: where entries are, when a doorbell is due, and what a hostile
 * peer's words lead to
 */
#include "test.h"

#define UNIT_SIZE	64

/* Where indices wrap in one sense or another */
static const u32 starts[] = {
	0, 1, UNIT_SIZE - 1, UNIT_SIZE, 0x7fffffff - UNIT_SIZE, 0x7fffffff,
	0x80000000, 0xffffffff - UNIT_SIZE, 0xfffffffe, 0xffffffff,
};

static const size_t entry_sizes[] = {
	sizeof(struct pveth_done), sizeof(struct pveth_buf),
	sizeof(struct pveth_desc),
};

static const u32 sizes[] = { PVETH_MIN_RING_SIZE, 512, PVETH_MAX_RING_SIZE };

/* A ring of the largest size, and what must not be touched around it */
#define GUARD_WORDS	16
#define RING_WORDS	((sizeof(struct pveth_ring) + PVETH_MAX_RING_SIZE * \
			  sizeof(struct pveth_desc)) / sizeof(u64))

static struct {
	u64 before[GUARD_WORDS];
	u64 ring[RING_WORDS];
	u64 after[GUARD_WORDS];
} __attribute__((aligned(PVETH_LINE_SIZE))) memory;

/* A ring as a session finds it; the entries are not touched. */
static struct pveth_ring *fresh_ring(u32 start)
{
	struct pveth_ring *ring = (struct pveth_ring *)memory.ring;

	ring->prod = cpu_to_le32(start);
	ring->event = cpu_to_le32(start);
	return ring;
}

static bool all_zero(const void *data, size_t bytes)
{
	const u8 *byte = data;

	while (bytes--) {
		if (*byte++)
			return false;
	}
	return true;
}

/* What a producer writes is where the consumer looks, one entry after the
 * other, and nowhere else.
 */
static void layout_one(struct test_side *s, u32 size, size_t entry_size,
		       u32 start)
{
	struct pveth_ring *ring = fresh_ring(start);
	size_t words = entry_size / sizeof(u64);
	u64 entry[4], *at;
	struct pvring_prod p;
	struct pvring_cons c;
	u32 i, word;

	memset(memory.ring + sizeof(*ring) / sizeof(u64), 0,
	       sizeof(memory.ring) - sizeof(*ring));
	pvring_prod_init(&p, ring, size, start);
	pvring_cons_init(&c, ring, size, start);
	for (i = 0; i < size; i++) {
		for (word = 0; word < words; word++)
			entry[word] = test_pattern(s, start + i, word);
		pvring_prod_write(&p, i, entry, entry_size);
	}
	test_check(s, all_zero(memory.before, sizeof(memory.before)));
	test_check(s, all_zero((u8 *)ring + pvring_bytes(size, entry_size),
			       (u8 *)(&memory + 1) - (u8 *)ring -
			       pvring_bytes(size, entry_size)));
	test_check(s, le32_to_cpu(ring->prod) == start);
	test_check(s, le32_to_cpu(ring->event) == start);
	test_check(s, all_zero(ring->reserved0, sizeof(ring->reserved0)));
	test_check(s, all_zero(ring->reserved1, sizeof(ring->reserved1)));

	/* Independently of the header: entry i is the (i modulo size)th. */
	for (i = 0; i < size; i++) {
		at = memory.ring + sizeof(*ring) / sizeof(u64) +
		     (start + i) % size * words;
		for (word = 0; word < words; word++)
			test_check(s, at[word] == test_pattern(s, start + i, word));
		pvring_cons_read(&c, i, entry, entry_size);
		for (word = 0; word < words; word++)
			test_check(s, entry[word] == test_pattern(s, start + i, word));
	}
}

static void unit_layout(struct test_side *s)
{
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(entry_sizes); j++) {
			for (k = 0; k < ARRAY_SIZE(starts); k++)
				layout_one(s, sizes[i], entry_sizes[j],
					   starts[k]);
		}
	}
}

/* The functions that make an entry out of its fields copy each bit of it. */
static void unit_typed(struct test_side *s)
{
	union {
		struct pveth_desc desc;
		struct pveth_done done;
		struct pveth_buf buf;
		u64 word[4];
	} from, to;
	struct pvring_prod p;
	struct pvring_cons c;
	u32 i, word;

	pvring_prod_init(&p, fresh_ring(0), UNIT_SIZE, 0);
	pvring_cons_init(&c, p.ring, UNIT_SIZE, 0);
	for (i = 0; i < UNIT_SIZE; i++) {
		for (word = 0; word < ARRAY_SIZE(from.word); word++)
			from.word[word] = test_pattern(s, i, word);

		pvring_prod_write_desc(&p, i, &from.desc);
		pvring_cons_read(&c, i, &to, sizeof(to.desc));
		test_check(s, !memcmp(&from, &to, sizeof(to.desc)));

		pvring_prod_write_done(&p, i, &from.done);
		pvring_cons_read(&c, i, &to, sizeof(to.done));
		test_check(s, !memcmp(&from, &to, sizeof(to.done)));

		pvring_prod_write_buf(&p, i, &from.buf);
		pvring_cons_read(&c, i, &to, sizeof(to.buf));
		test_check(s, !memcmp(&from, &to, sizeof(to.buf)));
	}
}

/* Nothing to read, then as much as is published, from the cached index or not */
static void unit_avail(struct test_side *s)
{
	struct pveth_ring *ring;
	struct pvring_prod p;
	struct pvring_cons c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		ring = fresh_ring(starts[i]);
		pvring_prod_init(&p, ring, UNIT_SIZE, starts[i]);
		pvring_cons_init(&c, ring, UNIT_SIZE, starts[i]);
		test_check(s, pvring_cons_avail(&c) == 0);
		pvring_prod_publish(&p, 3);
		test_check(s, le32_to_cpu(ring->prod) == starts[i] + 3);
		test_check(s, pvring_cons_avail(&c) == 3);
		pvring_prod_publish(&p, UNIT_SIZE - 3);
		/* Known entries come first, the shared index is left alone. */
		test_check(s, pvring_cons_avail(&c) == 3);
		test_check(s, pvring_cons_refresh(&c) == UNIT_SIZE);
		pvring_cons_advance(&c, UNIT_SIZE - 1);
		test_check(s, pvring_cons_avail(&c) == 1);
		pvring_cons_advance(&c, 1);
		test_check(s, pvring_cons_avail(&c) == 0);
		pvring_prod_publish(&p, 1);
		test_check(s, pvring_cons_avail(&c) == 1);
	}
}

/* Whatever the peer writes as its index, the consumer takes it only if it is
 * not behind what it was, and not more than the ring ahead of the consumer.
 */
static void hostile_one(struct test_side *s, u32 start, u32 known, u32 read,
			u32 offset)
{
	struct pveth_ring *ring = fresh_ring(start);
	bool possible = offset >= known && offset - read <= UNIT_SIZE;
	struct pvring_cons c;
	int avail;

	pvring_cons_init(&c, ring, UNIT_SIZE, start);
	ring->prod = cpu_to_le32(start + known);
	test_check(s, pvring_cons_refresh(&c) == (int)known);
	pvring_cons_advance(&c, read);

	ring->prod = cpu_to_le32(start + offset);
	avail = pvring_cons_refresh(&c);
	if (possible) {
		test_check(s, avail == (int)(offset - read));
		test_check(s, c.prod == start + offset);
		return;
	}
	test_check(s, avail == -EPROTO);
	/* It is no better the next time, and does not go away. */
	test_check(s, pvring_cons_refresh(&c) == -EPROTO);
	test_check(s, c.prod == start + known && c.cons == start + read);
	if (known == read) {
		test_check(s, pvring_cons_avail(&c) == -EPROTO);
		/* Do not sleep over it. */
		test_check(s, pvring_cons_arm(&c, 0));
		test_check(s, pvring_cons_arm(&c, UNIT_SIZE - 1));
	}
}

static void unit_hostile(struct test_side *s)
{
	static const u32 jumps[] = {
		0, 1, 2, UNIT_SIZE - 1, UNIT_SIZE, UNIT_SIZE + 1,
		2 * UNIT_SIZE - 1, 2 * UNIT_SIZE, 2 * UNIT_SIZE + 1, 0x1000,
		0x7fffffff, 0x80000000, 0x80000001, 0xffff0000,
		-(u32)UNIT_SIZE - 1, -(u32)UNIT_SIZE, 1 - (u32)UNIT_SIZE, -2U,
		-1U,
	};
	unsigned int i, j;
	u32 known, read;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		test_progress(s, 1);
		for (known = 0; known <= UNIT_SIZE; known++) {
			for (read = 0; read <= known; read++) {
				for (j = 0; j < ARRAY_SIZE(jumps); j++) {
					hostile_one(s, starts[i], known, read,
						    jumps[j]);
					hostile_one(s, starts[i], known, read,
						    known + jumps[j]);
					hostile_one(s, starts[i], known, read,
						    read + jumps[j]);
				}
			}
		}
	}
}

/* The doorbell is due if the entry at event is among the new ones: compared
 * with the definition, entry by entry.
 */
static void must_ring_one(struct test_side *s, u32 start, u32 produced,
			  u32 event)
{
	struct pveth_ring *ring = fresh_ring(start);
	struct pvring_prod p;
	bool due = false;
	u32 i;

	for (i = 0; i < produced; i++)
		due = due || start + i == event;

	pvring_prod_init(&p, ring, UNIT_SIZE, start);
	ring->event = cpu_to_le32(event);
	test_check(s, !pvring_prod_must_ring(&p));
	/* In two goes, which must be announced as one */
	pvring_prod_publish(&p, produced / 2);
	pvring_prod_publish(&p, produced - produced / 2);
	test_check(s, pvring_prod_must_ring(&p) == due);
	/* Once is enough. */
	test_check(s, !pvring_prod_must_ring(&p));
	test_check(s, le32_to_cpu(ring->event) == event);
}

static void unit_must_ring(struct test_side *s)
{
	static const u32 far[] = { 0x7fffffff, 0x80000000, 0x80000001 };
	unsigned int i, j;
	u32 produced, around;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		test_progress(s, 1);
		for (produced = 0; produced <= UNIT_SIZE; produced++) {
			for (around = 0; around < 4 * UNIT_SIZE; around++)
				must_ring_one(s, starts[i], produced,
					      starts[i] - UNIT_SIZE + around);
			for (j = 0; j < ARRAY_SIZE(far); j++)
				must_ring_one(s, starts[i], produced,
					      starts[i] + far[j]);
		}
	}
}

/* Asking for a doorbell says whether the entry is there already, and the
 * producer rings for that entry and no other.
 */
static void arm_one(struct test_side *s, u32 start, u32 there, u32 ahead)
{
	struct pveth_ring *ring = fresh_ring(start);
	struct pvring_prod p;
	struct pvring_cons c;
	u32 n;

	pvring_prod_init(&p, ring, UNIT_SIZE, start);
	pvring_cons_init(&c, ring, UNIT_SIZE, start);
	pvring_prod_publish(&p, there);
	pvring_prod_must_ring(&p);
	test_check(s, pvring_cons_arm(&c, ahead) == (there > ahead));
	test_check(s, le32_to_cpu(ring->event) == start + ahead);
	test_check(s, le32_to_cpu(ring->prod) == start + there);
	for (n = there; n < UNIT_SIZE; n++) {
		pvring_prod_publish(&p, 1);
		test_check(s, pvring_prod_must_ring(&p) == (n == ahead));
	}
}

static void unit_arm(struct test_side *s)
{
	unsigned int i;
	u32 there, ahead;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		test_progress(s, 1);
		for (there = 0; there <= UNIT_SIZE; there++) {
			for (ahead = 0; ahead < UNIT_SIZE; ahead++)
				arm_one(s, starts[i], there, ahead);
		}
	}
}

const struct test_case unit_cases[] = {
	{ .name = "unit: entries are where they belong", .unit = unit_layout },
	{ .name = "unit: entries from their fields", .unit = unit_typed },
	{ .name = "unit: what can be read", .unit = unit_avail },
	{ .name = "unit: impossible producer index", .unit = unit_hostile },
	{ .name = "unit: when a doorbell is due", .unit = unit_must_ring },
	{ .name = "unit: asking for a doorbell", .unit = unit_arm },
	{}
};
