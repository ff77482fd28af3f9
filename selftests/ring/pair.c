// SPDX-License-Identifier: GPL-2.0
/* A queue pair: its memory, and what both sides do with a ring */
#include "pair.h"

static const size_t pair_entry_size[] = {
	[G2H]		= sizeof(struct pveth_desc),
	[G2H_DONE]	= sizeof(struct pveth_done),
	[H2G_POST]	= sizeof(struct pveth_buf),
	[H2G]		= sizeof(struct pveth_desc),
};

static size_t pair_bytes(const struct test_case *test)
{
	size_t bytes = 2 * test->size * SLOT_SIZE;
	int i;

	for (i = 0; i < 4; i++)
		bytes += pvring_bytes(test->size, pair_entry_size[i]);
	return bytes;
}

void pair_map(struct pair *pair, const struct test_case *test, u8 *data)
{
	int i;

	pair->size = test->size;
	pair->slots = (u64 *)data;
	data += 2 * test->size * SLOT_SIZE;
	for (i = 0; i < 4; i++) {
		pair->ring[i] = (struct pveth_ring *)data;
		data += pvring_bytes(test->size, pair_entry_size[i]);
	}
}

static void pair_prepare(const struct test_case *test, u8 *data)
{
	struct pair pair;
	int i;

	pair_map(&pair, test, data);
	for (i = 0; i < 4; i++) {
		pair.ring[i]->prod = cpu_to_le32(test->start);
		pair.ring[i]->event = cpu_to_le32(test->start);
	}
}

static void pair_dump(const struct test_case *test, u8 *data,
		      const struct test_common *common)
{
	static const char * const names[] = {
		"g2h", "g2h_done", "h2g_post", "h2g",
	};
	struct pair pair;
	int i;

	(void)common;
	pair_map(&pair, test, data);
	for (i = 0; i < 4; i++)
		printf("# %s: prod %#x, event %#x\n", names[i],
		       le32_to_cpu(READ_ONCE(pair.ring[i]->prod)),
		       le32_to_cpu(READ_ONCE(pair.ring[i]->event)));
}

void pair_fill(struct test_side *s, u64 *slot, u64 item)
{
	u32 i;

	for (i = 0; i < SLOT_WORDS; i++)
		slot[i] = test_pattern(s, item, i);
}

void pair_check(struct test_side *s, const u64 *slot, u64 item)
{
	u32 i;

	for (i = 0; i < SLOT_WORDS; i++) {
		if (slot[i] != test_pattern(s, item, i))
			test_fail(s, "fragment %#llx, word %u: %#llx, not %#llx",
				  (unsigned long long)item, i,
				  (unsigned long long)slot[i],
				  (unsigned long long)test_pattern(s, item, i));
	}
}

/* Publish, and ring if that is due. */
void pair_publish(struct test_side *s, struct pvring_prod *p, int ring,
		  u32 *pending)
{
	pvring_prod_publish(p, *pending);
	*pending = 0;
	if (pvring_prod_must_ring(p)) {
		s->report->count[ring].rings++;
		test_ring_bell(s);
	}
}

bool pair_arm(struct test_side *s, struct pvring_cons *c, int ring, u32 ahead)
{
	s->report->count[ring].arms++;
	return pvring_cons_arm(c, ahead);
}

u32 pair_avail(struct test_side *s, struct pvring_cons *c)
{
	int avail = test_random(s, 2) ? pvring_cons_avail(c) :
					pvring_cons_refresh(c);

	test_check(s, avail >= 0);
	return avail;
}

/* Take a random one out of @n IDs. */
u16 pair_pick(struct test_side *s, u16 *ids, u32 *n)
{
	u32 i = test_random(s, *n);
	u16 id = ids[i];

	ids[i] = ids[--*n];
	return id;
}

#define PAIR(_name, _size, _start, _spin, _share) {			\
	.name = "queue pair: " _name,					\
	.first = pair_guest,						\
	.second = pair_host,					\
	.bytes = pair_bytes,						\
	.prepare = pair_prepare,					\
	.dump = pair_dump,						\
	.size = _size,							\
	.start = _start,						\
	.spin = _spin,							\
	.share = _share,						\
}

const struct test_case pair_cases[] = {
	PAIR("64 entries, doorbell in memory", 64, 0xffffff80, true, 3),
	PAIR("512 entries, doorbell in memory", 512, 0xfffffffe, true, 3),
	PAIR("64 entries, eventfd", 64, 0xffffffff, false, 2),
	PAIR("4096 entries, eventfd", 4096, 0xfffff000, false, 3),
	{}
};
