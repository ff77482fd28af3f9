/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Netlink sockets: what netlink.c, rtnl.c, tc.c, genl.c and nft.c share
 */
#ifndef _PVETHD_NETLINK_H
#define _PVETHD_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include "kernel.h"

/* Larger than any message that is sent here */
#define NETLINK_MESSAGE	4096

/**
 * struct netlink - a socket for requests
 * @socket: the socket
 * @seq: number of the last request
 */
struct netlink {
	struct mnl_socket *socket;
	unsigned int seq;
};

/**
 * struct netlink_monitor - a socket for notifications
 * @socket: the socket
 * @event: there is a message
 * @overrun: messages were lost, and are until there is none left
 * @message: called with each
 * @lost: called when none is lost any more
 */
struct netlink_monitor {
	struct mnl_socket *socket;
	struct event *event;
	bool overrun;
	void (*message)(const struct nlmsghdr *nlh);
	void (*lost)(void);
};

/* netlink.c APIs: */
int netlink_open(struct netlink *netlink, int bus, struct error *err);
void netlink_close(struct netlink *netlink);
int netlink_request(struct netlink *netlink, struct nlmsghdr *nlh,
		    void (*reply)(const struct nlmsghdr *nlh, void *data), void *data,
		    struct error *err);
int netlink_monitor_open(struct netlink_monitor *monitor, int bus, struct event_base *base,
			 struct error *err);
int netlink_monitor_join(struct netlink_monitor *monitor, unsigned int group, struct error *err);
void netlink_monitor_close(struct netlink_monitor *monitor);
void netlink_attributes(const struct nlattr *attr, const void *end, const struct nlattr **table,
			unsigned int max);
void netlink_nested_attributes(const struct nlattr *attr, const struct nlattr **table,
			       unsigned int max);

/* rtnl.c APIs: */
int rtnl_request(struct nlmsghdr *nlh, struct error *err);
int rtnl_ask(struct nlmsghdr *nlh, void (*reply)(const struct nlmsghdr *nlh, void *data),
	     void *data, struct error *err);
int rtnl_open(struct event_base *base, struct error *err);
void rtnl_close(void);

/* genl.c APIs: */
int genl_open(struct event_base *base, struct error *err);
void genl_close(void);

/* nft.c APIs: */
void nft_open(struct event_base *event_base);
void nft_close(void);

#endif /* _PVETHD_NETLINK_H */
