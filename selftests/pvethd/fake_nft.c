// SPDX-License-Identifier: GPL-2.0
/*
 * nftables for tests of pvethd: a part of fake_kernel.c, with the commands that pvethd has
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_kernel.h"
#include "network.h"

#define MAX_CHAINS	512

/* A chain of nftables */
static struct fake_chain {
	char name[48];
	char rules[4096];
	bool there;
} chains[MAX_CHAINS];
/* "SET INTERFACE" for each element, and what is counted for the first */
static char elements[256 << 10];
static unsigned int first_count;
static struct fake_chain *flushed;
static struct event *flush_event, *deleted_event;
/* Names of chains that were deleted, and have not been reported, with spaces between them */
static char deleted[4096];
static int fail_run;

static struct fake_chain *find_chain(const char *name)
{
	struct fake_chain *chain;

	for (chain = chains; chain->name[0]; chain++)
		if (!strcmp(chain->name, name))
			return chain;
	if (chain == chains + MAX_CHAINS - 1)
		abort();
	snprintf(chain->name, sizeof(chain->name), "%s", name);
	return chain;
}

static void clear(struct fake_chain *chain)
{
	chain->there = false;
	chain->rules[0] = '\0';
}

static const char * const uplink_chains[] = { "out", "in", "guard" };

static bool is_uplinks(const char *chain)
{
	unsigned int i;

	for (i = 0; i < COUNT(uplink_chains); i++)
		if (!strcmp(uplink_chains[i], chain))
			return true;
	return false;
}

static void clear_uplinks(void)
{
	unsigned int i;

	for (i = 0; i < COUNT(uplink_chains); i++)
		clear(find_chain(uplink_chains[i]));
}

/* The commands that pvethd has */
static void nft_line(const char *line)
{
	char verb[16], object[16], family[16], name[48] = "", interface[IFNAMSIZ] = "", word[80];
	char *known;
	struct fake_chain *chain;
	int at = 0;

	if (sscanf(line, "%15s %15s %15s pveth %47s %n", verb, object, family, name, &at) < 3)
		abort();
	if (!strcmp(object, "table") && strcmp(verb, "add"))
		clear_uplinks();
	if (!strcmp(object, "table") || !strcmp(object, "set"))
		return;
	if (!strcmp(object, "element")) {
		/* If it is no interface, it has no name. */
		if (sscanf(line + at, "{ \"%15[^\"]", interface) < 0)
			abort();
		snprintf(word, sizeof(word), "%s<%s", name, interface);
		remember(elements, sizeof(elements), word);
		known = strstr(elements, word);
		if (!strcmp(verb, "delete"))
			memset(known, '-', strlen(word));
		return;
	}
	chain = find_chain(name);
	if (!strcmp(object, "rule")) {
		if (!chain->there ||
		    strlen(chain->rules) + strlen(line + at) + 3 > sizeof(chain->rules))
			abort();
		sprintf(strchr(chain->rules, '\0'), "%s; ", line + at);
		return;
	}
	if (chain->there && !strcmp(verb, "delete")) {
		remember(deleted, sizeof(deleted), name);
		event_active(deleted_event, EV_READ, 0);
	}
	chain->there = strcmp(verb, "delete");
	if (strcmp(verb, "add"))
		chain->rules[0] = '\0';
}

int nft_run(const char *commands, struct error *err)
{
	char *copy, *line, *rest;

	if (fail_run)
		return fail(fail_run, err);
	copy = strdup(commands);
	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		nft_line(line);
	free(copy);
	return 0;
}

int nft_counters(const char *table, const char *set,
		 void (*found)(const char *name, uint64_t packets, void *data), void *data,
		 struct error *err)
{
	char *copy = strdup(elements), *word, *rest, *interface;
	unsigned int count = first_count;

	(void)table;
	(void)err;
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		interface = strchr(word, '<');
		/* An address is no interface. */
		if (interface && !interface[1])
			continue;
		if (interface && !strncmp(word, set, interface - word) && !set[interface - word])
			found(interface + 1, count, data);
		count += !!first_count;
	}
	free(copy);
	return 0;
}

int nft_chains(void (*found)(const char *table, const char *chain, void *data), void *data,
	       struct error *err)
{
	struct fake_chain *chain;

	(void)err;
	for (chain = chains; chain->name[0]; chain++)
		if (chain->there)
			found("pveth", chain->name, data);
	return 0;
}

static void flush_now(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	if (what & EV_WRITE)
		filters_check();
	else if (is_uplinks(flushed->name))
		uplinks_deleted("pveth");
	else
		filter_deleted("pveth", flushed->name);
}

/* Whoever deleted them */
static void report_deleted(evutil_socket_t fd, short what, void *arg)
{
	char *name, *rest;

	(void)fd;
	(void)what;
	(void)arg;
	for (name = strtok_r(deleted, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
		if (!is_uplinks(name))
			filter_deleted("pveth", name);
	deleted[0] = '\0';
}

/* A chain is deleted, and pvethd told. */
void fake_nft_flush(const char *name)
{
	flushed = find_chain(name);
	clear(flushed);
	event_active(flush_event, EV_READ, 0);
}

/* A chain is deleted, and pvethd told that reports were lost. */
void fake_nft_lose(const char *name)
{
	clear(find_chain(name));
	event_active(flush_event, EV_WRITE, 0);
}

/* A chain of a link's packets goes with it, and nobody says so. */
void fake_nft_unlink(const char *link)
{
	char name[48];

	snprintf(name, sizeof(name), "port/%s", link);
	clear(find_chain(name));
}

const char *fake_nft_rules(const char *name)
{
	return find_chain(name)->there ? find_chain(name)->rules : "none";
}

/* Counters are this, one more, and so on. */
void fake_nft_count(unsigned int first)
{
	first_count = first;
}

void fake_nft_fail(int error)
{
	fail_run = error;
}

int fake_nft_open(struct event_base *base)
{
	flush_event = event_new(base, -1, 0, flush_now, NULL);
	deleted_event = event_new(base, -1, 0, report_deleted, NULL);
	return flush_event && deleted_event ? 0 : -1;
}

void fake_nft_close(void)
{
	event_free(flush_event);
	event_free(deleted_event);
}
