// SPDX-License-Identifier: GPL-2.0
/*
 * A network whose ports are in a bridge
 *
 * The bridge has the network's name, and the host's addresses. What is there already stays
 * as it is: all of this may be done again at any time. A bridge that somebody takes down
 * stays down.
 */
#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "network.h"

static int make(const struct network *network, struct link_info *link, struct error *err)
{
	uint8_t mac[6];
	int ret;

	network_mac(network, mac);
	ret = bridge_add(network->name, mac, err);
	if (!ret)
		ret = link_get(network->name, link, err);
	return ret;
}

static int set_addresses(const struct network *network, unsigned int ifindex, struct error *err)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < FAMILIES; i++) {
		if (!network_has(network, i))
			continue;
		if (i == FAMILY_IPV6)
			ret = forward_ipv6(err);
		if (!ret)
			ret = address_set(ifindex, &network->host[i],
					  network->pools[i].prefix.length, true, err);
	}
	return ret;
}

/**
 * bridge_open() - have the bridge of a network
 * @network: the network
 * @err: receives what is wrong
 *
 * Return: 0, or a negative value.
 */
int bridge_open(const struct network *network, struct error *err)
{
	struct link_info link;
	int ret;

	ret = link_get(network->name, &link, err);
	if (ret == -ENODEV)
		ret = make(network, &link, err);
	if (!ret && strcmp(link.kind, BRIDGE_KIND))
		ret = error_set(err, "there is an interface %s, and it is no bridge",
				network->name);
	if (!ret)
		ret = router_set(network->name, false, err);
	if (!ret && link.up)
		ret = set_addresses(network, link.ifindex, err);
	if (ret)
		error_prefix(err, "the bridge %s", network->name);
	return ret;
}

/**
 * bridge_close() - be rid of the bridge of a network
 * @network: the network, which has no ports
 */
void bridge_close(const struct network *network)
{
	struct link_info link;
	struct error err;
	int ret;

	ret = link_get(network->name, &link, &err);
	if (!ret && !strcmp(link.kind, BRIDGE_KIND))
		ret = link_del(link.ifindex, &err);
	if (ret && ret != -ENODEV)
		log_error("cannot delete the bridge %s: %s", network->name, err.text);
}

/**
 * bridge_port() - put a port into the bridge of its network
 * @port: the port, whose interface is there
 * @network: the network
 * @err: receives what is wrong
 *
 * Return: 0, or a negative value.
 */
int bridge_port(const struct port *port, const struct network *network, struct error *err)
{
	struct link_info bridge, link;
	int ret;

	ret = bridge_open(network, err);
	if (!ret)
		ret = link_get(network->name, &bridge, err);
	if (!ret)
		ret = link_get(port->config.name, &link, err);
	if (!ret && link.master != bridge.ifindex) {
		link.isolated = false;
		ret = link_set_master(link.ifindex, bridge.ifindex, err);
	}
	if (!ret && link.isolated != network->isolated)
		ret = link_set_isolated(link.ifindex, network->isolated, err);
	if (ret)
		error_prefix(err, "cannot put the port into the network's bridge");
	return ret;
}
