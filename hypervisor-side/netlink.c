// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: control from userspace
 *
 * The generic netlink family of Documentation/netlink/specs/pveth.yaml.
 */
#include <linux/pveth_netlink.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "pveth_host.h"

static struct genl_family pvh_family;

enum {
	PVH_MCGRP_PORT,
};

static const struct genl_multicast_group pvh_mcgrps[] = {
	[PVH_MCGRP_PORT] = { .name = PVETH_MCGRP_PORT },
};

/* Find the port that a request names. */
static struct pvh_port *pvh_port_get(struct genl_info *info)
{
	struct nlattr *index = info->attrs[PVETH_A_PORT_IFINDEX];
	struct nlattr *name = info->attrs[PVETH_A_PORT_IFNAME];
	struct net *net = genl_info_net(info);
	struct net_device *netdev;

	ASSERT_RTNL();
	if (!index == !name) {
		NL_SET_ERR_MSG(info->extack,
			       "a port is named by either ifindex or ifname");
		return ERR_PTR(-EINVAL);
	}
	if (index)
		netdev = __dev_get_by_index(net, nla_get_u32(index));
	else
		netdev = __dev_get_by_name(net, nla_data(name));
	if (!netdev) {
		NL_SET_ERR_MSG_ATTR(info->extack, index ?: name,
				    "no such interface in this network namespace");
		return ERR_PTR(-ENODEV);
	}
	if (!pvh_is_port(netdev)) {
		NL_SET_ERR_MSG_ATTR(info->extack, index ?: name,
				    "the interface is not a pveth port");
		return ERR_PTR(-EOPNOTSUPP);
	}
	return netdev_priv(netdev);
}

/* The port that a request names, locked inside RTNL, to be given back by
 * pvh_port_unlock(); or an error, and nothing is locked.
 */
static struct pvh_port *pvh_port_lock(struct genl_info *info)
{
	struct pvh_port *port;

	rtnl_lock();
	port = pvh_port_get(info);
	if (IS_ERR(port))
		rtnl_unlock();
	else
		mutex_lock(&port->lock);
	return port;
}

static void pvh_port_unlock(struct pvh_port *port)
{
	mutex_unlock(&port->lock);
	rtnl_unlock();
}

static u32 pvh_port_state(const struct pvh_port *port)
{
	if (!port->att)
		return port->detaching ? PVETH_PORT_STATE_DOWN :
					 PVETH_PORT_STATE_DETACHED;
	switch (port->session.state) {
	case PVH_SESSION_CLOSED:
		return PVETH_PORT_STATE_DOWN;
	case PVH_SESSION_READY:
		return PVETH_PORT_STATE_READY;
	case PVH_SESSION_RUNNING:
		return PVETH_PORT_STATE_CONNECTED;
	case PVH_SESSION_FAILED:
		break;
	}
	return PVETH_PORT_STATE_ERROR;
}

static int pvh_put_u64(struct sk_buff *msg, int type, u64 value)
{
	return nla_put_u64_64bit(msg, type, value, PVETH_A_PORT_PAD);
}

static int pvh_put_stat(struct sk_buff *msg, int type, u64 value)
{
	return nla_put_u64_64bit(msg, type, value, PVETH_A_PORT_STATS_PAD);
}

static int pvh_put_stats(struct sk_buff *msg, const struct pvh_port *port)
{
	struct pveth_totals g2h = {}, h2g = {};
	u64 kicks = 0, calls = 0;
	struct nlattr *nest;
	u32 i;

	for (i = 0; i < port->queue_pairs; i++) {
		pveth_stats_sum(&port->queues[i].g2h_stats, &g2h);
		pveth_stats_sum(&port->queues[i].h2g_stats, &h2g);
		kicks += atomic64_read(&port->queues[i].kicks);
		calls += atomic64_read(&port->queues[i].calls);
	}

	nest = nla_nest_start(msg, PVETH_A_PORT_STATS);
	if (!nest)
		return -EMSGSIZE;
	if (pvh_put_stat(msg, PVETH_A_PORT_STATS_G2H_FRAMES, g2h.frames) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_G2H_BYTES, g2h.bytes) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_G2H_BAD, g2h.bad) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_G2H_DROPPED, g2h.dropped) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_H2G_FRAMES, h2g.frames) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_H2G_BYTES, h2g.bytes) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_H2G_DROPPED, h2g.dropped) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_KICKS, kicks) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_CALLS, calls) ||
	    pvh_put_stat(msg, PVETH_A_PORT_STATS_PROTOCOL_ERRORS,
			 port->session.protocol_errors))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

/* What the port shares with a guest, and what the guest says */
static int pvh_put_attachment(struct sk_buff *msg, const struct pvh_port *port)
{
	const struct pvh_attachment *att = port->att;
	const struct pveth_guest_page *page = pvh_guest_page(att);
	u8 mac[ETH_ALEN];
	u32 mode;
	u32 queue_pairs = pvh_session_max_pairs(port);
	u64 features = pvh_offered(port);

	if (port->session.state == PVH_SESSION_RUNNING) {
		queue_pairs = port->session.queue_pairs;
		features = port->features;
	}
	pveth_mac_from_word(le64_to_cpu(READ_ONCE(page->mac)), mac);
	mode = features & PVETH_FEATURE(PVETH_F_DIRECT) ? PVETH_MODE_DIRECT :
							   PVETH_MODE_WINDOW;
	if (nla_put_u32(msg, PVETH_A_PORT_MODE, mode) ||
	    pvh_put_u64(msg, PVETH_A_PORT_MEMORY_LEN,
			att->window.regions[0].bytes) ||
	    nla_put_u16(msg, PVETH_A_PORT_HOST_PEER, att->host_peer) ||
	    nla_put(msg, PVETH_A_PORT_GUEST_MAC, ETH_ALEN, att->mac) ||
	    nla_put_u16(msg, PVETH_A_PORT_QUEUE_PAIRS, queue_pairs) ||
	    pvh_put_u64(msg, PVETH_A_PORT_FEATURES, features) ||
	    nla_put_u32(msg, PVETH_A_PORT_GUEST_MTU,
			le32_to_cpu(READ_ONCE(page->mtu))) ||
	    nla_put(msg, PVETH_A_PORT_GUEST_CURRENT_MAC, ETH_ALEN, mac))
		return -EMSGSIZE;
	return 0;
}

static int pvh_put_port(struct sk_buff *msg, const struct pvh_port *port,
			u32 portid, u32 seq, int flags, u8 cmd)
{
	char name[IFNAMSIZ];
	void *header;

	lockdep_assert_held(&port->lock);

	/* It may be changed meanwhile: that takes RTNL, which not all of our callers have. */
	strscpy(name, port->netdev->name, sizeof(name));
	header = genlmsg_put(msg, portid, seq, &pvh_family, flags, cmd);
	if (!header)
		return -EMSGSIZE;
	if (nla_put_u32(msg, PVETH_A_PORT_IFINDEX, port->netdev->ifindex) ||
	    nla_put_string(msg, PVETH_A_PORT_IFNAME, name) ||
	    nla_put_u32(msg, PVETH_A_PORT_STATE, pvh_port_state(port)) ||
	    nla_put_u32(msg, PVETH_A_PORT_ERROR, port->session.error) ||
	    nla_put_u32(msg, PVETH_A_PORT_GUEST_ERROR,
			port->session.guest_error) ||
	    pvh_put_u64(msg, PVETH_A_PORT_SESSIONS, port->session.count) ||
	    (port->att && pvh_put_attachment(msg, port)) ||
	    pvh_put_stats(msg, port)) {
		genlmsg_cancel(msg, header);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, header);
	return 0;
}

/**
 * pvh_netlink_notify() - tell listeners what a port does now
 * @port: the port, locked
 *
 * Context: Process context.
 */
void pvh_netlink_notify(struct pvh_port *port)
{
	struct sk_buff *msg;
	struct net *net;

	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return;
	if (pvh_put_port(msg, port, 0, 0, 0, PVETH_CMD_PORT_NTF)) {
		nlmsg_free(msg);
		return;
	}
	/* Without RTNL the port may move to another namespace meanwhile. */
	rcu_read_lock();
	net = dev_net(port->netdev);
	genlmsg_multicast_netns(&pvh_family, net, msg, 0, PVH_MCGRP_PORT,
				GFP_ATOMIC);
	rcu_read_unlock();
}

static int pvh_port_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct pvh_port *port;
	struct sk_buff *msg;
	int err;

	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;

	port = pvh_port_lock(info);
	if (IS_ERR(port)) {
		err = PTR_ERR(port);
		goto err_free;
	}
	err = pvh_put_port(msg, port, info->snd_portid, info->snd_seq, 0,
			   PVETH_CMD_PORT_GET);
	pvh_port_unlock(port);
	if (err)
		goto err_free;
	return genlmsg_reply(msg, info);

err_free:
	nlmsg_free(msg);
	return err;
}

static int pvh_port_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct net *net = sock_net(skb->sk);
	struct net_device *netdev;
	struct nlmsghdr *nlh;
	struct pvh_port *port;
	int err = 0;
	int n = 0;

	rtnl_lock();
	/* Ports may come and go between two parts, and be left out for that. */
	cb->seq = READ_ONCE(net->dev_base_seq);
	for_each_netdev(net, netdev) {
		if (!pvh_is_port(netdev) || n++ < cb->args[0])
			continue;
		port = netdev_priv(netdev);
		nlh = (struct nlmsghdr *)skb_tail_pointer(skb);
		mutex_lock(&port->lock);
		err = pvh_put_port(skb, port, NETLINK_CB(cb->skb).portid,
				   cb->nlh->nlmsg_seq, NLM_F_MULTI,
				   PVETH_CMD_PORT_GET);
		mutex_unlock(&port->lock);
		if (err)
			break;
		nl_dump_check_consistent(cb, nlh);
		cb->args[0] = n;
	}
	rtnl_unlock();
	return skb->len ?: err;
}

static const struct nla_policy
pvh_region_policy[PVETH_A_PORT_REGION_MAX + 1] = {
	[PVETH_A_PORT_REGION_GUEST_ADDR]	= { .type = NLA_U64 },
	[PVETH_A_PORT_REGION_MEMORY_ADDR]	= { .type = NLA_U64 },
	[PVETH_A_PORT_REGION_MEMORY_LEN]	= { .type = NLA_U64 },
};

/* Collect the attributes of one type. Returns how many there are, or -EMSGSIZE
 * if they are more than @max.
 */
static int pvh_get_fds(struct genl_info *info, int type, int *fds, int max)
{
	struct nlattr *attr;
	int rem, n = 0;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != type)
			continue;
		if (n == max)
			return -EMSGSIZE;
		fds[n++] = nla_get_s32(attr);
	}
	return n;
}

static int pvh_check_guest_mac(struct genl_info *info)
{
	struct nlattr *mac = info->attrs[PVETH_A_PORT_GUEST_MAC];

	if (is_valid_ether_addr(nla_data(mac)))
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, mac,
			    "guest-mac must be a unicast MAC address");
	return -EADDRNOTAVAIL;
}

static int pvh_get_span(struct nlattr *attr, struct pvh_span *span,
			struct genl_info *info)
{
	struct nlattr *tb[PVETH_A_PORT_REGION_MAX + 1];
	int err;

	err = nla_parse_nested(tb, PVETH_A_PORT_REGION_MAX, attr,
			       pvh_region_policy, info->extack);
	if (err)
		return err;
	if (!tb[PVETH_A_PORT_REGION_GUEST_ADDR] ||
	    !tb[PVETH_A_PORT_REGION_MEMORY_ADDR] ||
	    !tb[PVETH_A_PORT_REGION_MEMORY_LEN]) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr,
				    "a region needs guest-addr, memory-addr and memory-len");
		return -EINVAL;
	}
	span->guest_addr = nla_get_u64(tb[PVETH_A_PORT_REGION_GUEST_ADDR]);
	span->addr = nla_get_u64(tb[PVETH_A_PORT_REGION_MEMORY_ADDR]);
	span->bytes = nla_get_u64(tb[PVETH_A_PORT_REGION_MEMORY_LEN]);
	return 0;
}

static int pvh_get_regions(struct genl_info *info,
			   struct pvh_attach_request *request)
{
	struct nlattr *attr;
	int rem, err;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != PVETH_A_PORT_REGION)
			continue;
		if (request->regions == PVETH_MAX_REGIONS) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "there are at most 8 regions");
			return -EMSGSIZE;
		}
		err = pvh_get_span(attr, &request->region[request->regions++],
				   info);
		if (err)
			return err;
	}
	return 0;
}

static bool pvh_span_ok(const struct pvh_span *span)
{
	return span->addr == (unsigned long)span->addr &&
	       span->bytes == (size_t)span->bytes;
}

/* Get hold of what a request to attach describes. */
static struct pvh_attachment *pvh_get_attachment(struct genl_info *info)
{
	struct pvh_attach_request request = {};
	struct nlattr **attrs = info->attrs;
	struct pvh_attachment *att;
	int kicks, calls, err;
	u32 i;

	if (GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_MEMORY_ADDR) ||
	    GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_MEMORY_LEN) ||
	    GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_HOST_PEER) ||
	    GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_GUEST_MAC) ||
	    GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_KICK_FD) ||
	    GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_CALL_FD)) {
		NL_SET_ERR_MSG(info->extack,
			       "attach needs memory-addr, memory-len, host-peer, guest-mac, kick-fd and call-fd");
		return ERR_PTR(-EINVAL);
	}
	err = pvh_check_guest_mac(info);
	if (err)
		return ERR_PTR(err);

	kicks = pvh_get_fds(info, PVETH_A_PORT_KICK_FD, request.kick_fds,
			    ARRAY_SIZE(request.kick_fds));
	calls = pvh_get_fds(info, PVETH_A_PORT_CALL_FD, request.call_fds,
			    ARRAY_SIZE(request.call_fds));
	if (kicks <= PVETH_VECTOR_QUEUE || kicks != calls) {
		NL_SET_ERR_MSG(info->extack,
			       "there must be as many kick-fd as call-fd, from 2 to 17");
		return ERR_PTR(-EINVAL);
	}
	request.vectors = kicks;

	request.window.addr = nla_get_u64(attrs[PVETH_A_PORT_MEMORY_ADDR]);
	request.window.bytes = nla_get_u64(attrs[PVETH_A_PORT_MEMORY_LEN]);
	err = pvh_get_regions(info, &request);
	if (err)
		return ERR_PTR(err);
	for (i = 0; i < request.regions && pvh_span_ok(&request.region[i]); i++)
		;
	if (i < request.regions || !pvh_span_ok(&request.window)) {
		NL_SET_ERR_MSG_ATTR(info->extack, attrs[PVETH_A_PORT_MEMORY_ADDR],
				    "memory-addr is not an address of this process");
		return ERR_PTR(-EFAULT);
	}
	att = pvh_attachment_create(&request, info->extack);
	if (IS_ERR(att))
		return att;
	att->host_peer = nla_get_u16(attrs[PVETH_A_PORT_HOST_PEER]);
	ether_addr_copy(att->mac, nla_data(attrs[PVETH_A_PORT_GUEST_MAC]));
	return att;
}

static int pvh_attach_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct pvh_attachment *att;
	struct pvh_port *port;
	int err;

	/* May take as long as there is memory: without RTNL */
	att = pvh_get_attachment(info);
	if (IS_ERR(att))
		return PTR_ERR(att);

	port = pvh_port_lock(info);
	if (IS_ERR(port)) {
		err = PTR_ERR(port);
		goto out;
	}
	if (port->att || port->detaching) {
		NL_SET_ERR_MSG(info->extack, "the port is attached already");
		err = -EBUSY;
	} else if (att->vectors - PVETH_VECTOR_QUEUE > port->queue_pairs) {
		NL_SET_ERR_MSG(info->extack,
			       "there are more kick-fd than the port has queues: make it with more numtxqueues and numrxqueues");
		err = -EINVAL;
	} else {
		pvh_port_install(port, att);
		err = 0;
	}
	pvh_port_unlock(port);
out:
	if (err)
		pvh_attachment_destroy(att);
	return err;
}

static int pvh_detach_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct net_device *netdev;
	struct pvh_port *port;

	port = pvh_port_lock(info);
	if (IS_ERR(port))
		return PTR_ERR(port);
	if (!port->att) {
		pvh_port_unlock(port);
		NL_SET_ERR_MSG(info->extack, "the port is not attached");
		return -ENOTCONN;
	}
	netdev = port->netdev;
	dev_hold(netdev);
	pvh_session_detach(port);
	pvh_port_unlock(port);
	/* Without RTNL */
	flush_delayed_work(&port->session.work);
	dev_put(netdev);
	return 0;
}

static int pvh_port_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct pvh_port *port;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, PVETH_A_PORT_GUEST_MAC)) {
		NL_SET_ERR_MSG(info->extack, "port-set needs guest-mac");
		return -EINVAL;
	}
	err = pvh_check_guest_mac(info);
	if (err)
		return err;

	port = pvh_port_lock(info);
	if (IS_ERR(port))
		return PTR_ERR(port);
	if (port->att) {
		ether_addr_copy(port->att->mac,
				nla_data(info->attrs[PVETH_A_PORT_GUEST_MAC]));
		pvh_session_publish_config(port);
	} else {
		NL_SET_ERR_MSG(info->extack, "the port is not attached");
		err = -ENOTCONN;
	}
	pvh_port_unlock(port);
	return err;
}

static const struct nla_policy pvh_port_policy[PVETH_A_PORT_MAX + 1] = {
	[PVETH_A_PORT_IFINDEX]		= NLA_POLICY_MIN(NLA_U32, 1),
	[PVETH_A_PORT_IFNAME]		= { .type = NLA_NUL_STRING,
					    .len = IFNAMSIZ - 1 },
	[PVETH_A_PORT_MEMORY_ADDR]	= { .type = NLA_U64 },
	[PVETH_A_PORT_MEMORY_LEN]	= { .type = NLA_U64 },
	[PVETH_A_PORT_HOST_PEER]	= { .type = NLA_U16 },
	[PVETH_A_PORT_GUEST_MAC]	= NLA_POLICY_EXACT_LEN(ETH_ALEN),
	[PVETH_A_PORT_KICK_FD]		= { .type = NLA_S32 },
	[PVETH_A_PORT_CALL_FD]		= { .type = NLA_S32 },
	[PVETH_A_PORT_REGION]		= NLA_POLICY_NESTED(pvh_region_policy),
};

static const struct genl_ops pvh_ops[] = {
	{
		.cmd	= PVETH_CMD_PORT_GET,
		.doit	= pvh_port_get_doit,
		.dumpit	= pvh_port_get_dumpit,
	},
	{
		.cmd	= PVETH_CMD_ATTACH,
		.doit	= pvh_attach_doit,
		.flags	= GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd	= PVETH_CMD_DETACH,
		.doit	= pvh_detach_doit,
		.flags	= GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd	= PVETH_CMD_PORT_SET,
		.doit	= pvh_port_set_doit,
		.flags	= GENL_UNS_ADMIN_PERM,
	},
};

static struct genl_family pvh_family __ro_after_init = {
	.name		= PVETH_FAMILY_NAME,
	.version	= PVETH_FAMILY_VERSION,
	.module		= THIS_MODULE,
	.netnsok	= true,
	/* RTNL and the port's lock are enough: attaching takes its time. */
	.parallel_ops	= true,
	.maxattr	= PVETH_A_PORT_MAX,
	.policy		= pvh_port_policy,
	.ops		= pvh_ops,
	.n_ops		= ARRAY_SIZE(pvh_ops),
	.resv_start_op	= PVETH_CMD_MAX + 1,
	.mcgrps		= pvh_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(pvh_mcgrps),
};

int __init pvh_netlink_init(void)
{
	return genl_register_family(&pvh_family);
}

void pvh_netlink_uninit(void)
{
	genl_unregister_family(&pvh_family);
}
