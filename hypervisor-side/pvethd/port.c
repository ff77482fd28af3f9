// SPDX-License-Identifier: GPL-2.0
/*
 * A port: its interface, its socket, its state file
 *
 * The kernel owns what a port does, this daemon what it ought to be. Whatever
 * the kernel reports, a port is brought up to date by looking at the kernel
 * anew (port_refresh()), so that no report is indispensable.
 */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "kernel.h"
#include "network.h"

static const struct timeval retry_after = { .tv_sec = 1 };

static TAILQ_HEAD(, port) ports = TAILQ_HEAD_INITIALIZER(ports);
/* Their names, as a tree of tsearch(3) */
static void *names;
static struct event_base *base;
static const char *run_dir = "";

/**
 * ports_base() - where events of ports are
 *
 * Return: the event base.
 */
struct event_base *ports_base(void)
{
	return base;
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(one, other);
}

/**
 * port_find() - look up a port
 * @name: its name
 *
 * Return: the port, or NULL.
 */
struct port *port_find(const char *name)
{
	char **found = tfind(name, &names, compare_names);

	return found ? (void *)(*found - offsetof(struct port, config.name)) : NULL;
}

/**
 * port_with_mac() - whose guest's MAC address is this?
 * @mac: the address
 *
 * Return: the port, or NULL.
 */
struct port *port_with_mac(const uint8_t *mac)
{
	struct port *port;

	TAILQ_FOREACH(port, &ports, entry)
		if (!memcmp(port->config.mac, mac, sizeof(port->config.mac)))
			return port;
	return NULL;
}

/**
 * port_with_address() - whose guest's address is this?
 * @address: the address
 *
 * Return: the port, or NULL.
 */
struct port *port_with_address(const struct address *address)
{
	struct port *port;
	unsigned int i;

	TAILQ_FOREACH(port, &ports, entry)
		for (i = 0; i < FAMILIES; i++)
			if (port->config.address[i].family == address->family &&
			    port->config.address[i].number == address->number)
				return port;
	return NULL;
}

/**
 * port_of_network() - walk through the ports of a network
 * @network: its name
 * @after: the one before, or NULL
 *
 * Return: the first one, or the next one, or NULL.
 */
struct port *port_of_network(const char *network, const struct port *after)
{
	struct port *port = after ? TAILQ_NEXT(after, entry) : TAILQ_FIRST(&ports);

	while (port && strcmp(port->config.network, network))
		port = TAILQ_NEXT(port, entry);
	return port;
}

/* Says it once. */
static void say_problem(const struct port *port, char *known, const char *problem)
{
	if (!strcmp(known, problem))
		return;
	snprintf(known, ERROR_TEXT, "%s", problem);
	if (*problem)
		log_error("%s: %s", port->config.name, problem);
}

/**
 * port_try_again() - look at a port again in a moment
 * @port: the port
 */
void port_try_again(struct port *port)
{
	event_add(port->retry, &retry_after);
}

/**
 * port_set_problem() - say what keeps a guest from being attached, if it is something new
 * @port: the port
 * @problem: what it is, or an empty text
 */
void port_set_problem(struct port *port, const char *problem)
{
	say_problem(port, port->problem, problem);
}

static void port_is_gone(const struct port *port, struct error *err)
{
	const struct port_config *config = &port->config;
	char queues[64] = "";

	if (config->queues > 1)
		snprintf(queues, sizeof(queues), " numtxqueues %u numrxqueues %u", config->queues,
			 config->queues);
	error_set(err, "the interface is gone: 'ip link add %s%s type " PVETH_KIND
		  "' brings it back, 'pvethctl del %s' gives the port up", config->name, queues,
		  config->name);
}

/* What is done is not done again: it would let another burst pass. */
static int limit_port(struct port *port, struct error *err)
{
	const struct port_config *config = &port->config;
	int ret = 0;

	if (!port->limited_in && config->rate_in)
		ret = rate_limit_out(port->ifindex, config->rate_in, err);
	if (ret)
		return ret;
	port->limited_in = true;
	if (!port->limited_out && config->rate_out)
		ret = rate_limit_in(port->ifindex, config->rate_out, err);
	port->limited_out = !ret;
	return ret;
}

static void port_refresh_network(struct port *port)
{
	struct error err, limit_err;
	const char *problem = "";

	if (!port->filtered && filter_set(port, &err)) {
		port_set_problem(port, err.text);
		port_try_again(port);
	} else {
		port->filtered = true;
	}
	if (limit_port(port, &limit_err))
		problem = limit_err.text;
	if (network_port(port, &err))
		problem = err.text;
	say_problem(port, port->route_problem, problem);
	if (*problem)
		port_try_again(port);
}

/* They have gone with the interface. */
static void forget_settings(struct port *port)
{
	port->filtered = false;
	port->limited_in = false;
	port->limited_out = false;
}

/* Find the interface of the port, and make it if it is to be there. */
static void port_refresh_interface(struct port *port)
{
	unsigned int old = port->ifindex;
	struct error err;
	bool made = false;
	int ret;

	event_del(port->retry);
	port->ifindex = 0;
	ret = port->wants_link ? interface_make(port, &made, &err) : interface_find(port, &err);
	if (made)
		log_info("%s: the interface is made", port->config.name);
	if (!ret) {
		port->wants_link = false;
		if (!old)
			port_set_problem(port, "");
		if (port->ifindex != old) {
			port->wants_bridge = port->config.bridge[0];
			forget_settings(port);
		}
		return;
	}
	if (old || port->wants_link || ret != -ENODEV) {
		if (ret == -ENODEV)
			port_is_gone(port, &err);
		port_set_problem(port, err.text);
	}
	/* If there is no interface, or no module, the kernel will tell. */
	if (port->wants_link ? kernel_has_ports() : ret != -ENODEV)
		port_try_again(port);
}

/* And what is to be done with it: before there is a guest, who may not be friendly, */
static void port_refresh_rest(struct port *port)
{
	if (port->ifindex)
		port_refresh_network(port);
	port_serve(port);
	if (port->ifindex && port->wants_bridge)
		interface_try_bridge(port);
}

/* Bring the port up to date with its interface. */
static void port_refresh(struct port *port)
{
	port_refresh_interface(port);
	port_refresh_rest(port);
}

/* The same with all, which have their filters in one transaction: each takes the longer
 * the more there are.
 */
static void refresh_all(void)
{
	struct port *port;

	TAILQ_FOREACH(port, &ports, entry)
		port_refresh_interface(port);
	filters_set();
	TAILQ_FOREACH(port, &ports, entry)
		port_refresh_rest(port);
}

/**
 * port_next() - walk through all ports
 * @port: the one before, or NULL
 *
 * Return: the first one, or the next one, or NULL.
 */
struct port *port_next(struct port *port)
{
	return port ? TAILQ_NEXT(port, entry) : TAILQ_FIRST(&ports);
}

/**
 * port_filter_again() - a port's filter may be gone
 * @port: the port
 */
void port_filter_again(struct port *port)
{
	port->filtered = false;
	port_refresh(port);
}

static void port_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	port_refresh(arg);
}

/**
 * ports_interface_changed() - an interface has changed
 * @ifindex: the interface
 * @name: its name
 */
void ports_interface_changed(unsigned int ifindex, const char *name)
{
	struct port *port;

	uplink_changed(name);
	networks_interface_changed(ifindex, name);
	TAILQ_FOREACH(port, &ports, entry)
		if (port->ifindex == ifindex || !strcmp(port->config.name, name) ||
		    (port->wants_bridge && !strcmp(port->config.bridge, name)))
			port_refresh(port);
}

/**
 * ports_interface_gone() - an interface was deleted, or has left our network namespace
 * @ifindex: the interface
 *
 * It may be back before anybody looks, and even have the same number.
 */
void ports_interface_gone(unsigned int ifindex)
{
	struct port *port;

	TAILQ_FOREACH(port, &ports, entry) {
		if (port->last_ifindex != ifindex)
			continue;
		port->last_ifindex = 0;
		forget_settings(port);
	}
}

/**
 * ports_session_changed() - a guest came or went, or broke the protocol
 * @ifindex: the interface, or 0 if it may be any
 *
 * Guests can have this said as often as they like, so little is to be done.
 */
void ports_session_changed(unsigned int ifindex)
{
	struct port *port;

	TAILQ_FOREACH(port, &ports, entry)
		if (port->ifindex && (!ifindex || port->ifindex == ifindex))
			port_serve(port);
}

/**
 * ports_refresh() - any interface or filter may have changed
 */
void ports_refresh(void)
{
	struct port *port;

	filters_changed();
	networks_refresh();
	uplinks_update_again();
	TAILQ_FOREACH(port, &ports, entry)
		forget_settings(port);
	refresh_all();
}

static struct port *port_new(const struct port_config *config, struct error *err)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		goto fail;
	port->config = *config;
	port->listen_fd = -1;
	snprintf(port->socket, sizeof(port->socket), "%s/%s.sock", run_dir, config->name);
	TAILQ_INIT(&port->clients);
	port->retry = evtimer_new(base, port_retry, port);
	if (!port->retry)
		goto fail;
	if (!tsearch(port->config.name, &names, compare_names))
		goto fail_event;
	return port;

fail_event:
	event_free(port->retry);
fail:
	free(port);
	error_set(err, "out of memory");
	return NULL;
}

static void port_free(struct port *port)
{
	ram_fill_cancel(port->filler);
	clients_close(port);
	event_free(port->retry);
	tdelete(port->config.name, &names, compare_names);
	free(port);
}

/* In the order of names, and of numbers in them */
static void insert(struct port *port)
{
	struct port *next;

	TAILQ_FOREACH(next, &ports, entry) {
		if (strverscmp(next->config.name, port->config.name) > 0) {
			TAILQ_INSERT_BEFORE(next, port, entry);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&ports, port, entry);
}

static int check_unique(const struct port_config *config, struct error *err)
{
	struct port *port;

	if (port_find(config->name))
		return error_set(err, "there is a port %s already", config->name);
	if (network_has_bridge(config->name))
		return error_set(err, "the bridge of network %s has this name already",
				 config->name);
	port = config->has_mac ? port_with_mac(config->mac) : NULL;
	if (port)
		return error_set(err, "port %s has this MAC address already", port->config.name);
	return 0;
}

static int random_mac(struct port_config *config, struct error *err)
{
	do {
		if (getrandom(config->mac, sizeof(config->mac), 0) != sizeof(config->mac))
			return error_set(err, "no random numbers: %s", strerror(errno));
		config->mac[0] = (config->mac[0] & ~1) | 2; /* unicast, locally administered */
	} while (port_with_mac(config->mac));
	config->has_mac = true;
	return 0;
}

/* A port of which only pvethd knows yet. Its addresses are taken, and for the caller to
 * release.
 */
static struct port *port_prepare(struct port_config *config, struct error *err)
{
	struct port *port;

	if (check_unique(config, err) || lease_take(config, err))
		return NULL;
	if (uplink_check_publish(config, err) || (!config->has_mac && random_mac(config, err)))
		goto err_leave;
	port = port_new(config, err);
	if (port)
		return port;

err_leave:
	lease_release(config);
	return NULL;
}

/**
 * port_check() - check what could be given to port_add(), with those before it
 * @json: a port's configuration
 * @event_base: for events, which there are none of
 * @err: receives what is wrong
 *
 * The port is there afterwards, but neither in the kernel nor in a state file.
 *
 * Return: 0, or -1.
 */
int port_check(json_t *json, struct event_base *event_base, struct error *err)
{
	struct port_config config;
	struct port *port;

	base = event_base;
	if (config_from_json(json, &config, err))
		return -1;
	port = port_prepare(&config, err);
	if (!port)
		return -1;
	insert(port);
	return 0;
}

/**
 * port_add() - make a port
 * @config: what it is to be; receives the addresses that are chosen for it
 * @err: receives what is wrong
 *
 * Return: the port, or NULL, and then all is as before, but for what was set of an interface
 * that was there.
 */
struct port *port_add(struct port_config *config, struct error *err)
{
	struct error ignored, remains;
	struct link_info link;
	struct port *port;
	bool leased = true;
	bool made;
	uid_t uid;
	gid_t gid;

	if (!port_find(config->name) && state_exists(STATE_PORT, config->name)) {
		error_set(err, "there is a port %s already, which is not served (the log says why): 'pvethctl del %s' gives it up",
			  config->name, config->name);
		return NULL;
	}
	if (config->bridge[0] && interface_find_bridge(config->bridge, &link, err))
		return NULL;
	/* Found out late it would leave an interface that was there changed. */
	if (socket_owner(config, &uid, &gid, err))
		return NULL;
	port = port_prepare(config, err);
	if (!port)
		return NULL;
	if (interface_make(port, &made, err))
		goto err_free;
	if (!made && link_set(port->ifindex, config->mtu, err)) {
		error_prefix(err, "cannot change the interface %s", config->name);
		goto err_free;
	}
	if (config->bridge[0] && interface_join_bridge(port, err))
		goto err_link;
	if (ram_make(&port->config, err))
		goto err_link;
	if (state_save(STATE_PORT, config->name, config_to_json(&port->config), err) ||
	    filter_set(port, err) || limit_port(port, err) || clients_listen(port, err) ||
	    network_port(port, err))
		goto err_state;
	port->filtered = true;
	insert(port);
	if (config->publish_count && uplinks_update(err)) {
		TAILQ_REMOVE(&ports, port, entry);
		goto err_state;
	}
	if (config->network[0])
		dnsmasq_changed();
	log_info("%s: added", config->name);
	return port;

err_state:
	route_port_gone(port);
	if (state_remove(STATE_PORT, config->name, &remains)) {
		/* It is taken up again when pvethd starts. */
		log_error("%s: %s", config->name, remains.text);
		lease_keep(config);
		leased = false;
	}
	ram_remove(&port->config);
err_link:
	if (made)
		link_del(port->ifindex, &ignored);
	filter_remove(port);
err_free:
	port_free(port);
	if (leased)
		lease_release(config);
	return NULL;
}

/**
 * port_del() - give a port up
 * @port: the port; gone if all is well
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int port_del(struct port *port, struct error *err)
{
	const char *name = port->config.name;
	bool had_link;

	if (interface_delete(port, &had_link, err))
		return -1;
	if (state_remove(STATE_PORT, name, err)) {
		/* It stays, and its guest is to have back what it had. */
		port->wants_link = had_link;
		port_refresh(port);
		return -1;
	}
	filter_remove(port);
	route_port_gone(port);
	lease_release(&port->config);
	dnsmasq_release(&port->config);
	/* Who allocates the file has it locked, and it could not be removed before. */
	ram_fill_cancel(port->filler);
	port->filler = NULL;
	ram_remove(&port->config);
	log_info("%s: deleted", name);
	TAILQ_REMOVE(&ports, port, entry);
	if (port->config.publish_count)
		uplinks_update_again();
	port_free(port);
	return 0;
}

/**
 * port_del_unserved() - give up a port that there is only a state file of
 * @name: its name
 * @err: receives what is wrong
 *
 * If it was known what addresses it had, they are free when pvethd starts again.
 *
 * Return: 0, or -1.
 */
int port_del_unserved(const char *name, struct error *err)
{
	if (state_remove(STATE_PORT, name, err))
		return -1;
	log_info("%s: deleted, which was not served", name);
	return 0;
}

/* A port that cannot have its interface now may have it later. One that is not served has
 * its addresses still.
 */
static int port_load(json_t *json, struct error *err)
{
	struct port_config config;
	struct port *port;

	if (config_from_json(json, &config, err))
		return -1;
	if (!config.has_mac)
		return error_set(err, "it has no \"mac\"");
	if (check_unique(&config, err) || lease_take_again(&config, err))
		return -1;
	port = port_new(&config, err);
	if (!port)
		return -1;
	if (clients_listen(port, err)) {
		port_free(port);
		return -1;
	}
	insert(port);
	port->wants_link = true;
	return 0;
}

/**
 * ports_module_loaded() - the kernel module is there, maybe again
 *
 * Without it there were no interfaces. Else, one that is deleted stays deleted:
 * somebody wanted that.
 */
void ports_module_loaded(void)
{
	struct port *port;

	TAILQ_FOREACH(port, &ports, entry)
		port->wants_link = true;
	refresh_all();
}

/**
 * ports_to_json() - describe all ports
 *
 * Return: an array, or NULL if there is no memory.
 */
json_t *ports_to_json(void)
{
	json_t *array = json_array();
	struct port *port;

	filters_count();
	TAILQ_FOREACH(port, &ports, entry)
		json_array_append_new(array, port_to_json(port));
	return array;
}

/**
 * ports_open() - take up the ports that state files tell of
 * @event_base: where events are to go
 * @dir: where sockets are to be
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int ports_open(struct event_base *event_base, const char *dir, struct error *err)
{
	base = event_base;
	run_dir = dir;
	if (state_load(STATE_PORT, port_load, lease_lost, err))
		return -1;
	refresh_all();
	return 0;
}

/**
 * ports_close() - close all sockets; interfaces and guests stay
 */
void ports_close(void)
{
	struct port *port;

	while ((port = TAILQ_FIRST(&ports))) {
		TAILQ_REMOVE(&ports, port, entry);
		port_free(port);
	}
	ram_fillers_close();
}
