/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel as pvethd sees it
 *
 * All that pvethd asks of the kernel's network goes through here. netlink.c,
 * rtnl.c, tc.c, genl.c, nft.c and setting.c are the real kernel; the fake_*.c of
 * selftests/pvethd are another for tests. The functions return a negative errno.
 */
#ifndef _PVETHD_KERNEL_H
#define _PVETHD_KERNEL_H

#include <event2/event.h>

#include <linux/pveth_netlink.h>

#include "pvethd.h"

/* rtnl link kinds of a port and of a bridge */
#define PVETH_KIND	"pveth"
#define BRIDGE_KIND	"bridge"

/**
 * struct link_info - a network interface
 * @ifindex: its index
 * @up: it is up
 * @mac: its MAC address
 * @kind: its rtnl link kind, empty if it has none
 * @mtu: its MTU
 * @queues: the number of its transmit queues
 * @master: the bridge that it is in, or what else is above it, or 0
 * @isolated: there it is kept from others that are
 */
struct link_info {
	unsigned int ifindex;
	bool up;
	uint8_t mac[6];
	char kind[32];
	uint32_t mtu;
	uint32_t queues;
	uint32_t master;
	bool isolated;
};

/**
 * struct port_status - a port as the kernel knows it: Documentation/netlink/specs/pveth.yaml
 */
struct port_status {
	uint32_t state;
	uint32_t error;
	uint32_t guest_error;
	uint16_t queue_pairs;
	uint64_t features;
	uint64_t sessions;
	uint32_t guest_mtu;
	uint8_t guest_current_mac[6];
	uint64_t stats[PVETH_A_PORT_STATS_MAX + 1];
};

/* netlink.c APIs: */

/* From now on changes are reported to ports_interface_changed(),
 * ports_interface_gone(), ports_session_changed() and ports_module_loaded(), and
 * if reports were lost to ports_refresh(), from the event loop.
 */
int kernel_open(struct event_base *base, struct error *err);
void kernel_close(void);

/* rtnl.c APIs: */

/* -ENODEV if there is no interface of that name */
int link_get(const char *name, struct link_info *link, struct error *err);
/* The same, whatever its name is */
int link_get_index(unsigned int ifindex, struct link_info *link, struct error *err);
/* The new interface is up. */
int link_add(const struct port_config *config, struct error *err);
/* It is up, and has this MTU, unless that is 0. */
int link_set(unsigned int ifindex, uint32_t mtu, struct error *err);
int link_set_master(unsigned int ifindex, unsigned int master, struct error *err);
/* In the bridge that it is in */
int link_set_isolated(unsigned int ifindex, bool on, struct error *err);
int link_del(unsigned int ifindex, struct error *err);
/* A bridge; it is down, and keeps this MAC address, whichever interfaces come. */
int bridge_add(const char *name, const uint8_t *mac, struct error *err);
/* The interface has this address of ours, without a route that comes with it. */
int address_set(unsigned int ifindex, const struct address *address, unsigned int length,
		struct error *err);
/* Those of all interfaces, and the prefixes that they are in there */
int addresses_find(void (*found)(const char *interface, const struct prefix *prefix, void *data),
		   void *data, struct error *err);
/* What no other route is for is unreachable. */
int route_block(const struct prefix *prefix, struct error *err);
int route_unblock(const struct prefix *prefix, struct error *err);
/* To an address behind the interface, from one of ours */
int route_unset(unsigned int ifindex, const struct address *to, struct error *err);
int route_set(unsigned int ifindex, const struct address *to, const struct address *from,
	      struct error *err);

/* tc.c APIs: */

/* Bits per second that go out of the interface, and that come in there. What else goes on
 * there in the way of traffic control stays.
 */
int rate_limit_out(unsigned int ifindex, uint64_t bits, struct error *err);
int rate_limit_in(unsigned int ifindex, uint64_t bits, struct error *err);
/* Packets that were too much since the limit was set; -ENOENT, for one, if there is none */
int rate_drops_out(unsigned int ifindex, uint64_t *packets, struct error *err);
int rate_drops_in(unsigned int ifindex, uint64_t *packets, struct error *err);

/* setting.c APIs: */

/* Not if its MTU is too small, or IPv6 is not there at all */
bool has_ipv6(const char *interface);
/* One of those of an interface, for IPv4 or IPv6 */
int setting_set(int family, const char *interface, const char *name, bool on,
		struct error *err);
/* Though it forwards, or will, the interface learns of routers if it did before. */
int keep_routers_of(const char *interface, struct error *err);
/* Of all interfaces: there is no setting of one for that. */
int forward_ipv6(struct error *err);

/* nft.c APIs: */

/* Lines of nft(8), all of them or none. From then on chains that are deleted are
 * reported to filter_deleted() and uplinks_deleted(), and if reports were lost to
 * filters_check() and uplinks_update_again(), from the event loop. Returns -1 if it fails.
 */
int nft_run(const char *commands, struct error *err);
/* All chains of the family netdev */
int nft_chains(void (*found)(const char *table, const char *chain, void *data), void *data,
	       struct error *err);
/* Of the elements of a set of interfaces, in a table of the family netdev */
int nft_counters(const char *table, const char *set,
		 void (*found)(const char *name, uint64_t packets, void *data), void *data,
		 struct error *err);

/* genl.c APIs: */

/* The kernel module is loaded. */
bool kernel_has_ports(void);
int port_status_get(unsigned int ifindex, struct port_status *status, struct error *err);
/* -EBUSY if the port is attached already. The window is only looked at. */
int port_attach(unsigned int ifindex, const uint8_t *mac, const struct guest *guest,
		const void *window, const struct ram *ram, struct error *err);

#endif /* _PVETHD_KERNEL_H */
