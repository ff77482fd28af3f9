// SPDX-License-Identifier: GPL-2.0
/*
 * portctl: what the played guest and the played host have in common
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "portctl.h"

const char *field_text(struct fields *f, const char *name)
{
	size_t len = strlen(name);
	unsigned int i;

	for (i = 0; i < f->count; i++) {
		if (strncmp(f->words[i], name, len) || f->words[i][len] != '=')
			continue;
		f->used |= 1ULL << i;
		return f->words[i] + len + 1;
	}
	return NULL;
}

uint64_t field(struct fields *f, const char *name, uint64_t otherwise)
{
	const char *text = field_text(f, name);

	return text ? parse_number(text) : otherwise;
}

/* Where an address of the session is */
void *at(const struct guest *g, uint64_t addr)
{
	const struct region *region;

	if (!g->direct)
		return (char *)g->window + addr;
	for (region = g->region; region < g->region + g->regions; region++)
		if (region->memory && addr - region->guest_addr < region->bytes)
			return (char *)region->memory + (addr - region->guest_addr);
	die("no region has the address %#" PRIx64, addr);
}

static void start_ring(struct ring *ring, __le64 addr, __le32 size)
{
	*ring = (struct ring) { .addr = le64toh(addr), .size = le32toh(size) };
}

/* As the guest's page says */
void start_rings(struct guest *g)
{
	const struct pveth_queue_pair *pair = &guest_page(g)->queue[0];

	start_ring(&g->g2h, pair->g2h, pair->g2h_size);
	start_ring(&g->g2h_done, pair->g2h_done, pair->g2h_size);
	start_ring(&g->h2g_post, pair->h2g_post, pair->h2g_size);
	start_ring(&g->h2g, pair->h2g, pair->h2g_size);
}

/* The header of a broadcast frame */
void put_header(void *frame, struct fields *f)
{
	struct ethhdr header = {
		.h_source = { 0x52, 0x54, 0, 0, 0, 1 },
		.h_proto = htons(field(f, "ethertype", ETH_P_802_EX1)),
	};

	memset(header.h_dest, 0xff, ETH_ALEN);
	memcpy(frame, &header, sizeof(header));
}

void put_desc(struct pveth_desc *desc, struct fields *f, uint64_t addr, uint16_t id)
{
	*desc = (struct pveth_desc) {
		.addr			= htole64(field(f, "addr", addr)),
		.len			= htole32(field(f, "len", FRAME_LEN)),
		.id			= htole16(field(f, "id", id)),
		.flags			= htole16(field(f, "flags", 0)),
		.hdr.flags		= field(f, "hdr-flags", 0),
		.hdr.gso_type		= field(f, "gso-type", 0),
		.hdr.hdr_len		= htole16(field(f, "hdr-len", 0)),
		.hdr.gso_size		= htole16(field(f, "gso-size", 0)),
		.hdr.csum_start		= htole16(field(f, "csum-start", 0)),
		.hdr.csum_offset	= htole16(field(f, "csum-offset", 0)),
		.hdr.num_buffers	= htole16(field(f, "count", 1)),
		.hash			= htole32(field(f, "hash", 0)),
	};
}

void ring_peer(const struct guest *g, unsigned int vector)
{
	const uint64_t one = 1;

	/* Full of rings that nobody heard: one more would make no difference. */
	if (write(g->ring_fd[vector], &one, sizeof(one)) < 0 && errno != EAGAIN)
		die("cannot ring: %s", strerror(errno));
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Wait until the condition holds. It is looked at after each ring of the peer. */
bool wait_until(const struct guest *g, bool (*condition)(const struct guest *g), int ms)
{
	const uint64_t end = now_ns() + ms * 1000000ULL;
	struct pollfd fds[PVETH_MAX_FDS];
	uint64_t rings, now;
	unsigned int i;

	/* What we are to be rung for is written before we look: pveth_ring.h. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);

	for (i = 0; i < g->vectors; i++)
		fds[i] = (struct pollfd) { .fd = g->rung_fd[i], .events = POLLIN };
	while (!condition(g)) {
		now = now_ns();
		if (now >= end || poll(fds, g->vectors, (end - now) / 1000000 + 1) <= 0)
			return false;
		for (i = 0; i < g->vectors; i++)
			if (fds[i].revents && read(fds[i].fd, &rings, sizeof(rings)) < 0)
				die("cannot read an eventfd: %s", strerror(errno));
	}
	return true;
}

/* xorshift64, George Marsaglia, Xorshift RNGs, 2003: the same numbers from the same seed */
static uint64_t any_state;

/* Each step begins with numbers of its own, however many the one before took. */
void any_from(uint64_t seed, uint64_t step)
{
	const uint64_t odd = 0x9e3779b97f4a7c15;

	any_state = (seed + step * odd) ?: odd;
}

uint64_t any(uint64_t below)
{
	any_state ^= any_state << 13;
	any_state ^= any_state >> 7;
	any_state ^= any_state << 17;
	return any_state % below;
}

/* Numbers at the edge of what is allowed, and any others */
uint64_t any_number(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 13, 14, 63, 64, 65, 67, 68, 1514, 2047, 2048, 2049, 4096, 65521, 65535,
		65536, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX,
	};

	return any(2) ? edges[any(sizeof(edges) / sizeof(*edges))] : any(UINT64_MAX);
}

/* One field is another. */
void spoil_desc(struct pveth_desc *desc)
{
	switch (any(7)) {
	case 0:
		desc->addr = htole64(any_number());
		break;
	case 1:
		desc->len = htole32(any_number());
		break;
	case 2:
		desc->id = htole16(any_number());
		break;
	case 3:
		desc->flags = htole16(any_number());
		break;
	case 4:
		desc->hash = htole32(any_number());
		break;
	case 5:
		desc->hdr.num_buffers = htole16(any_number());
		break;
	case 6:
		((uint8_t *)&desc->hdr)[any(sizeof(desc->hdr))] = any(256);
		break;
	}
}

/* The last entry of a ring of frames, handed over already, changes while the peer looks: on
 * another processor at any time, on the same one whenever it takes that from us.
 */
void flip_desc(struct guest *g, struct ring *ring)
{
	struct pveth_desc *desc = entry_of(g, ring, ring->index - 1, sizeof(*desc));
	const struct pveth_desc one = *desc;
	struct pveth_desc other = one;
	const uint64_t end = now_ns() + 5000000;

	spoil_desc(&other);
	ring_peer(g, PVETH_VECTOR_QUEUE);
	while (now_ns() < end) {
		*desc = other;
		/* Both are written. */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		*desc = one;
	}
	if (any(2))
		*desc = other;
}

/* A word of a ring is another, whose ever it is. */
void spoil_index(struct guest *g)
{
	struct ring *const rings[] = { &g->g2h, &g->g2h_done, &g->h2g_post, &g->h2g };
	struct pveth_ring *words = words_of(g, rings[any(4)]);

	store(any(2) ? &words->prod : &words->event, any_number());
	ring_peer(g, PVETH_VECTOR_QUEUE);
}

/* Octets anywhere in what both share are others, but for the host's session word, by which
 * both find together again.
 */
void scribble(struct guest *g)
{
	const struct region *region = &g->region[g->direct ? any(g->regions) : 0];
	uint8_t *octets = g->window;
	__le32 *word = &host_page(g)->session;
	int i;

	if (g->direct && any(2))
		octets = (uint8_t *)region->memory + any(region->bytes - 64);
	else
		octets += any(g->window_size - 64);
	for (i = 0; i < 64; i++)
		if (octets + i < (uint8_t *)word || octets + i >= (uint8_t *)(word + 1))
			octets[i] = any(256);
}

static void run_step(struct guest *g, const struct step *steps, const char *name,
		     struct fields *f)
{
	const struct step *step = steps;
	unsigned int i;

	while (step->name && strcmp(name, step->name))
		step++;
	if (!step->name)
		die("no step: %s", name);
	step->run(g, f);
	for (i = 0; i < f->count; i++)
		if (!(f->used & 1ULL << i))
			die("%s: no field: %s", name, f->words[i]);
	fflush(stdout);
}

/* run_steps() - do what words say
 * @g: the one that is played
 * @steps: what there is, and behind that one without a name
 * @words: NAME [FIELD=VALUE]..., or "run" and a command for the shell; ends with NULL
 */
void run_steps(struct guest *g, const struct step *steps, char **words)
{
	struct fields f;
	char *name;

	while (*words) {
		name = *words++;
		if (!strcmp(name, "run")) {
			if (!*words || system(*words++))
				die("a command failed");
			continue;
		}
		for (f = (struct fields) { .words = words }; *words && strchr(*words, '='); words++)
			f.count++;
		run_step(g, steps, name, &f);
	}
}
