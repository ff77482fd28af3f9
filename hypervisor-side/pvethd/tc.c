// SPDX-License-Identifier: GPL-2.0
/*
 * Traffic control: limits of rates
 *
 * What goes out waits in a token bucket, sch_tbf, whose packets fq_codel chooses. What
 * comes in and is too much is dropped by act_police, as whoever sent it has no other way
 * to know.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netlink.h"

/* Ours are told from others by these. */
#define OUT_HANDLE	TC_H_MAKE(0x7076U << 16, 0)
#define OUT_CHILD	TC_H_MAKE(0x7077U << 16, 0)
#define IN_PRIORITY	0x7076U
#define IN_HANDLE	1

/* A token bucket has what comes in so many milliseconds, but no less than two of the
 * largest packets that segmentation offloads make.
 */
#define BURST_MS	20
#define MIN_BURST	(2 * (64U << 10))
/* What waits there is of so many milliseconds more at most, and less if it goes on: for so
 * long, in microseconds, but no less than the largest frame of an Ethernet takes, fq_codel
 * lets packets wait (RFC 8290, which has these numbers).
 */
#define WAIT_MS		100
#define TARGET_US	5000
#define INTERVAL_US	100000

/* The kernel's clock for rates ticks once in 64 ns: PSCHED_SHIFT */
#define TICK_SHIFT	6

static uint32_t burst_of(uint64_t octets)
{
	uint64_t burst = octets * BURST_MS / 1000;

	return burst < MIN_BURST ? MIN_BURST : burst;
}

/* Tables of lengths are obsolete, and not looked at if the link's layer is known. */
static struct tc_ratespec rate_spec(uint64_t octets)
{
	return (struct tc_ratespec){
		.linklayer = TC_LINKLAYER_ETHERNET,
		.cell_log = 1,
		.rate = octets < UINT32_MAX ? octets : UINT32_MAX,
	};
}

static struct nlmsghdr *request(char *buffer, uint16_t type, uint16_t flags, unsigned int ifindex,
				uint32_t parent, uint32_t handle, const char *kind)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tcm;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = parent;
	tcm->tcm_handle = handle;
	mnl_attr_put_strz(nlh, TCA_KIND, kind);
	return nlh;
}

static int add_codel(unsigned int ifindex, uint64_t octets, uint64_t limit, struct error *err)
{
	uint64_t frame_us = ETH_FRAME_LEN * 1000000ULL / octets;
	uint64_t more = frame_us > TARGET_US ? frame_us - TARGET_US : 0;
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	nlh = request(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex,
		      OUT_HANDLE | 1, OUT_CHILD, "fq_codel");
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u32(nlh, TCA_FQ_CODEL_LIMIT, limit / ETH_FRAME_LEN);
	mnl_attr_put_u32(nlh, TCA_FQ_CODEL_TARGET, TARGET_US + more);
	mnl_attr_put_u32(nlh, TCA_FQ_CODEL_INTERVAL, INTERVAL_US + more);
	mnl_attr_nest_end(nlh, nest);
	return rtnl_request(nlh, err);
}

static int add_bucket(unsigned int ifindex, uint64_t octets, uint64_t limit, struct error *err)
{
	struct tc_tbf_qopt tbf = {
		.rate = rate_spec(octets),
		.limit = limit < UINT32_MAX ? limit : UINT32_MAX,
	};
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	nlh = request(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex, TC_H_ROOT,
		      OUT_HANDLE, "tbf");
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put(nlh, TCA_TBF_PARMS, sizeof(tbf), &tbf);
	mnl_attr_put_u64(nlh, TCA_TBF_RATE64, octets);
	mnl_attr_put_u32(nlh, TCA_TBF_BURST, burst_of(octets));
	mnl_attr_nest_end(nlh, nest);
	return rtnl_request(nlh, err);
}

int rate_limit_out(unsigned int ifindex, uint64_t bits, struct error *err)
{
	uint64_t octets = bits / 8;
	uint64_t limit = octets * WAIT_MS / 1000 + burst_of(octets);
	int ret;

	ret = add_bucket(ifindex, octets, limit, err);
	if (!ret)
		ret = add_codel(ifindex, octets, limit, err);
	if (ret)
		error_prefix(err, "cannot limit what goes to the guest");
	return ret;
}

static void put_police(struct nlmsghdr *nlh, uint64_t octets)
{
	struct tc_police police = {
		.action = TC_ACT_SHOT,
		.rate = rate_spec(octets),
		.mtu = UINT32_MAX,
		.burst = burst_of(octets) * 1000000000ULL / octets >> TICK_SHIFT,
	};
	static const uint8_t table[TC_RTAB_SIZE];
	struct nlattr *action, *options;

	action = mnl_attr_nest_start(nlh, 1);
	mnl_attr_put_strz(nlh, TCA_ACT_KIND, "police");
	options = mnl_attr_nest_start(nlh, TCA_ACT_OPTIONS);
	mnl_attr_put(nlh, TCA_POLICE_TBF, sizeof(police), &police);
	mnl_attr_put(nlh, TCA_POLICE_RATE, sizeof(table), table);
	mnl_attr_put_u64(nlh, TCA_POLICE_RATE64, octets);
	/* What is not too much is for other filters to see. */
	mnl_attr_put_u32(nlh, TCA_POLICE_RESULT, TC_ACT_UNSPEC);
	mnl_attr_nest_end(nlh, options);
	mnl_attr_nest_end(nlh, action);
}

static struct nlmsghdr *filter_request(char *buffer, uint16_t type, uint16_t flags,
				       unsigned int ifindex)
{
	struct nlmsghdr *nlh;
	struct tcmsg *tcm;

	nlh = request(buffer, type, flags, ifindex,
		      TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), IN_HANDLE, "matchall");
	tcm = mnl_nlmsg_get_payload(nlh);
	tcm->tcm_info = TC_H_MAKE(IN_PRIORITY << 16, htons(ETH_P_ALL));
	return nlh;
}

static int replace_police(unsigned int ifindex, uint64_t octets, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlattr *nest, *actions;
	struct nlmsghdr *nlh;
	int ret;

	nlh = request(buffer, RTM_NEWQDISC, NLM_F_CREATE, ifindex, TC_H_CLSACT,
		      TC_H_MAKE(TC_H_CLSACT, 0), "clsact");
	ret = rtnl_request(nlh, err);
	if (ret)
		return ret;
	/* This kind of filter cannot be changed, and its counters begin anew. */
	ret = rtnl_request(filter_request(buffer, RTM_DELTFILTER, 0, ifindex), err);
	if (ret && ret != -ENOENT)
		return ret;
	nlh = filter_request(buffer, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, ifindex);
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	actions = mnl_attr_nest_start(nlh, TCA_MATCHALL_ACT);
	put_police(nlh, octets);
	mnl_attr_nest_end(nlh, actions);
	mnl_attr_nest_end(nlh, nest);
	return rtnl_request(nlh, err);
}

int rate_limit_in(unsigned int ifindex, uint64_t bits, struct error *err)
{
	int ret;

	ret = replace_police(ifindex, bits / 8, err);
	if (ret)
		error_prefix(err, "cannot limit what comes from the guest (is there a qdisc 'ingress'?)");
	return ret;
}

static void find_drops(const struct nlattr *stats, uint64_t *drops)
{
	const struct nlattr *table[TCA_STATS_MAX + 1];
	const struct gnet_stats_queue *queue;

	netlink_nested_attributes(stats, table, TCA_STATS_MAX);
	if (!table[TCA_STATS_QUEUE] ||
	    mnl_attr_get_payload_len(table[TCA_STATS_QUEUE]) < sizeof(*queue))
		return;
	queue = mnl_attr_get_payload(table[TCA_STATS_QUEUE]);
	*drops += queue->drops;
}

static void tc_attributes(const struct nlmsghdr *nlh, const struct nlattr **table)
{
	netlink_attributes(mnl_nlmsg_get_payload_offset(nlh, sizeof(struct tcmsg)),
			   mnl_nlmsg_get_payload_tail(nlh), table, TCA_MAX);
}

/* What fq_codel drops, the bucket above it counts as well. */
static void bucket_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *table[TCA_MAX + 1];

	if (nlh->nlmsg_type != RTM_NEWQDISC)
		return;
	tc_attributes(nlh, table);
	find_drops(table[TCA_STATS2], data);
}

static void police_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *table[TCA_MAX + 1], *options[TCA_MATCHALL_MAX + 1];
	const struct nlattr *actions[2], *action[TCA_ACT_MAX + 1];

	if (nlh->nlmsg_type != RTM_NEWTFILTER)
		return;
	tc_attributes(nlh, table);
	netlink_nested_attributes(table[TCA_OPTIONS], options, TCA_MATCHALL_MAX);
	netlink_nested_attributes(options[TCA_MATCHALL_ACT], actions, 1);
	netlink_nested_attributes(actions[1], action, TCA_ACT_MAX);
	find_drops(action[TCA_ACT_STATS], data);
}

int rate_drops_out(unsigned int ifindex, uint64_t *packets, struct error *err)
{
	char buffer[NETLINK_MESSAGE];

	*packets = 0;
	/* Without the flag, only those who listen to notifications are told. */
	return rtnl_ask(request(buffer, RTM_GETQDISC, NLM_F_ECHO, ifindex, TC_H_ROOT, OUT_HANDLE,
				"tbf"), bucket_reply, packets, err);
}

int rate_drops_in(unsigned int ifindex, uint64_t *packets, struct error *err)
{
	char buffer[NETLINK_MESSAGE];

	*packets = 0;
	return rtnl_ask(filter_request(buffer, RTM_GETTFILTER, 0, ifindex), police_reply, packets,
			err);
}
