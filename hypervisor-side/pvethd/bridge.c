// SPDX-License-Identifier: GPL-2.0
/*
 * A network whose ports are in a bridge
 *
 * The bridge has the network's name, and a MAC address by which it is known. What is there
 * already stays as it is: all of this may be done again at any time. A bridge that somebody
 * takes down stays down.
 */
#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "network.h"

/* It is up when it has its link-local address, which the filter of ports keeps from
 * guests: the one that its MAC address makes (addr_gen_mode 0).
 */
static int make(const struct network *network, const uint8_t *mac, struct link_info *link,
		struct error *err)
{
	int ret;

	ret = bridge_add(network->name, mac, err);
	if (!ret && has_ipv6(network->name))
		ret = setting_set(AF_INET6, network->name, "addr_gen_mode", false, err);
	if (!ret)
		ret = link_get(network->name, link, err);
	if (!ret)
		ret = link_set(link->ifindex, 0, err);
	link->up = !ret;
	/* One that is down would be taken for one that is to be. */
	if (ret)
		bridge_close(network);
	return ret;
}

/**
 * bridge_open() - have the bridge of a network
 * @network: the network
 * @bridge: receives what it is
 * @err: receives what is wrong
 *
 * Return: 0, or a negative value.
 */
int bridge_open(const struct network *network, struct link_info *bridge, struct error *err)
{
	uint8_t mac[6];
	int ret;

	network_mac(network, mac);
	ret = link_get(network->name, bridge, err);
	if (ret == -ENODEV)
		ret = make(network, mac, bridge, err);
	else if (!ret && (strcmp(bridge->kind, BRIDGE_KIND) ||
			  memcmp(bridge->mac, mac, sizeof(mac))))
		ret = error_set(err, "there is an interface %s that pvethd has not made: 'ip link del %s' makes room for it",
				network->name, network->name);
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
	uint8_t mac[6];
	int ret;

	network_mac(network, mac);
	ret = link_get(network->name, &link, &err);
	if (!ret && !strcmp(link.kind, BRIDGE_KIND) && !memcmp(link.mac, mac, sizeof(mac)))
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

	ret = bridge_open(network, &bridge, err);
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
