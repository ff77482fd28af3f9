// SPDX-License-Identifier: GPL-2.0
/*
 * Print the frequency of the processor's time stamp counter, in kHz
 *
 * Of two readings of counter and clock, each the closest of many: who loses the processor
 * between the two only makes a pair that is not taken.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct reading {
	uint64_t ticks;
	uint64_t ns;
};

static struct reading read_both(void)
{
	uint64_t before, after, closest = UINT64_MAX;
	struct reading reading = {};
	struct timespec now;
	int i;

	for (i = 0; i < 100; i++) {
		before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		after = __rdtsc();
		if (after - before >= closest)
			continue;
		closest = after - before;
		reading.ticks = before + closest / 2;
		reading.ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	}
	return reading;
}

int main(void)
{
	const uint64_t long_enough_ns = 50000000;
	const struct reading first = read_both();
	struct reading second;

	do
		second = read_both();
	while (second.ns - first.ns < long_enough_ns);
	printf("%.0f\n", (second.ticks - first.ticks) * 1e6 / (second.ns - first.ns));
	return 0;
}
