// SPDX-License-Identifier: GPL-2.0
/*
 * A port in a network, as the host's network has it: routed
 *
 * The host has its address of the network on each of the ports, and a route to each
 * guest. It answers for the other guests (proxy ARP), so that one that takes them for
 * neighbours reaches them through the host as well. In IPv6 nobody is told that they
 * were neighbours.
 *
 * What is there already stays as it is: all of this may be done again at any time, as
 * it must when an interface was down, which costs it its routes.
 */
#include "kernel.h"
#include "network.h"

struct setting {
	const char *name;
	bool on;
};

static const struct setting settings_ipv4[] = {
	{ "forwarding", true },
	{ "proxy_arp", true },
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

static int route_family(const struct port *port, const struct prefix *prefix,
			const struct address *host, const struct address *guest,
			struct error *err)
{
	int ret = 0;

	if (guest->family == AF_INET6)
		ret = forward_ipv6(err);
	if (!ret)
		ret = address_set(port->ifindex, host, prefix->length, err);
	if (!ret)
		ret = route_set(port->ifindex, guest, host, err);
	return ret;
}

/**
 * route_port() - have the host reach the guest of a port
 * @port: the port, whose interface is there. While it is down, this is only prepared.
 * @err: receives what is wrong
 *
 * Return: 0, also if it is in no network, or a negative errno.
 */
int route_port(const struct port *port, struct error *err)
{
	const struct port_config *config = &port->config;
	const struct network *network;
	unsigned int i;
	int ret;

	if (!config->network[0])
		return 0;
	network = network_find(config->network, err);
	if (!network)
		return -1;
	ret = set_all(config->name, AF_INET, settings_ipv4, err);
	if (!ret && has_ipv6(config->name))
		ret = set_all(config->name, AF_INET6, settings_ipv6, err);
	for (i = 0; !ret && port->up && i < FAMILIES; i++)
		if (network_has(network, i))
			ret = route_family(port, &network->pools[i].prefix, &network->host[i],
					   &config->address[i], err);
	if (ret)
		error_prefix(err, "cannot route to the guest");
	return ret;
}
