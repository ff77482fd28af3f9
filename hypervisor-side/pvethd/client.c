// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU that is connected to a port's socket
 *
 * It is answered when a guest made for it is attached to the port, and waits
 * till then: QEMU gets its hello as a whole or not at all (see ivshmem.c). One
 * at a time has the port. The connection then only tells when QEMU has gone.
 *
 * What was handed to QEMU is kept open here as long as the connection lasts, so
 * that the same guest can be attached again when its interface was deleted, or
 * the kernel module unloaded, and is back. The kernel detaches a guest when the
 * last file of its session doorbell is closed: here that is when QEMU closes the
 * connection, or when another one wants the port, for QEMU may have closed the
 * device and kept the connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <grp.h>
#include <pwd.h>

#include "pvethd.h"

static const struct timeval later = { .tv_usec = 100000 };
static const struct timeval retry_after = { .tv_sec = 1 };

static bool client_is_waiting(const struct client *client)
{
	return !client->guest && !client->greeted;
}

/**
 * client_forget_guest() - close what was handed to a QEMU
 * @client: the QEMU, or NULL; it has its hello
 */
void client_forget_guest(struct client *client)
{
	if (!client || !client->greeted)
		return;
	guest_free(client->guest);
	client->guest = NULL;
	if (client->port->attached == client)
		client->port->attached = NULL;
}

static void client_free(struct client *client)
{
	struct port *port = client->port;

	if (port->attached == client)
		port->attached = NULL;
	guest_free(client->guest);
	event_free(client->closed);
	event_free(client->send);
	event_free(client->send_later);
	close(client->fd);
	TAILQ_REMOVE(&port->clients, client, entry);
	port->clients_count--;
	free(client);
}

static void client_leave(struct client *client, const char *why)
{
	struct port *port = client->port;

	log_info("%s: QEMU (process %d) %s", port->config.name, (int)client->pid, why);
	client_free(client);
	/* If it had the port, the kernel says when the port is free again. */
	port_serve(port);
}

/* QEMU sends nothing, ever. */
static void client_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	char bytes[64];
	ssize_t n;

	(void)what;
	n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	client_leave(client, n > 0 ? "is none, since it sends something" : "has left");
}

/**
 * client_greet() - send the hello, or what is left of it
 * @client: the QEMU; its guest is attached
 */
void client_greet(struct client *client)
{
	switch (hello_send(client->fd, client->guest, &client->hello)) {
	case HELLO_DONE:
		client->greeted = true;
		break;
	case HELLO_FULL:
		event_add(client->send, NULL);
		break;
	case HELLO_LATER:
		event_add(client->send_later, &later);
		break;
	case HELLO_GONE:
		/* That it is gone is read from the connection, too. */
		break;
	}
}

static void client_greet_on(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)fd;
	(void)what;
	client_greet(client);
	/* Another may have come to wait for what is kept of this one's guest. */
	if (client->greeted)
		port_serve(client->port);
}

/**
 * clients_waiting() - who has the port next
 * @port: the port
 *
 * Return: the QEMU that has waited longest, or NULL.
 */
struct client *clients_waiting(const struct port *port)
{
	struct client *client;

	TAILQ_FOREACH(client, &port->clients, entry)
		if (client_is_waiting(client))
			return client;
	return NULL;
}

static struct client *client_new(struct port *port, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	struct ucred cred = { .pid = -1 };
	socklen_t len = sizeof(cred);

	if (!client)
		return NULL;
	client->port = port;
	client->fd = fd;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	client->pid = cred.pid;
	client->closed = event_new(ports_base(), fd, EV_READ | EV_PERSIST, client_readable,
				   client);
	client->send = event_new(ports_base(), fd, EV_WRITE, client_greet_on, client);
	client->send_later = evtimer_new(ports_base(), client_greet_on, client);
	if (!client->closed || !client->send || !client->send_later ||
	    event_add(client->closed, NULL))
		goto fail;
	TAILQ_INSERT_TAIL(&port->clients, client, entry);
	port->clients_count++;
	return client;

fail:
	if (client->closed)
		event_free(client->closed);
	if (client->send)
		event_free(client->send);
	if (client->send_later)
		event_free(client->send_later);
	free(client);
	return NULL;
}

static void port_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct port *port = arg;
	struct client *client;
	int fd;

	(void)what;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_error("%s: cannot accept a connection: %s", port->config.name,
			  strerror(errno));
		/* It would only fail again. */
		event_del(port->accept);
		event_add(port->retry, &retry_after);
		return;
	}
	hello_prepare(fd);
	client = client_new(port, fd);
	if (!client) {
		log_error("%s: no memory for a connection", port->config.name);
		close(fd);
		return;
	}
	log_info("%s: QEMU (process %d) connected", port->config.name, (int)client->pid);
	port_serve(port);
	if (client_is_waiting(client))
		log_info("%s: QEMU (process %d) has to wait", port->config.name,
			 (int)client->pid);
}

/**
 * clients_accept() - let QEMUs connect, if there are not too many
 * @port: the port
 *
 * The others wait, unanswered, in the socket's queue.
 */
void clients_accept(struct port *port)
{
	if (port->clients_count < PVETHD_MAX_CLIENTS)
		event_add(port->accept, NULL);
	else
		event_del(port->accept);
}

/**
 * socket_owner() - who may have what QEMU needs for a port
 * @config: of the port. Names and numbers are allowed, as chown(1) has it.
 * @uid: receives the user, or -1 for our own
 * @gid: receives the group, or -1 for our own
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int socket_owner(const struct port_config *config, uid_t *uid, gid_t *gid, struct error *err)
{
	struct passwd *user = NULL;
	struct group *group = NULL;
	struct error ignored;
	unsigned int id;

	*uid = -1;
	*gid = -1;
	if (config->socket_user[0]) {
		user = getpwnam(config->socket_user);
		if (user)
			*uid = user->pw_uid;
		else if (!parse_number(config->socket_user, 0, UINT32_MAX - 1, &id, &ignored))
			*uid = id;
		else
			return error_set(err, "there is no user '%s'", config->socket_user);
	}
	if (config->socket_group[0]) {
		group = getgrnam(config->socket_group);
		if (group)
			*gid = group->gr_gid;
		else if (!parse_number(config->socket_group, 0, UINT32_MAX - 1, &id, &ignored))
			*gid = id;
		else
			return error_set(err, "there is no group '%s'", config->socket_group);
	}
	return 0;
}

/* Nobody can connect before listen(), and then only its owner and group can. */
static int open_socket(struct port *port, uid_t uid, gid_t gid, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, "cannot make a socket: %s", strerror(errno));
	strcpy(addr.sun_path, port->socket);
	unlink(port->socket);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		error_set(err, "cannot make the socket %s: %s", port->socket, strerror(errno));
		close(fd);
		return -1;
	}
	if (chmod(port->socket, 0660) || lchown(port->socket, uid, gid) || listen(fd, 64)) {
		error_set(err, "cannot open the socket %s to user '%s', group '%s': %s",
			  port->socket, port->config.socket_user, port->config.socket_group,
			  strerror(errno));
		unlink(port->socket);
		close(fd);
		return -1;
	}
	return fd;
}

/**
 * clients_listen() - open the socket of a port
 * @port: the port
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int clients_listen(struct port *port, struct error *err)
{
	uid_t uid;
	gid_t gid;

	if (socket_owner(&port->config, &uid, &gid, err))
		return -1;
	port->listen_fd = open_socket(port, uid, gid, err);
	if (port->listen_fd < 0)
		return -1;
	port->accept = event_new(ports_base(), port->listen_fd, EV_READ | EV_PERSIST,
				 port_accept, port);
	if (!port->accept || event_add(port->accept, NULL)) {
		clients_close(port);
		return error_set(err, "out of memory");
	}
	return 0;
}

/* A QEMU that waits would wait for ever. It gets what it waits for, with a
 * window that is no port's, which a guest's driver leaves alone.
 */
static void client_dismiss(struct client *client)
{
	const struct port_config *config = &client->port->config;
	struct error err;

	if (!client->guest) {
		client->guest = guest_create(config->queues, config->window_size, &err);
		if (!client->guest)
			return;
		log_error("%s: QEMU (process %d), still waiting, gets a card that does not work",
			  config->name, (int)client->pid);
	}
	hello_send(client->fd, client->guest, &client->hello);
}

/**
 * clients_close() - close the socket of a port, and all connections
 * @port: the port
 *
 * Whoever has the port keeps it.
 */
void clients_close(struct port *port)
{
	struct client *client;

	if (port->listen_fd < 0)
		return;
	if (port->accept)
		event_free(port->accept);
	port->accept = NULL;
	unlink(port->socket);
	close(port->listen_fd);
	port->listen_fd = -1;
	while ((client = TAILQ_FIRST(&port->clients))) {
		if (!client->greeted)
			client_dismiss(client);
		client_free(client);
	}
}

/**
 * clients_to_json() - who is connected
 * @port: the port
 *
 * Return: an array, or NULL if there is no memory.
 */
json_t *clients_to_json(const struct port *port)
{
	json_t *array = json_array();
	struct client *client;

	TAILQ_FOREACH(client, &port->clients, entry)
		json_array_append_new(array,
				      json_pack("{s:i, s:b}", "pid", (int)client->pid,
						"waiting", client_is_waiting(client)));
	return array;
}
