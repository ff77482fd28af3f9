// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink sockets: requests that are answered at once, and notifications
 */
#include <errno.h>
#include <string.h>

#include "netlink.h"

/* Larger than any message of the kernel about one thing */
#define RECEIVE_BUFFER	(64 << 10)

static char receive_buffer[RECEIVE_BUFFER];

static struct mnl_socket *open_socket(int bus, int flags, struct error *err)
{
	struct mnl_socket *socket;

	socket = mnl_socket_open2(bus, SOCK_CLOEXEC | flags);
	if (socket && !mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID))
		return socket;
	error_set(err, "cannot open a netlink socket: %s", strerror(errno));
	if (socket)
		mnl_socket_close(socket);
	return NULL;
}

/**
 * netlink_open() - open a socket for requests
 * @netlink: the socket
 * @bus: NETLINK_ROUTE, NETLINK_GENERIC or NETLINK_NETFILTER
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int netlink_open(struct netlink *netlink, int bus, struct error *err)
{
	const int on = 1;

	netlink->socket = open_socket(bus, 0, err);
	if (!netlink->socket)
		return -1;
	if (mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, (void *)&on, sizeof(on)) ||
	    mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, (void *)&on, sizeof(on))) {
		netlink_close(netlink);
		return error_set(err, "cannot set up a netlink socket: %s", strerror(errno));
	}
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (netlink->socket)
		mnl_socket_close(netlink->socket);
	netlink->socket = NULL;
}

/**
 * netlink_attributes() - sort attributes by type
 * @attr: the first
 * @end: where they end
 * @table: receives them, of size @max + 1
 * @max: the highest type of interest
 */
void netlink_attributes(const struct nlattr *attr, const void *end, const struct nlattr **table,
			unsigned int max)
{
	unsigned int type;

	memset(table, 0, (max + 1) * sizeof(*table));
	for (; mnl_attr_ok(attr, (const char *)end - (const char *)attr);
	     attr = mnl_attr_next(attr)) {
		type = mnl_attr_get_type(attr);
		if (type <= max)
			table[type] = attr;
	}
}

/**
 * netlink_nested_attributes() - sort the attributes within another
 * @attr: that other; of NULL there are none
 * @table: receives them, of size @max + 1
 * @max: the highest type of interest
 */
void netlink_nested_attributes(const struct nlattr *attr, const struct nlattr **table,
			       unsigned int max)
{
	const char *first = attr ? mnl_attr_get_payload(attr) : NULL;

	netlink_attributes((const void *)first,
			   first ? first + mnl_attr_get_payload_len(attr) : NULL, table, max);
}

static int request_failed(const struct nlmsghdr *nlh, struct error *err)
{
	const struct nlmsgerr *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *table[NLMSGERR_ATTR_MAX + 1];
	size_t echoed;

	if (!msg->error)
		return 0;
	error_set(err, "%s", strerror(-msg->error));
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return msg->error;
	echoed = nlh->nlmsg_flags & NLM_F_CAPPED ? 0 : msg->msg.nlmsg_len - NLMSG_HDRLEN;
	netlink_attributes(mnl_nlmsg_get_payload_offset(nlh, sizeof(*msg) + echoed),
			   mnl_nlmsg_get_payload_tail(nlh), table, NLMSGERR_ATTR_MAX);
	if (table[NLMSGERR_ATTR_MSG])
		error_set(err, "%s (%s)", mnl_attr_get_str(table[NLMSGERR_ATTR_MSG]),
			  strerror(-msg->error));
	return msg->error;
}

/* The end of an answer in several messages */
static int dump_failed(const struct nlmsghdr *nlh, struct error *err)
{
	const int *error = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*error) || *error >= 0)
		return 0;
	error_set(err, "%s", strerror(-*error));
	return *error;
}

/**
 * netlink_request() - ask the kernel, and wait for its answer
 * @netlink: the socket
 * @nlh: the request
 * @reply: called with each message of the answer, or NULL if there is none
 * @data: passed to @reply
 * @err: receives what is wrong
 *
 * Return: 0, or a negative errno.
 */
int netlink_request(struct netlink *netlink, struct nlmsghdr *nlh,
		    void (*reply)(const struct nlmsghdr *nlh, void *data), void *data,
		    struct error *err)
{
	const struct nlmsghdr *answer;
	ssize_t n;
	int len;

	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++netlink->seq;
	if (mnl_socket_sendto(netlink->socket, nlh, nlh->nlmsg_len) < 0)
		goto fail;
	for (;;) {
		n = mnl_socket_recvfrom(netlink->socket, receive_buffer, sizeof(receive_buffer));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto fail;
		len = n;
		for (answer = (void *)receive_buffer; mnl_nlmsg_ok(answer, len);
		     answer = mnl_nlmsg_next(answer, &len)) {
			if (answer->nlmsg_seq != netlink->seq)
				continue;
			if (answer->nlmsg_type == NLMSG_ERROR)
				return request_failed(answer, err);
			if (answer->nlmsg_type == NLMSG_DONE)
				return dump_failed(answer, err);
			if (reply)
				reply(answer, data);
		}
	}

fail:
	n = -errno;
	error_set(err, "the kernel cannot be asked: %s", strerror(errno));
	return n;
}

/* Once it had to drop a message the kernel drops all, and says so once, until all that are
 * queued were read (netlink_overrun() and netlink_rcv_wake() in net/netlink/af_netlink.c).
 * Only what is looked at after that is sure to be seen.
 */
static void monitor_drain(struct netlink_monitor *monitor, bool is_empty)
{
	if (!is_empty) {
		event_active(monitor->event, EV_READ, 0);
		return;
	}
	monitor->overrun = false;
	log_info("the kernel reported too much at once: looking at everything");
	monitor->lost();
}

static void monitor_readable(evutil_socket_t fd, short what, void *arg)
{
	struct netlink_monitor *monitor = arg;
	static char buffer[RECEIVE_BUFFER];
	const struct nlmsghdr *nlh;
	ssize_t n;
	int len;

	(void)fd;
	(void)what;
	n = mnl_socket_recvfrom(monitor->socket, buffer, sizeof(buffer));
	if (n < 0 && errno == ENOBUFS)
		monitor->overrun = true;
	if (monitor->overrun) {
		monitor_drain(monitor, n < 0 && errno == EAGAIN);
		return;
	}
	if (n < 0)
		return;
	len = n;
	for (nlh = (void *)buffer; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
		monitor->message(nlh);
}

/**
 * netlink_monitor_open() - open a socket for notifications
 * @monitor: the socket; its @message and @lost are set
 * @bus: NETLINK_ROUTE, NETLINK_GENERIC or NETLINK_NETFILTER
 * @base: where its events go
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int netlink_monitor_open(struct netlink_monitor *monitor, int bus, struct event_base *base,
			 struct error *err)
{
	monitor->overrun = false;
	monitor->socket = open_socket(bus, SOCK_NONBLOCK, err);
	if (!monitor->socket)
		return -1;
	monitor->event = event_new(base, mnl_socket_get_fd(monitor->socket),
				   EV_READ | EV_PERSIST, monitor_readable, monitor);
	if (!monitor->event || event_add(monitor->event, NULL)) {
		netlink_monitor_close(monitor);
		return error_set(err, "out of memory");
	}
	return 0;
}

/**
 * netlink_monitor_join() - listen to a group of notifications
 * @monitor: the socket
 * @group: number of the group
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int netlink_monitor_join(struct netlink_monitor *monitor, unsigned int group, struct error *err)
{
	if (mnl_socket_setsockopt(monitor->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return error_set(err, "cannot listen to the kernel's notifications: %s",
				 strerror(errno));
	return 0;
}

void netlink_monitor_close(struct netlink_monitor *monitor)
{
	if (monitor->event)
		event_free(monitor->event);
	monitor->event = NULL;
	if (monitor->socket)
		mnl_socket_close(monitor->socket);
	monitor->socket = NULL;
}

/**
 * kernel_open() - open all that asks the kernel or hears from it
 * @base: where events go
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int kernel_open(struct event_base *base, struct error *err)
{
	nft_open(base);
	if (rtnl_open(base, err) || genl_open(base, err)) {
		kernel_close();
		return -1;
	}
	return 0;
}

void kernel_close(void)
{
	nft_close();
	genl_close();
	rtnl_close();
}
