// SPDX-License-Identifier: GPL-2.0
/*
 * nftables: commands by its own library, counters and notifications by netlink
 *
 * All is opened when it is first needed: kernels need not have nftables.
 */
/* Before what the kernel has of the same */
#include <netinet/in.h>

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include <nftables/libnftables.h>

#include "netlink.h"
#include "network.h"

static struct event_base *base;
static struct netlink netlink;
static struct netlink_monitor monitor;
static struct nft_ctx *context;

static const char *string_of(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_str(attr) : "";
}

static void attributes(const struct nlmsghdr *nlh, const struct nlattr **table, unsigned int max)
{
	netlink_attributes(mnl_nlmsg_get_payload_offset(nlh, sizeof(struct nfgenmsg)),
			   mnl_nlmsg_get_payload_tail(nlh), table, max);
}

static bool is_about(const struct nlmsghdr *nlh, unsigned int message)
{
	return nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | message);
}

static void notification(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *table[NFTA_CHAIN_MAX + 1];

	if (!is_about(nlh, NFT_MSG_DELCHAIN))
		return;
	attributes(nlh, table, NFTA_CHAIN_MAX);
	if (nfg->nfgen_family == NFPROTO_NETDEV)
		filter_deleted(string_of(table[NFTA_CHAIN_TABLE]),
			       string_of(table[NFTA_CHAIN_NAME]));
	else if (nfg->nfgen_family == NFPROTO_INET)
		uplinks_deleted(string_of(table[NFTA_CHAIN_TABLE]));
}

static void notifications_lost(void)
{
	filters_check();
	uplinks_update_again();
}

/* Sockets first: without them, nft_ctx_new() would end the process. */
static int open_all(struct error *err)
{
	if (context)
		return 0;
	monitor.message = notification;
	monitor.lost = notifications_lost;
	if (netlink_open(&netlink, NETLINK_NETFILTER, err) ||
	    netlink_monitor_open(&monitor, NETLINK_NETFILTER, base, err) ||
	    netlink_monitor_join(&monitor, NFNLGRP_NFTABLES, err))
		goto fail;
	context = nft_ctx_new(NFT_CTX_DEFAULT);
	if (context && !nft_ctx_buffer_error(context) && !nft_ctx_buffer_output(context))
		return 0;
	error_set(err, "out of memory");
fail:
	error_prefix(err, "nftables cannot be used");
	nft_close();
	return -1;
}

int nft_run(const char *commands, struct error *err)
{
	const char *text;

	if (open_all(err))
		return -1;
	if (!nft_run_cmd_from_buffer(context, commands))
		return 0;
	/* It can be had once. After its first line comes where it is in the commands. */
	text = nft_ctx_get_error_buffer(context);
	return error_set(err, "nftables: %.*s", (int)strcspn(text, "\n"), text);
}

struct counter_search {
	void (*found)(const char *name, uint64_t packets, void *data);
	void *data;
};

static void element_found(const struct nlattr *element, const struct counter_search *search)
{
	const struct nlattr *table[NFTA_SET_ELEM_MAX + 1], *key[NFTA_DATA_MAX + 1];
	const struct nlattr *expr[NFTA_EXPR_MAX + 1], *counter[NFTA_COUNTER_MAX + 1];
	char name[IFNAMSIZ] = "";

	netlink_nested_attributes(element, table, NFTA_SET_ELEM_MAX);
	netlink_nested_attributes(table[NFTA_SET_ELEM_KEY], key, NFTA_DATA_MAX);
	netlink_nested_attributes(table[NFTA_SET_ELEM_EXPR], expr, NFTA_EXPR_MAX);
	netlink_nested_attributes(expr[NFTA_EXPR_DATA], counter, NFTA_COUNTER_MAX);
	if (!key[NFTA_DATA_VALUE] || !counter[NFTA_COUNTER_PACKETS])
		return;
	/* An interface's name is as long as its room. */
	snprintf(name, sizeof(name), "%.*s", mnl_attr_get_payload_len(key[NFTA_DATA_VALUE]),
		 (const char *)mnl_attr_get_payload(key[NFTA_DATA_VALUE]));
	search->found(name, be64toh(mnl_attr_get_u64(counter[NFTA_COUNTER_PACKETS])),
		      search->data);
}

static void elements_found(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *table[NFTA_SET_ELEM_LIST_MAX + 1], *element;

	if (!is_about(nlh, NFT_MSG_NEWSETELEM))
		return;
	attributes(nlh, table, NFTA_SET_ELEM_LIST_MAX);
	if (table[NFTA_SET_ELEM_LIST_ELEMENTS])
		mnl_attr_for_each_nested(element, table[NFTA_SET_ELEM_LIST_ELEMENTS])
			element_found(element, data);
}

/* A request for all that the family netdev has of something */
static struct nlmsghdr *dump_request(char *buffer, unsigned int message)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | message;
	nlh->nlmsg_flags = NLM_F_DUMP;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = NFPROTO_NETDEV;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = 0;
	return nlh;
}

struct chain_search {
	void (*found)(const char *table, const char *chain, void *data);
	void *data;
};

static void chains_found(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *table[NFTA_CHAIN_MAX + 1];
	const struct chain_search *search = data;

	if (!is_about(nlh, NFT_MSG_NEWCHAIN))
		return;
	attributes(nlh, table, NFTA_CHAIN_MAX);
	search->found(string_of(table[NFTA_CHAIN_TABLE]), string_of(table[NFTA_CHAIN_NAME]),
		      search->data);
}

int nft_chains(void (*found)(const char *table, const char *chain, void *data), void *data,
	       struct error *err)
{
	struct chain_search search = { found, data };
	char buffer[NETLINK_MESSAGE];

	if (open_all(err))
		return -1;
	return netlink_request(&netlink, dump_request(buffer, NFT_MSG_GETCHAIN), chains_found,
			       &search, err);
}

int nft_counters(const char *table, const char *set,
		 void (*found)(const char *name, uint64_t packets, void *data), void *data,
		 struct error *err)
{
	struct counter_search search = { found, data };
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;

	if (open_all(err))
		return -1;
	nlh = dump_request(buffer, NFT_MSG_GETSETELEM);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return netlink_request(&netlink, nlh, elements_found, &search, err);
}

void nft_open(struct event_base *event_base)
{
	base = event_base;
}

void nft_close(void)
{
	if (context)
		nft_ctx_free(context);
	context = NULL;
	netlink_monitor_close(&monitor);
	netlink_close(&netlink);
}
