// SPDX-License-Identifier: GPL-2.0
/*
 * A port in a network, as the host's network has it
 *
 * The host has its address of the network on each of the ports, or on the bridge that they
 * are in, and a route to each guest. In routed mode it answers for the other guests (proxy
 * ARP), so that one that takes them for neighbours reaches them through the host as well.
 * In IPv6 nobody is told that they were neighbours.
 *
 * What is there already stays as it is: all of this may be done again at any time, as
 * it must when an interface was down, which costs it its routes.
 */
#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "network.h"

struct setting {
	const char *name;
	bool on;
};

static const struct setting settings_ipv4[] = {
	{ "forwarding", true },
	{ "accept_redirects", false },
	{},
};

/* A guest is no router for its host, in networks without IPv6 neither. */
static const struct setting settings_ipv6[] = {
	{ "accept_ra", false },
	{ "accept_redirects", false },
	{},
};

static int set_all(const char *interface, int family, const struct setting *setting,
		   struct error *err)
{
	int ret = 0;

	for (; !ret && setting->name; setting++)
		ret = setting_set(family, interface, setting->name, setting->on, err);
	return ret;
}

static int route_family(unsigned int ifindex, const struct prefix *prefix,
			const struct address *host, const struct address *guest,
			struct error *err)
{
	int ret = 0;

	if (guest->family == AF_INET6)
		ret = forward_ipv6(err);
	if (!ret)
		ret = address_set(ifindex, host, prefix->length, err);
	if (!ret)
		ret = route_set(ifindex, guest, host, err);
	return ret;
}

/* The host is a router there, and guests are none. */
static int router_set(const char *interface, bool proxy, struct error *err)
{
	int ret;

	ret = set_all(interface, AF_INET, settings_ipv4, err);
	if (!ret)
		ret = setting_set(AF_INET, interface, "proxy_arp", proxy, err);
	if (!ret && has_ipv6(interface))
		ret = set_all(interface, AF_INET6, settings_ipv6, err);
	return ret;
}

static void unblock(const struct network *network, unsigned int count)
{
	struct error err;
	unsigned int i;

	for (i = 0; i < count; i++)
		if (network_has(network, i) &&
		    route_unblock(&network->pools[i].prefix, &err))
			log_error("network %s: %s", network->name, err.text);
}

struct search {
	const struct network *network;
	struct error *err;
	bool found;
};

static void compare_prefix(const char *interface, const struct prefix *prefix, void *data)
{
	char own[PREFIX_TEXT], other[PREFIX_TEXT];
	struct search *search = data;
	struct link_info link;
	struct error ignored;
	unsigned int i;

	for (i = 0; i < FAMILIES && !search->found; i++) {
		if (!prefixes_overlap(prefix, &search->network->pools[i].prefix))
			continue;
		/* Ports may be there, and what was known of their networks lost. */
		if (!link_get(interface, &link, &ignored) && !strcmp(link.kind, PVETH_KIND))
			return;
		prefix_format(&search->network->pools[i].prefix, own);
		prefix_format(prefix, other);
		error_set(search->err, "the network %s overlaps with %s, in which interface %s has an address: guests would have those of others there",
			  own, other, interface);
		search->found = true;
	}
}

/**
 * route_check() - can a network have its addresses?
 * @network: the network
 * @err: receives whose they are: where the host is, others have them
 *
 * Return: 0, or -1.
 */
int route_check(const struct network *network, struct error *err)
{
	struct search search = { .network = network, .err = err };

	return addresses_find(compare_prefix, &search, err) || search.found ? -1 : 0;
}

/**
 * route_open() - have a routed network
 * @network: the network
 * @err: receives what is wrong
 *
 * What of the network's is no port's, or a port's that is down, is to be unreachable, and
 * not to be looked for by the host's default route.
 *
 * Return: 0, or -1, and then all is as before.
 */
int route_open(const struct network *network, struct error *err)
{
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (network_has(network, i) && route_block(&network->pools[i].prefix, err)) {
			unblock(network, i);
			return -1;
		}
	}
	return 0;
}

/**
 * route_close() - what route_open() did is undone
 * @network: the network
 */
void route_close(const struct network *network)
{
	unblock(network, FAMILIES);
}

/**
 * route_port() - have the host reach the guest of a port
 * @port: the port, whose interface is there, in the network's bridge if it has one. While
 *	that is down, this is only prepared.
 * @network: the port's network
 * @err: receives what is wrong
 *
 * Return: 0, or a negative errno.
 */
int route_port(const struct port *port, const struct network *network, struct error *err)
{
	const struct port_config *config = &port->config;
	struct link_info link;
	unsigned int i;
	int ret = 0;

	ret = link_get(network->bridged ? network->name : config->name, &link, err);
	if (!ret)
		ret = router_set(network->bridged ? network->name : config->name,
				 !network->bridged, err);
	for (i = 0; !ret && link.up && i < FAMILIES; i++)
		if (network_has(network, i))
			ret = route_family(link.ifindex, &network->pools[i].prefix,
					   &network->host[i], &config->address[i], err);
	if (ret)
		error_prefix(err, "cannot route to the guest");
	return ret;
}

/**
 * route_port_gone() - a port is given up
 * @port: the port; routes through its interface went with that
 */
void route_port_gone(const struct port *port)
{
	const struct port_config *config = &port->config;
	const struct network *network;
	struct link_info link;
	struct error err;
	unsigned int i;
	int ret;

	if (!network_has_bridge(config->network))
		return;
	network = network_find(config->network, &err);
	if (link_get(network->name, &link, &err))
		return;
	for (i = 0; link.up && i < FAMILIES; i++) {
		if (!network_has(network, i))
			continue;
		ret = route_unset(link.ifindex, &config->address[i], &err);
		/* The bridge may have been down meanwhile. */
		if (ret && ret != -ESRCH)
			log_error("%s: %s", config->name, err.text);
	}
}
