// SPDX-License-Identifier: GPL-2.0
/*
 * Guests and ports: whose guest is attached to the interface, and who waits for it
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"

/* The kernel takes what is there: pages may be swapped out, or moved, before it looks. */
#define ATTEMPTS	3

/* Locked, too, as far as that is allowed, until it is unmapped: there may be so much of it
 * that its beginning is swapped out before its end is there.
 */
static int populate(void *memory, uint64_t size, struct error *err)
{
	if (size && madvise(memory, size, MADV_POPULATE_WRITE))
		return error_set(err, "cannot get hold of the guest's memory: %s",
				 strerror(errno));
	mlock(memory, size);
	return 0;
}

static int attach_once(struct port *port, const struct guest *guest, struct error *err)
{
	void *window;
	struct ram ram;
	int ret;

	window = guest_map(guest, err);
	if (!window)
		return -1;
	ret = ram_map(&port->config, &ram, err);
	if (!ret) {
		ret = populate(window, guest->window_size, err);
		if (!ret)
			ret = populate(ram.addr, ram.size, err);
		if (!ret)
			ret = port_attach(port->ifindex, port->config.mac, guest, window, &ram,
					  err);
		ram_unmap(&ram);
	}
	guest_unmap(guest, window);
	return ret;
}

static int attach(struct port *port, const struct guest *guest, struct error *err)
{
	unsigned int attempt = 0;
	int ret;

	do {
		ret = attach_once(port, guest, err);
	} while (ret == -EFAULT && ++attempt < ATTEMPTS);
	return ret;
}

/* Returns 1, 0, or a negative errno. */
static int port_is_attached(const struct port *port, struct error *err)
{
	struct port_status status;
	int ret;

	ret = port_status_get(port->ifindex, &status, err);
	return ret ? ret : status.state != PVETH_PORT_STATE_DETACHED;
}

/* The interface is a new one: the guest of the old one goes on with it. */
static int port_attach_again(struct port *port, struct error *err)
{
	struct port_status status;
	struct error ignored;
	int ret;

	if (!port_status_get(port->attached_ifindex, &status, &ignored) &&
	    status.state != PVETH_PORT_STATE_DETACHED)
		return error_set(err, "its guest is at another interface still, which had the name %s before: 'ip link del' it (number %u)",
				 port->config.name, port->attached_ifindex);
	ret = attach(port, port->attached->guest, err);
	/* If busy, the interface came back from another namespace, guest and all. */
	if (ret && ret != -EBUSY) {
		error_prefix(err, "cannot attach the guest again");
		return ret;
	}
	port->attached_ifindex = port->ifindex;
	log_info("%s: the guest is attached again", port->config.name);
	return 0;
}

static int port_attach_new(struct port *port, struct client *client, struct error *err)
{
	const struct port_config *config = &port->config;
	struct guest *guest;
	int ret;

	guest = guest_create(config->queues, config->window_size, err);
	if (!guest)
		return -1;
	ret = attach(port, guest, err);
	if (ret) {
		guest_free(guest);
		error_prefix(err, "cannot attach a guest");
		return ret;
	}
	client_forget_guest(port->attached);
	port->attached = client;
	port->attached_ifindex = port->ifindex;
	client->guest = guest;
	log_info("%s: the guest of QEMU (process %d) is attached", config->name,
		 (int)client->pid);
	client_greet(client);
	return 0;
}

static void port_memory_filled(struct port *port, int error)
{
	struct error err;

	port->filler = NULL;
	if (!error && !ram_needs_filling(&port->config)) {
		port_serve(port);
		return;
	}
	error_set(&err, "cannot get the guest's memory from %s: %s", port->config.memory_dir,
		  error ? strerror(error) : "somebody takes it away again");
	port_set_problem(port, err.text);
	port_try_again(port);
}

/* A guest is to have the port. Returns 1 if it must wait for its memory. */
static int port_start_new(struct port *port, struct client *client, struct error *err)
{
	if (port->filler)
		return 1;
	if (port->config.direct && ram_needs_filling(&port->config)) {
		port->filler = ram_fill(port, port_memory_filled, err);
		return port->filler ? 1 : -1;
	}
	return port_attach_new(port, client, err);
}

/* Returns 1 if there is nothing to be said yet. */
static int port_try(struct port *port, struct error *err)
{
	struct client *client;
	int ret;

	if (port->attached && port->attached_ifindex != port->ifindex) {
		ret = port_attach_again(port, err);
		if (ret)
			return ret;
	}
	client = clients_waiting(port);
	if (!client)
		return 0;
	ret = port_is_attached(port, err);
	if (ret < 0)
		return ret;
	if (!ret) {
		ret = port_start_new(port, client, err);
		if (ret != -EBUSY)
			return ret;
	}
	/* If nobody but us has its doorbell, it is free after this. */
	client_forget_guest(port->attached);
	error_set(err, "QEMU waits until the guest that has the port is gone");
	return -EBUSY;
}

/**
 * port_serve() - attach the guest that is to have the port
 * @port: the port
 */
void port_serve(struct port *port)
{
	struct error err;
	int ret;

	clients_accept(port);
	if (!port->ifindex || !port->filtered)
		return;
	ret = port_try(port, &err);
	if (ret > 0)
		return;
	port_set_problem(port, ret ? err.text : "");
	/* The kernel tells when a guest is gone. */
	if (ret && ret != -EBUSY)
		port_try_again(port);
}
