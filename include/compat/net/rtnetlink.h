/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_NET_RTNETLINK_H
#define _PVETH_COMPAT_NET_RTNETLINK_H

#include_next <net/rtnetlink.h>
#include <linux/version.h>

/* Up to 6.14 the newlink operation took the parameters one by one.
 * RTNL_NEWLINK_DEFINE() is the first line of a function that takes them as a
 * struct, and gives it the type that the kernel wants.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
struct rtnl_newlink_params {
	struct net *src_net;
	struct nlattr **tb;
	struct nlattr **data;
};

#define RTNL_NEWLINK_DEFINE(name, dev, params, extack)			\
static int __##name(struct net_device *dev,				\
		    struct rtnl_newlink_params *params,			\
		    struct netlink_ext_ack *extack);			\
static int name(struct net *src_net, struct net_device *dev,		\
		struct nlattr *tb[], struct nlattr *data[],		\
		struct netlink_ext_ack *extack)				\
{									\
	struct rtnl_newlink_params params = {				\
		.src_net = src_net,					\
		.tb = tb,						\
		.data = data,						\
	};								\
									\
	return __##name(dev, &params, extack);				\
}									\
static int __##name(struct net_device *dev,				\
		    struct rtnl_newlink_params *params,			\
		    struct netlink_ext_ack *extack)
#else
#define RTNL_NEWLINK_DEFINE(name, dev, params, extack)			\
static int name(struct net_device *dev,					\
		struct rtnl_newlink_params *params,			\
		struct netlink_ext_ack *extack)
#endif

#endif /* _PVETH_COMPAT_NET_RTNETLINK_H */
