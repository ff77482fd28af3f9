// SPDX-License-Identifier: GPL-2.0
/*
 * pvethctl top: what ports do now
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"

/* Where the terminal does not say how many lines it has */
#define LINES		24

/* Of ECMA-48: to the upper left corner, and nothing on the screen */
#define CLEAR		"\033[H\033[J"

/* In 80 columns */
#define ROW		"%-15s %-9s %8s %8s %8s %8s %8s %8s\n"

/* What is counted for a port, and the sum of which counters it is */
enum count {
	FROM_GUEST_BYTES,
	FROM_GUEST_FRAMES,
	TO_GUEST_BYTES,
	TO_GUEST_FRAMES,
	DROPPED,
	FILTERED,
	COUNTS,
};

static const char * const counters[COUNTS][6] = {
	[FROM_GUEST_BYTES] = { "g2h_bytes" },
	[FROM_GUEST_FRAMES] = { "g2h_frames" },
	[TO_GUEST_BYTES] = { "h2g_bytes" },
	[TO_GUEST_FRAMES] = { "h2g_frames" },
	[DROPPED] = { "g2h_bad", "g2h_dropped", "h2g_dropped", "rate_in_dropped",
		      "rate_out_dropped" },
};

struct row {
	json_t *port;
	size_t place;
	double per_second[COUNTS];
};

static json_int_t sum(json_t *port, enum count count)
{
	json_t *stats = json_object_get(port, "stats"), *number;
	const char * const *name = counters[count];
	const char *reason;
	json_int_t total = 0;

	if (count == FILTERED) {
		json_object_foreach(json_object_get(port, "filtered_out"), reason, number)
			total += json_integer_value(number);
		return total;
	}
	for (; *name; name++)
		total += json_integer_value(json_object_get(stats, *name));
	return total;
}

static json_t *find(json_t *ports, json_t *wanted)
{
	json_t *name = json_object_get(wanted, "name"), *port;
	size_t i;

	json_array_foreach(ports, i, port)
		if (json_equal(json_object_get(port, "name"), name))
			return port;
	return NULL;
}

/* A port is not what it was if it was made anew: then its counters begin at 0. */
static void set_rates(struct row *row, json_t *before, double seconds)
{
	unsigned int i;
	json_int_t now, then;

	for (i = 0; i < COUNTS; i++) {
		now = sum(row->port, i);
		then = before ? sum(before, i) : now;
		row->per_second[i] = now > then ? (now - then) / seconds : 0;
	}
}

/* The busiest first, and those that do nothing as they come: by name */
static int compare(const void *one, const void *other)
{
	const struct row *a = one, *b = other;
	double busy = a->per_second[FROM_GUEST_BYTES] + a->per_second[TO_GUEST_BYTES];
	double busier = b->per_second[FROM_GUEST_BYTES] + b->per_second[TO_GUEST_BYTES];

	if (busy != busier)
		return busy < busier ? 1 : -1;
	return a->place < b->place ? -1 : 1;
}

/* With a unit, in @text, which is returned */
static const char *scaled(double number, char *text, size_t len)
{
	static const char units[] = " kMGT";
	const char *unit = units;

	for (; number >= 1000 && unit[1]; unit++)
		number /= 1000;
	snprintf(text, len, number < 10 && unit != units ? "%.1f%c" : "%.0f%c", number, *unit);
	return text;
}

static void print_row(const struct row *row)
{
	const double *rate = row->per_second;
	json_t *port = row->port;
	char text[COUNTS][16];
	unsigned int i;

	for (i = 0; i < COUNTS; i++)
		scaled(rate[i] * (i == FROM_GUEST_BYTES || i == TO_GUEST_BYTES ? 8 : 1), text[i],
		       sizeof(text[i]));
	printf(ROW, json_string_value(json_object_get(port, "name")),
	       json_string_value(json_object_get(port, "state")),
	       text[FROM_GUEST_BYTES], text[FROM_GUEST_FRAMES], text[TO_GUEST_BYTES],
	       text[TO_GUEST_FRAMES], text[DROPPED], text[FILTERED]);
}

/* How many ports there is room for */
static size_t room(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return SIZE_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
		return LINES - 2;
	return size.ws_row - 2;
}

/**
 * print_top() - print what each port does
 * @ports: all ports as they are
 * @before: as they were, or NULL
 * @seconds: how long ago that was
 */
void print_top(json_t *ports, json_t *before, double seconds)
{
	size_t count = json_array_size(ports), i, lines = room();
	struct row *rows = calloc(count, sizeof(*rows));

	if (isatty(STDOUT_FILENO))
		fputs(CLEAR, stdout);
	printf(ROW, "NAME", "STATE", "OUT b/s", "frames/s", "IN b/s", "frames/s", "drops/s",
	       "filter/s");
	for (i = 0; rows && i < count; i++) {
		rows[i].port = json_array_get(ports, i);
		rows[i].place = i;
		set_rates(&rows[i], find(before, rows[i].port), seconds);
	}
	if (rows)
		qsort(rows, count, sizeof(*rows), compare);
	for (i = 0; rows && i < count && i < lines; i++)
		print_row(&rows[i]);
	free(rows);
}
