// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses, routes, limits and settings of interfaces for tests of pvethd: a part of
 * fake_kernel.c, with the commands that show them
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_kernel.h"
#include "network.h"

static int fail_route, fail_limit;
static char blocked[1024];

void fake_route_fail(int error)
{
	fail_route = error;
}

void fake_limit_fail(int error)
{
	fail_limit = error;
}

const char *fake_route_blocked(void)
{
	return blocked;
}

int address_set(unsigned int ifindex, const struct address *address, unsigned int length,
		struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);
	struct prefix prefix = { *address, length };
	char text[PREFIX_TEXT];

	if (!link || fail_route)
		return fail(link ? fail_route : ENODEV, err);
	prefix_format(&prefix, text);
	remember(link->addresses, sizeof(link->addresses), text);
	return 0;
}

int addresses_find(void (*found)(const char *interface, const struct prefix *prefix, void *data),
		   void *data, struct error *err)
{
	char copy[sizeof(((struct fake_link *)NULL)->addresses)], *word, *length, *rest;
	struct fake_link *link;
	struct address address;
	struct prefix prefix;
	int family;

	for (link = fake_link_next(NULL); link; link = fake_link_next(link)) {
		strcpy(copy, link->addresses);
		for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
			length = strchr(word, '/');
			*length++ = '\0';
			family = strchr(word, ':') ? AF_INET6 : AF_INET;
			if (address_parse(word, family, &address, err))
				return -1;
			prefix = prefix_of(&address, atoi(length));
			found(link->name, &prefix, data);
		}
	}
	return 0;
}

int route_set(unsigned int ifindex, const struct address *to, const struct address *from,
	      struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);
	char text[2 * ADDRESS_TEXT + 1], source[ADDRESS_TEXT];

	if (!link || !link->info.up || fail_route)
		return fail(!link ? ENODEV : fail_route ? fail_route : ENETDOWN, err);
	address_format(to, text);
	address_format(from, source);
	sprintf(strchr(text, '\0'), "<%s", source);
	remember(link->routes, sizeof(link->routes), text);
	return 0;
}

bool has_ipv6(const char *interface)
{
	struct fake_link *link = fake_link_named(interface);

	return link && link->info.mtu >= 1280;
}

int route_block(const struct prefix *prefix, struct error *err)
{
	char text[PREFIX_TEXT];

	if (fail_route)
		return fail(fail_route, err);
	prefix_format(prefix, text);
	remember(blocked, sizeof(blocked), text);
	return 0;
}

int route_unblock(const struct prefix *prefix, struct error *err)
{
	char text[PREFIX_TEXT], *at;

	prefix_format(prefix, text);
	at = strstr(blocked, text);
	if (!at)
		return fail(ESRCH, err);
	memset(at, '-', strlen(text));
	return 0;
}

int route_unset(unsigned int ifindex, const struct address *to, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);
	char text[ADDRESS_TEXT + 1], *at;

	address_format(to, text);
	strcat(text, "<");
	at = link ? strstr(link->routes, text) : NULL;
	if (!at)
		return fail(link ? ESRCH : ENODEV, err);
	for (; *at && *at != ' '; at++)
		*at = '-';
	return 0;
}

static int limit(unsigned int ifindex, bool out, uint64_t bits, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	if (!link || fail_limit)
		return fail(link ? fail_limit : ENODEV, err);
	*(out ? &link->rate_out : &link->rate_in) = bits;
	return 0;
}

int rate_limit_out(unsigned int ifindex, uint64_t bits, struct error *err)
{
	return limit(ifindex, true, bits, err);
}

int rate_limit_in(unsigned int ifindex, uint64_t bits, struct error *err)
{
	return limit(ifindex, false, bits, err);
}

static int drops(unsigned int ifindex, bool out, uint64_t *packets, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	if (!link || !(out ? link->rate_out : link->rate_in))
		return fail(link ? ENOENT : ENODEV, err);
	*packets = out ? link->drops_out : link->drops_in;
	return 0;
}

int rate_drops_out(unsigned int ifindex, uint64_t *packets, struct error *err)
{
	return drops(ifindex, true, packets, err);
}

int rate_drops_in(unsigned int ifindex, uint64_t *packets, struct error *err)
{
	return drops(ifindex, false, packets, err);
}

int setting_set(int family, const char *interface, const char *name, bool on,
		struct error *err)
{
	struct fake_link *link = fake_link_named(interface);
	char text[64];

	if (!link)
		return fail(ENOENT, err);
	snprintf(text, sizeof(text), "%s.%s=%d", family_name(family), name, on);
	remember(link->settings, sizeof(link->settings), text);
	return 0;
}

int keep_routers_of(const char *interface, struct error *err)
{
	struct fake_link *link = fake_link_named(interface);

	(void)err;
	if (link)
		remember(link->settings, sizeof(link->settings), "routers=kept");
	return 0;
}

int forward_ipv6(struct error *err)
{
	(void)err;
	return 0;
}
