// SPDX-License-Identifier: GPL-2.0
/*
 * Requests from pvethctl, on RUN_DIR/control
 *
 * A request is a JSON object in one line, and so is its reply: {"result": ...}
 * or {"error": "..."}. The requests:
 *
 *	{"command": "add", ...}			what config_from_json() takes
 *	{"command": "del", "name": NAME}
 *	{"command": "list"}
 *	{"command": "show", "name": NAME}
 *	{"command": "network add", ...}		what network_add() takes
 *	{"command": "network del", "name": NAME}
 *	{"command": "network list"}
 *	{"command": "network show", "name": NAME}
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "network.h"

#define MAX_REQUEST	(64 << 10)

/* For a client to say something, or to read: twice, see connection_event() */
static const struct timeval patience = { .tv_sec = 5 };
/* Before connections are accepted again, when they could not be */
static const struct timeval retry_after = { .tv_sec = 1 };
/* As the argument of callbacks: the first time is up. */
static char out_of_patience;

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct event *accept_event;
static int listen_fd = -1;
static unsigned int connections;

/* The name in a request that has nothing else */
static const char *get_name(json_t *request, struct error *err)
{
	json_error_t jerr;
	const char *name;

	if (!json_unpack_ex(request, &jerr, JSON_STRICT, "{s:s, s:s}", "command", &name,
			    "name", &name))
		return name;
	error_set(err, "not a request: %s", jerr.text);
	return NULL;
}

static struct port *find(json_t *request, struct error *err)
{
	const char *name = get_name(request, err);
	struct port *port;

	if (!name)
		return NULL;
	port = port_find(name);
	if (!port)
		error_set(err, "there is no port '%s'", name);
	return port;
}

static json_t *add(json_t *request, struct error *err)
{
	struct port_config config;
	struct port *port;

	json_object_del(request, "command");
	if (config_from_json(request, &config, err))
		return NULL;
	port = port_add(&config, err);
	return port ? port_to_json(port) : NULL;
}

static json_t *del(json_t *request, struct error *err)
{
	const char *name = get_name(request, err);
	struct port *port = name ? port_find(name) : NULL;
	int ret;

	if (!name)
		return NULL;
	if (port)
		ret = port_del(port, err);
	else if (!parse_name("port", name, err) && state_exists(STATE_PORT, name))
		ret = port_del_unserved(name, err);
	else
		ret = error_set(err, "there is no port '%s'", name);
	return ret ? NULL : json_pack("{s:s}", "name", name);
}

static json_t *list(json_t *request, struct error *err)
{
	(void)request;
	(void)err;
	return ports_to_json();
}

static json_t *show(json_t *request, struct error *err)
{
	struct port *port = find(request, err);

	if (!port)
		return NULL;
	filters_count();
	return port_to_json(port);
}

static json_t *add_network(json_t *request, struct error *err)
{
	json_object_del(request, "command");
	return network_add(request, err);
}

static json_t *del_network(json_t *request, struct error *err)
{
	const char *name = get_name(request, err);

	return name && !network_del(name, err) ? json_pack("{s:s}", "name", name) : NULL;
}

static json_t *list_networks(json_t *request, struct error *err)
{
	(void)request;
	(void)err;
	return networks_to_json();
}

static json_t *show_network(json_t *request, struct error *err)
{
	const char *name = get_name(request, err);
	struct network *network = name ? network_find(name, err) : NULL;

	return network ? network_to_json(network) : NULL;
}

static const struct command {
	const char *name;
	json_t *(*run)(json_t *request, struct error *err);
} commands[] = {
	{ "add", add },
	{ "del", del },
	{ "list", list },
	{ "show", show },
	{ "network add", add_network },
	{ "network del", del_network },
	{ "network list", list_networks },
	{ "network show", show_network },
};

static json_t *run(json_t *request, struct error *err)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	const struct command *command;

	if (!name) {
		error_set(err, "not a request: it has no \"command\"");
		return NULL;
	}
	for (command = commands; command < commands + COUNT(commands); command++)
		if (!strcmp(name, command->name))
			return command->run(request, err);
	error_set(err, "there is no command '%.40s'", name);
	return NULL;
}

/* What a request has, and a message repeats, may be cut within a character. */
static json_t *error_reply(struct error *err)
{
	json_t *reply = json_pack("{s:s}", "error", err->text);
	char *p;

	if (reply)
		return reply;
	for (p = err->text; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_pack("{s:s}", "error", err->text);
}

static char *answer(const char *line, size_t len)
{
	json_t *request, *reply, *result = NULL;
	struct error err = { "out of memory" };
	json_error_t jerr;
	char *text;

	request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &jerr);
	if (request)
		result = run(request, &err);
	else
		error_set(&err, "not a request: %s", jerr.text);
	json_decref(request);
	reply = result ? json_pack("{s:o}", "result", result) : error_reply(&err);
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	return text;
}

static void connection_close(struct bufferevent *connection)
{
	bufferevent_free(connection);
	if (connections-- == PVETHD_MAX_CLIENTS)
		event_add(accept_event, NULL);
}

static void connection_written(struct bufferevent *connection, void *arg)
{
	(void)arg;
	connection_close(connection);
}

/* After a while in which pvethd did not run, as when the machine was suspended, time
 * is up though the client has done its part; libevent says nothing of the latter. So
 * there is a second time.
 */
static void connection_event(struct bufferevent *connection, short what, void *arg)
{
	bufferevent_data_cb readable, written;

	if (!(what & BEV_EVENT_TIMEOUT) || arg) {
		connection_close(connection);
		return;
	}
	bufferevent_getcb(connection, &readable, &written, NULL, NULL);
	bufferevent_setcb(connection, readable, written, connection_event, &out_of_patience);
	bufferevent_enable(connection, what & BEV_EVENT_READING ? EV_READ : EV_WRITE);
}

static void connection_readable(struct bufferevent *connection, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(connection);
	char *line, *text;
	size_t len;

	(void)arg;
	line = evbuffer_readln(input, &len, EVBUFFER_EOL_LF);
	if (!line) {
		if (evbuffer_get_length(input) >= MAX_REQUEST)
			connection_close(connection);
		return;
	}
	text = answer(line, len);
	free(line);
	if (!text) {
		connection_close(connection);
		return;
	}
	bufferevent_disable(connection, EV_READ);
	bufferevent_setcb(connection, NULL, connection_written, connection_event, NULL);
	evbuffer_add_printf(bufferevent_get_output(connection), "%s\n", text);
	free(text);
}

static void control_accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (accept_event && connections < PVETHD_MAX_CLIENTS)
		event_add(accept_event, NULL);
}

static void control_accept(evutil_socket_t fd, short what, void *arg)
{
	struct event_base *base = arg;
	struct bufferevent *connection;

	(void)what;
	fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_error("cannot accept a connection of pvethctl: %s", strerror(errno));
		/* It would only fail again. */
		if (!event_base_once(base, -1, EV_TIMEOUT, control_accept_again, NULL,
				     &retry_after))
			event_del(accept_event);
		return;
	}
	connection = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!connection) {
		close(fd);
		return;
	}
	if (++connections == PVETHD_MAX_CLIENTS)
		event_del(accept_event);
	bufferevent_setcb(connection, connection_readable, NULL, connection_event, NULL);
	bufferevent_setwatermark(connection, EV_READ, 0, MAX_REQUEST);
	bufferevent_set_timeouts(connection, &patience, &patience);
	bufferevent_enable(connection, EV_READ | EV_WRITE);
}

/**
 * control_open() - open the control socket
 * @base: where its events go
 * @run_dir: where it is
 * @err: receives what is wrong
 *
 * Only the user that pvethd runs as, and root, can connect.
 *
 * Return: 0, or -1.
 */
int control_open(struct event_base *base, const char *run_dir, struct error *err)
{
	strcpy(address.sun_path, run_dir);
	strcat(address.sun_path, "/control");
	unlink(address.sun_path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) ||
	    chmod(address.sun_path, 0600) || listen(listen_fd, 64))
		return error_set(err, "cannot make the socket %s: %s", address.sun_path,
				 strerror(errno));
	accept_event = event_new(base, listen_fd, EV_READ | EV_PERSIST, control_accept, base);
	if (!accept_event || event_add(accept_event, NULL))
		return error_set(err, "out of memory");
	return 0;
}

void control_close(void)
{
	if (accept_event)
		event_free(accept_event);
	accept_event = NULL;
	if (listen_fd < 0)
		return;
	unlink(address.sun_path);
	close(listen_fd);
	listen_fd = -1;
}
