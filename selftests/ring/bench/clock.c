// SPDX-License-Identifier: GPL-2.0
/*
 * Times what ringtest's two threads do, without their start and their end
 *
 * ringtest's main.c is compiled with other names for main(),
 * pthread_setaffinity_np(), the last thing that a thread calls before its work,
 * and pthread_exit(), the first thing after it. The three are here.
 *
 *	PROGRAM REPEATS RINGTEST-ARGUMENT...
 *
 * prints the nanoseconds of each run.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "renamed.h"

static int threads;
static int64_t start, end;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The later of both */
static void set_later(int64_t *time)
{
	int64_t old = __atomic_load_n(time, __ATOMIC_RELAXED);
	int64_t new = now();

	while (old < new &&
	       !__atomic_compare_exchange_n(time, &old, new, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

int ringtest_setaffinity(pthread_t thread, size_t size, const cpu_set_t *set)
{
	int error = pthread_setaffinity_np(thread, size, set);

	__atomic_fetch_add(&threads, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&threads, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
	set_later(&start);
	return error;
}

void ringtest_exit(void *value)
{
	set_later(&end);
	pthread_exit(value);
}

int main(int argc, char **argv)
{
	int repeats = argc > 1 ? atoi(argv[1]) : 0;
	int status;

	if (repeats < 1) {
		fprintf(stderr, "usage: %s REPEATS RINGTEST-ARGUMENT...\n",
			argv[0]);
		return 2;
	}
	argv[1] = argv[0];
	while (repeats--) {
		threads = 0;
		start = 0;
		end = 0;
		optind = 0;
		status = ringtest_main(argc - 1, argv + 1);
		if (status)
			return status;
		printf("%lld\n", (long long)(end - start));
	}
	return 0;
}
