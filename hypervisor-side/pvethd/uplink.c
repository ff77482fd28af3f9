// SPDX-License-Identifier: GPL-2.0
/*
 * The way out of networks that have an uplink, an interface of the host, and ports of
 * guests that are published there
 *
 * Addresses are translated by nftables, in the table "inet pveth". It is made of what
 * networks and ports are configured to be, all of it at once, so that a change is one
 * transaction; connections go on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "network.h"
#include "text.h"

#define IN_TABLE	"inet pveth "

/* nft(8)'s words */
static const char * const nft_families[FAMILIES] = { "ip", "ip6" };

/* What is in the table; at first nobody knows what an earlier pvethd has left there. */
static enum { NOTHING, PERHAPS, SOMETHING } made = PERHAPS;

/* What was said of the last try, if it failed */
static char problem[ERROR_TEXT];

static bool is_needed(void)
{
	const struct network *network;

	for (network = network_next(NULL); network; network = network_next(network))
		if (network->uplink[0])
			return true;
	return false;
}

static void write_nat(FILE *file, const struct network *network, unsigned int i)
{
	char text[PREFIX_TEXT];

	if (!network->nat[i])
		return;
	prefix_format(&network->pools[i].prefix, text);
	fprintf(file, "add rule " IN_TABLE "out %s saddr %s oifname \"%s\" masquerade\n",
		nft_families[i], text, network->uplink);
}

/* Who is outside is not to have names or addresses from us, whichever network's. */
static void write_guard(FILE *file, const char *uplink)
{
	const struct network *network;
	char text[ADDRESS_TEXT];
	unsigned int i;

	fprintf(file, "add rule " IN_TABLE "guard iifname \"%s\" udp dport { 67, 547 } drop\n",
		uplink);
	for (network = network_next(NULL); network; network = network_next(network)) {
		for (i = 0; i < FAMILIES; i++)
			if (address_format(&network->host[i], text))
				fprintf(file, "add rule " IN_TABLE "guard iifname \"%s\" %s daddr %s meta l4proto { tcp, udp } th dport 53 drop\n",
					uplink, nft_families[i], text);
	}
}

static void write_publish(FILE *file, const char *uplink, const struct port_config *config,
			  const struct publish *publish, unsigned int i)
{
	bool ipv6 = i == FAMILY_IPV6;
	char text[ADDRESS_TEXT];

	if (!address_format(&config->address[i], text))
		return;
	fprintf(file, "add rule " IN_TABLE "in iifname \"%s\" fib daddr type local meta nfproto %s %s dport %u dnat %s to %s%s%s:%u\n",
		uplink, ipv6 ? "ipv6" : "ipv4", publish->udp ? "udp" : "tcp", publish->host,
		nft_families[i], ipv6 ? "[" : "", text, ipv6 ? "]" : "", publish->guest);
}

static void write_ports(FILE *file, const struct network *network)
{
	const char *name = network->name;
	const struct port *port;
	unsigned int k, i;

	for (port = port_of_network(name, NULL); port; port = port_of_network(name, port))
		for (k = 0; k < port->config.publish_count; k++)
			for (i = 0; i < FAMILIES; i++)
				write_publish(file, network->uplink, &port->config,
					      &port->config.publish[k], i);
}

static void write_table(FILE *file)
{
	const struct network *network;
	unsigned int i;

	fputs("add table " IN_TABLE "\n", file);
	if (!is_needed()) {
		fputs("delete table " IN_TABLE "\n", file);
		return;
	}
	fputs("flush table " IN_TABLE "\n"
	      "add chain " IN_TABLE "out { type nat hook postrouting priority srcnat; }\n"
	      "add chain " IN_TABLE "in { type nat hook prerouting priority dstnat; }\n"
	      "add chain " IN_TABLE "guard { type filter hook input priority filter; }\n", file);
	for (network = network_next(NULL); network; network = network_next(network)) {
		if (!network->uplink[0])
			continue;
		for (i = 0; i < FAMILIES; i++)
			write_nat(file, network, i);
		write_ports(file, network);
		write_guard(file, network->uplink);
	}
}

/* In IPv6 it is turned on for all interfaces, by route_port(); those that come later must be
 * told of routers, too.
 */
static int forward_all(struct error *err)
{
	const struct network *network;
	struct link_info link;
	int ret = 0;

	for (network = network_next(NULL); network && !ret; network = network_next(network)) {
		/* It may come later. */
		if (!network->uplink[0] || link_get(network->uplink, &link, err))
			continue;
		ret = setting_set(AF_INET, network->uplink, "forwarding", true, err);
		if (!ret && network_has(network, FAMILY_IPV6))
			ret = keep_routers_of(network->uplink, err);
	}
	return ret;
}

/**
 * uplinks_update() - have the kernel do what networks and ports are configured for
 * @err: receives what is wrong
 *
 * Return: 0, or -1, and then addresses are translated as before.
 */
int uplinks_update(struct error *err)
{
	struct text text;
	int ret;

	if (made == NOTHING && !is_needed())
		return 0;
	if (text_begin(&text, err))
		return -1;
	write_table(text.file);
	if (text_end(&text, err))
		return -1;
	ret = forward_all(err);
	if (!ret)
		ret = nft_run(text.string, err);
	free(text.string);
	/* Where there is no nftables, networks without a way out do without it. */
	if (ret && made == PERHAPS && !is_needed())
		return 0;
	if (ret) {
		error_prefix(err, "cannot set up the way out of networks");
		return -1;
	}
	made = is_needed() ? SOMETHING : NOTHING;
	return 0;
}

static void retry(evutil_socket_t fd, short what, void *arg)
{
	bool *waiting = arg;

	(void)fd;
	(void)what;
	*waiting = false;
	uplinks_update_again();
}

/**
 * uplinks_update_again() - the same, where nobody can be told but by the log
 *
 * If it fails, it is tried again.
 */
void uplinks_update_again(void)
{
	static const struct timeval later = { .tv_sec = 5 };
	static bool waiting;
	struct error err;

	/* What is left of an earlier time matters only if there are networks. */
	if (!network_next(NULL) || !uplinks_update(&err)) {
		problem[0] = '\0';
		return;
	}
	if (strcmp(problem, err.text))
		log_error("%s", err.text);
	snprintf(problem, sizeof(problem), "%s", err.text);
	if (!waiting)
		waiting = !event_base_once(ports_base(), -1, EV_TIMEOUT, retry, &waiting, &later);
}

/**
 * uplinks_problem() - what keeps guests from the outside
 *
 * Return: an error message, or NULL.
 */
const char *uplinks_problem(void)
{
	return *problem ? problem : NULL;
}

/**
 * uplinks_deleted() - a chain of nftables is gone, whoever deleted it
 * @table: its table, of the family inet
 */
void uplinks_deleted(const char *table)
{
	if (!strcmp(table, "pveth"))
		uplinks_update_again();
}

/**
 * uplink_changed() - an interface has changed
 * @name: its name
 */
void uplink_changed(const char *name)
{
	const struct network *network;
	struct error err;

	for (network = network_next(NULL); network; network = network_next(network)) {
		if (strcmp(network->uplink, name))
			continue;
		if (forward_all(&err))
			uplinks_update_again();
		return;
	}
}

static bool publishes(const struct port_config *config, const struct publish *publish,
		      unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (config->publish[i].host == publish->host &&
		    config->publish[i].udp == publish->udp)
			return true;
	return false;
}

/* Whose is a port of an uplink? */
static const char *publisher(const char *uplink, const struct publish *publish)
{
	const struct network *network;
	const struct port *port;
	const char *name;

	for (network = network_next(NULL); network; network = network_next(network)) {
		if (strcmp(network->uplink, uplink))
			continue;
		name = network->name;
		for (port = port_of_network(name, NULL); port; port = port_of_network(name, port))
			if (publishes(&port->config, publish, port->config.publish_count))
				return port->config.name;
	}
	return NULL;
}

/**
 * uplink_check_publish() - may a port publish what it wants to?
 * @config: the port's configuration
 * @err: receives why not
 *
 * Return: 0, or -1.
 */
int uplink_check_publish(const struct port_config *config, struct error *err)
{
	const struct publish *publish = config->publish;
	const struct network *network;
	const char *name;
	unsigned int i;

	if (!config->publish_count)
		return 0;
	network = network_find(config->network, err);
	if (!network)
		return -1;
	if (!network->uplink[0])
		return error_set(err, "network %s has no uplink to publish ports on: 'pvethctl network add --uplink' makes one that has",
				 config->network);
	for (i = 0; i < config->publish_count; i++, publish++) {
		name = publisher(network->uplink, publish);
		if (!name && publishes(config, publish, i))
			name = config->name;
		if (name)
			return error_set(err, "port %u/%s of %s is published for %s already",
					 publish->host, publish->udp ? "udp" : "tcp",
					 network->uplink, name);
	}
	return 0;
}
