// SPDX-License-Identifier: GPL-2.0
/*
 * Links, which are the interfaces of ports, and addresses and routes of theirs
 */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netlink.h"

static struct netlink rtnl;
static struct netlink_monitor monitor;

int rtnl_request(struct nlmsghdr *nlh, struct error *err)
{
	return netlink_request(&rtnl, nlh, NULL, NULL, err);
}

int rtnl_ask(struct nlmsghdr *nlh, void (*reply)(const struct nlmsghdr *nlh, void *data),
	     void *data, struct error *err)
{
	return netlink_request(&rtnl, nlh, reply, data, err);
}

static struct nlmsghdr *link_request(char *buffer, uint16_t type, unsigned int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = type;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	return nlh;
}

static void set_up(struct nlmsghdr *nlh)
{
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
}

static void link_attributes(const struct nlmsghdr *nlh, const struct nlattr **table)
{
	netlink_attributes(mnl_nlmsg_get_payload_offset(nlh, sizeof(struct ifinfomsg)),
			   mnl_nlmsg_get_payload_tail(nlh), table, IFLA_MAX);
}

static void link_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *table[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	const struct nlattr *port[IFLA_BRPORT_MAX + 1];
	struct link_info *link = data;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return;
	link_attributes(nlh, table);
	link->ifindex = ifi->ifi_index;
	link->up = ifi->ifi_flags & IFF_UP;
	if (table[IFLA_ADDRESS] &&
	    mnl_attr_get_payload_len(table[IFLA_ADDRESS]) == sizeof(link->mac))
		memcpy(link->mac, mnl_attr_get_payload(table[IFLA_ADDRESS]), sizeof(link->mac));
	if (table[IFLA_MTU])
		link->mtu = mnl_attr_get_u32(table[IFLA_MTU]);
	if (table[IFLA_NUM_TX_QUEUES])
		link->queues = mnl_attr_get_u32(table[IFLA_NUM_TX_QUEUES]);
	if (table[IFLA_MASTER])
		link->master = mnl_attr_get_u32(table[IFLA_MASTER]);
	if (!table[IFLA_LINKINFO])
		return;
	netlink_nested_attributes(table[IFLA_LINKINFO], info, IFLA_INFO_MAX);
	if (info[IFLA_INFO_KIND])
		strncpy(link->kind, mnl_attr_get_str(info[IFLA_INFO_KIND]),
			sizeof(link->kind) - 1);
	if (!info[IFLA_INFO_SLAVE_KIND] || !info[IFLA_INFO_SLAVE_DATA] ||
	    strcmp(mnl_attr_get_str(info[IFLA_INFO_SLAVE_KIND]), BRIDGE_KIND))
		return;
	netlink_nested_attributes(info[IFLA_INFO_SLAVE_DATA], port, IFLA_BRPORT_MAX);
	link->isolated = port[IFLA_BRPORT_ISOLATED] &&
			 mnl_attr_get_u8(port[IFLA_BRPORT_ISOLATED]);
}

int link_get(const char *name, struct link_info *link, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;

	memset(link, 0, sizeof(*link));
	nlh = link_request(buffer, RTM_GETLINK, 0);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return netlink_request(&rtnl, nlh, link_reply, link, err);
}

int link_get_index(unsigned int ifindex, struct link_info *link, struct error *err)
{
	char buffer[NETLINK_MESSAGE];

	memset(link, 0, sizeof(*link));
	return netlink_request(&rtnl, link_request(buffer, RTM_GETLINK, ifindex), link_reply, link,
			       err);
}

int link_add(const struct port_config *config, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	int ret;

	nlh = link_request(buffer, RTM_NEWLINK, 0);
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	set_up(nlh);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, config->name);
	if (config->mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, config->mtu);
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, config->queues);
	mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, config->queues);
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, PVETH_KIND);
	mnl_attr_nest_end(nlh, nest);

	ret = rtnl_request(nlh, err);
	if (ret == -EOPNOTSUPP)
		error_set(err, "the kernel module pveth_host is not loaded, and 'modprobe pveth_host' failed");
	else if (ret == -EPERM)
		error_set(err, "pvethd needs CAP_NET_ADMIN");
	return ret;
}

int link_set(unsigned int ifindex, uint32_t mtu, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;

	nlh = link_request(buffer, RTM_NEWLINK, ifindex);
	set_up(nlh);
	if (mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return rtnl_request(nlh, err);
}

int link_set_master(unsigned int ifindex, unsigned int master, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;

	nlh = link_request(buffer, RTM_NEWLINK, ifindex);
	mnl_attr_put_u32(nlh, IFLA_MASTER, master);
	return rtnl_request(nlh, err);
}

int link_set_isolated(unsigned int ifindex, bool on, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlattr *info, *data;
	struct nlmsghdr *nlh;

	nlh = link_request(buffer, RTM_NEWLINK, ifindex);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, BRIDGE_KIND);
	data = mnl_attr_nest_start(nlh, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_ISOLATED, on);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return rtnl_request(nlh, err);
}

int bridge_add(const char *name, const uint8_t *mac, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	nlh = link_request(buffer, RTM_NEWLINK, 0);
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, BRIDGE_KIND);
	mnl_attr_nest_end(nlh, nest);
	return rtnl_request(nlh, err);
}

int link_del(unsigned int ifindex, struct error *err)
{
	char buffer[NETLINK_MESSAGE];

	return rtnl_request(link_request(buffer, RTM_DELLINK, ifindex), err);
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, const struct address *address)
{
	unsigned int bytes = family_bits(address->family) / 8;
	uint8_t octets[sizeof(struct in6_addr)];

	address_octets(address, octets);
	mnl_attr_put(nlh, type, bytes, octets);
}

int address_set(unsigned int ifindex, const struct address *address, unsigned int length,
		struct error *err)
{
	char buffer[NETLINK_MESSAGE], text[ADDRESS_TEXT];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *ifa;
	int ret;

	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = address->family;
	ifa->ifa_prefixlen = length;
	ifa->ifa_index = ifindex;
	put_address(nlh, IFA_LOCAL, address);
	put_address(nlh, IFA_ADDRESS, address);
	/* It may be on other interfaces as well: nobody is to find it a duplicate. */
	mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
	ret = rtnl_request(nlh, err);
	if (ret) {
		address_format(address, text);
		error_prefix(err, "the address %s", text);
	}
	return ret;
}

static struct address address_of(const struct sockaddr *sa)
{
	const void *octets = sa->sa_family == AF_INET ?
		(const void *)&((const struct sockaddr_in *)sa)->sin_addr :
		&((const struct sockaddr_in6 *)sa)->sin6_addr;

	return address_from(sa->sa_family, octets);
}

int addresses_find(void (*found)(const char *interface, const struct prefix *prefix, void *data),
		   void *data, struct error *err)
{
	struct ifaddrs *all, *ifa;
	struct address address;
	struct prefix prefix;
	unsigned int length;
	__uint128_t mask;

	if (getifaddrs(&all))
		return error_set(err, "cannot see the host's addresses: %s", strerror(errno));
	for (ifa = all; ifa; ifa = ifa->ifa_next) {
		if (!ifa->ifa_addr || !ifa->ifa_netmask ||
		    (ifa->ifa_addr->sa_family != AF_INET && ifa->ifa_addr->sa_family != AF_INET6))
			continue;
		address = address_of(ifa->ifa_addr);
		length = 0;
		for (mask = address_of(ifa->ifa_netmask).number; mask; mask &= mask - 1)
			length++;
		prefix = prefix_of(&address, length);
		found(ifa->ifa_name, &prefix, data);
	}
	freeifaddrs(all);
	return 0;
}

static struct nlmsghdr *route_request(char *buffer, uint16_t type, uint16_t flags,
				      const struct address *to, unsigned int length)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rtm;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = to->family;
	rtm->rtm_dst_len = length;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	put_address(nlh, RTA_DST, to);
	return nlh;
}

static int route_send(struct nlmsghdr *nlh, const char *to, struct error *err)
{
	int ret;

	ret = rtnl_request(nlh, err);
	if (ret)
		error_prefix(err, "the route to %s", to);
	return ret;
}

/* Least of all */
#define BLOCK_METRIC	0x7fffffff

static int block_send(const struct prefix *prefix, uint16_t type, uint16_t flags,
		      struct error *err)
{
	char buffer[NETLINK_MESSAGE], text[PREFIX_TEXT];
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;

	nlh = route_request(buffer, type, flags, &prefix->address, prefix->length);
	rtm = mnl_nlmsg_get_payload(nlh);
	rtm->rtm_type = RTN_UNREACHABLE;
	mnl_attr_put_u32(nlh, RTA_PRIORITY, BLOCK_METRIC);
	prefix_format(prefix, text);
	return route_send(nlh, text, err);
}

int route_block(const struct prefix *prefix, struct error *err)
{
	return block_send(prefix, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, err);
}

int route_unblock(const struct prefix *prefix, struct error *err)
{
	return block_send(prefix, RTM_DELROUTE, 0, err);
}

int route_set(unsigned int ifindex, const struct address *to, const struct address *from,
	      struct error *err)
{
	char buffer[NETLINK_MESSAGE], text[ADDRESS_TEXT];
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;

	nlh = route_request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to,
			    family_bits(to->family));
	rtm = mnl_nlmsg_get_payload(nlh);
	rtm->rtm_scope = to->family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	put_address(nlh, RTA_PREFSRC, from);
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	address_format(to, text);
	return route_send(nlh, text, err);
}

int route_unset(unsigned int ifindex, const struct address *to, struct error *err)
{
	char buffer[NETLINK_MESSAGE], text[ADDRESS_TEXT];
	struct nlmsghdr *nlh;

	nlh = route_request(buffer, RTM_DELROUTE, 0, to, family_bits(to->family));
	((struct rtmsg *)mnl_nlmsg_get_payload(nlh))->rtm_scope = RT_SCOPE_NOWHERE;
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	address_format(to, text);
	return route_send(nlh, text, err);
}

static void link_notification(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *table[IFLA_MAX + 1];

	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return;
	link_attributes(nlh, table);
	/* Not from a bridge only */
	if (nlh->nlmsg_type == RTM_DELLINK && ifi->ifi_family == AF_UNSPEC)
		ports_interface_gone(ifi->ifi_index);
	if (table[IFLA_IFNAME])
		ports_interface_changed(ifi->ifi_index, mnl_attr_get_str(table[IFLA_IFNAME]));
}

int rtnl_open(struct event_base *base, struct error *err)
{
	monitor.message = link_notification;
	monitor.lost = ports_refresh;
	if (netlink_open(&rtnl, NETLINK_ROUTE, err) ||
	    netlink_monitor_open(&monitor, NETLINK_ROUTE, base, err))
		return -1;
	return netlink_monitor_join(&monitor, RTNLGRP_LINK, err);
}

void rtnl_close(void)
{
	netlink_monitor_close(&monitor);
	netlink_close(&rtnl);
}
