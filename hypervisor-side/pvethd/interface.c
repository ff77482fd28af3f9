// SPDX-License-Identifier: GPL-2.0
/*
 * The interface of a port
 */
#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "network.h"

/**
 * interface_find_bridge() - look for the bridge of a port
 * @bridge: its name
 * @link: receives what it is
 * @err: receives what is wrong
 *
 * Return: 0, or a negative errno: -ENODEV if there is no such bridge.
 */
int interface_find_bridge(const char *bridge, struct link_info *link, struct error *err)
{
	int ret;

	ret = link_get(bridge, link, err);
	if (ret == -ENODEV)
		error_set(err, "there is no bridge %s: 'ip link add %s type bridge' makes it",
			  bridge, bridge);
	return ret;
}

/**
 * interface_join_bridge() - put the interface of a port into its bridge
 * @port: the port, which has an interface
 * @err: receives what is wrong
 *
 * A bridge is only ever joined: whoever takes the interface out of it, or puts
 * it into another one, has his way.
 *
 * Return: 0, or a negative errno: -ENODEV if there is no such bridge.
 */
int interface_join_bridge(struct port *port, struct error *err)
{
	const char *bridge = port->config.bridge;
	struct link_info link;
	int ret;

	ret = link_get(port->config.name, &link, err);
	if (ret)
		return ret;
	if (link.master)
		return 0;
	ret = interface_find_bridge(bridge, &link, err);
	if (!ret)
		ret = link_set_master(port->ifindex, link.ifindex, err);
	if (ret && ret != -ENODEV)
		error_prefix(err, "cannot put the interface into %s", bridge);
	return ret;
}

/**
 * interface_try_bridge() - put the interface of a port into its bridge, or wait
 * @port: the port, which has an interface
 *
 * A bridge that is missing may come.
 */
void interface_try_bridge(struct port *port)
{
	struct error err;
	int ret;

	ret = interface_join_bridge(port, &err);
	if (ret && ret != -ENODEV)
		log_error("%s: %s", port->config.name, err.text);
	port->wants_bridge = ret == -ENODEV;
}

static int interface_check(const struct port_config *config, const struct link_info *link,
			   struct error *err)
{
	if (strcmp(link->kind, PVETH_KIND))
		return error_set(err, "there is an interface %s already, and it is no port (kind '%s'): choose another name",
				 config->name, link->kind);
	if (link->queues < config->queues)
		return error_set(err, "there is an interface %s already, with %u queue pair%s, and %u are wanted: delete it with 'ip link del %s', or use --queues %u",
				 config->name, link->queues, link->queues == 1 ? "" : "s",
				 config->queues, config->name, link->queues);
	return 0;
}

/**
 * interface_find() - look for the interface of a port
 * @port: the port; has its ifindex, if all is well, and an MTU
 * @err: receives what is wrong
 *
 * Return: 0, -ENODEV if there is none, or another negative value if it is not
 * of use.
 */
int interface_find(struct port *port, struct error *err)
{
	struct link_info link;
	int ret;

	ret = link_get(port->config.name, &link, err);
	if (!ret)
		ret = interface_check(&port->config, &link, err);
	if (ret)
		return ret;
	port->ifindex = link.ifindex;
	port->last_ifindex = link.ifindex;
	port->up = link.up;
	/* The filter keeps the host's link-local address from the guest. */
	if (memcmp(port->host_mac, link.mac, sizeof(link.mac)))
		port->filtered = false;
	memcpy(port->host_mac, link.mac, sizeof(link.mac));
	if (!port->config.mtu)
		port->config.mtu = link.mtu;
	/* Guests of networks are told. */
	if (port->mtu != link.mtu && port->config.network[0])
		dnsmasq_changed();
	port->mtu = link.mtu;
	return 0;
}

/**
 * interface_make() - make the interface of a port, if it is not there
 * @port: the port; has its ifindex, if all is well, and an MTU
 * @made: receives whether it was made
 * @err: receives what is wrong
 *
 * Return: 0, or a negative value.
 */
int interface_make(struct port *port, bool *made, struct error *err)
{
	int ret;

	*made = false;
	ret = interface_find(port, err);
	if (ret != -ENODEV)
		return ret;
	ret = link_add(&port->config, err);
	if (ret) {
		error_prefix(err, "cannot make the interface %s", port->config.name);
		return ret;
	}
	*made = true;
	return interface_find(port, err);
}

/**
 * interface_delete() - delete the interface of a port, if it is there
 * @port: the port
 * @deleted: receives whether it was
 * @err: receives what is wrong
 *
 * With it goes its guest, also if somebody has given it another name meanwhile.
 *
 * Return: 0, or a negative value.
 */
int interface_delete(const struct port *port, bool *deleted, struct error *err)
{
	struct link_info link;
	int ret;

	*deleted = false;
	ret = link_get(port->config.name, &link, err);
	if (port->last_ifindex && (ret == -ENODEV || (!ret && strcmp(link.kind, PVETH_KIND))))
		ret = link_get_index(port->last_ifindex, &link, err);
	if (!ret && !strcmp(link.kind, PVETH_KIND)) {
		ret = link_del(link.ifindex, err);
		*deleted = !ret;
	}
	if (!ret || ret == -ENODEV)
		return 0;
	error_prefix(err, "cannot delete the interface %s", port->config.name);
	return ret;
}
