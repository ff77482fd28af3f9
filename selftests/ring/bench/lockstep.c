// SPDX-License-Identifier: GPL-2.0
/*
 * Both sides of a ring in turn, in one thread: in place of ringtest's main.c
 *
 * Nothing waits and no cache line moves between processors, so that what is left
 * is the work of both sides, and callgrind counts the same each time.
 *
 *	PROGRAM REPEATS CYCLES BATCH [notify]
 *
 * does CYCLES times a batch: the guest adds BATCH buffers, the host uses them,
 * the guest gets them back. With "notify" both sides also ask for a doorbell,
 * and find out whether to ring. Prints the nanoseconds of each repeat.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "main.h"

/* What a ring takes from ringtest's main.c */
bool do_sleep, do_relax, do_exit;
int param, batch = 1, runcycles;
unsigned int ring_size = 256;

static unsigned long doorbells;

void kick(void)
{
	doorbells++;
}

void call(void)
{
	doorbells++;
}

static void check(bool good)
{
	if (good)
		return;
	fputs("lockstep: a buffer got lost\n", stderr);
	exit(1);
}

static void one_batch(void)
{
	unsigned int len;
	void *buf;
	int i;

	for (i = 0; i < batch; i++)
		check(!add_inbuf(0, "Buffer\n", "Hello, world!"));
	if (do_sleep)
		kick_available();
	for (i = 0; i < batch; i++) {
		check(use_buf(&len, &buf));
		if (do_sleep)
			call_used();
	}
	/* Which is when ringtest's host sees that there is no more */
	avail_empty();
	if (do_sleep) {
		call_used();
		check(enable_kick());
	}
	for (i = 0; i < batch; i++)
		check(get_buf(&len, &buf));
	if (do_sleep)
		/* "ring" takes what was never added for used. */
		enable_call();
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int main(int argc, char **argv)
{
	int repeats, i;
	int64_t start;

	if (argc < 4) {
		fprintf(stderr, "usage: %s REPEATS CYCLES BATCH [notify]\n",
			argv[0]);
		return 2;
	}
	repeats = atoi(argv[1]);
	runcycles = atoi(argv[2]);
	batch = atoi(argv[3]);
	do_sleep = argc > 4 && !strcmp(argv[4], "notify");
	alloc_ring();
	while (repeats--) {
		start = now();
		for (i = 0; i < runcycles; i++)
			one_batch();
		printf("%lld\n", (long long)(now() - start));
	}
	return 0;
}
