// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: the port, a network device of the rtnl link kind "pveth"
 */
#include <linux/module.h>
#include <linux/pveth_netlink.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/rtnetlink.h>

#include "pveth_host.h"

#define PVH_KIND		"pveth"
#define PVH_DEFAULT_QUEUES	1

/**
 * pvh_port_install() - give a port its attachment
 * @port: the port, locked and without one
 * @att: the attachment, which is the port's from now on
 *
 * Context: Process context, with RTNL.
 */
void pvh_port_install(struct pvh_port *port, struct pvh_attachment *att)
{
	ASSERT_RTNL();
	lockdep_assert_held(&port->lock);

	port->att = att;
	pvh_session_attach(port);
	pvh_attachment_listen(att, port);
	if (netif_running(port->netdev))
		pvh_session_open(port);
	else
		pvh_netlink_notify(port);
}

/**
 * pvh_port_detach() - take the attachment of a port away
 * @port: the port, locked and with one
 *
 * Context: Process context.
 * Return: the attachment, to be given to pvh_attachment_destroy() without locks.
 */
struct pvh_attachment *pvh_port_detach(struct pvh_port *port)
{
	struct pvh_attachment *att = port->att;

	lockdep_assert_held(&port->lock);

	pvh_session_close(port);
	pvh_attachment_deafen(att);
	port->att = NULL;
	return att;
}

static int pvh_open(struct net_device *netdev)
{
	struct pvh_port *port = netdev_priv(netdev);

	mutex_lock(&port->lock);
	if (port->att)
		pvh_session_open(port);
	mutex_unlock(&port->lock);
	return 0;
}

static int pvh_stop(struct net_device *netdev)
{
	struct pvh_port *port = netdev_priv(netdev);

	mutex_lock(&port->lock);
	if (port->att)
		pvh_session_close(port);
	mutex_unlock(&port->lock);
	return 0;
}

/* What guests may use: on the way here what the port wants, and on the way to
 * them all, since the stack can do without.
 */
static u64 pvh_offer(netdev_features_t features)
{
	return pveth_features(pveth_wanted_offloads(features), PVETH_OFFLOADS);
}

static u16 pvh_select_queue(struct net_device *netdev, struct sk_buff *skb,
			    struct net_device *sb_dev)
{
	return pvh_flow_queue(netdev_priv(netdev), skb);
}

static void pvh_get_stats64(struct net_device *netdev,
			    struct rtnl_link_stats64 *stats)
{
	struct pvh_port *port = netdev_priv(netdev);
	struct pveth_totals g2h = {}, h2g = {};
	u32 i;

	for (i = 0; i < port->queue_pairs; i++) {
		pveth_stats_sum(&port->queues[i].g2h_stats, &g2h);
		pveth_stats_sum(&port->queues[i].h2g_stats, &h2g);
	}
	stats->rx_packets = g2h.frames;
	stats->rx_bytes = g2h.bytes;
	stats->rx_errors = g2h.bad;
	stats->rx_dropped = g2h.dropped;
	stats->tx_packets = h2g.frames;
	stats->tx_bytes = h2g.bytes;
	stats->tx_errors = h2g.bad;
	stats->tx_dropped = h2g.dropped;
}

static int pvh_change_mtu(struct net_device *netdev, int mtu)
{
	struct pvh_port *port = netdev_priv(netdev);

	mutex_lock(&port->lock);
	WRITE_ONCE(netdev->mtu, mtu);
	if (port->att)
		pvh_session_publish_config(port);
	mutex_unlock(&port->lock);
	return 0;
}

static int pvh_change_carrier(struct net_device *netdev, bool on)
{
	struct pvh_port *port = netdev_priv(netdev);

	mutex_lock(&port->lock);
	port->link_off = !on;
	if (!on)
		netif_carrier_off(netdev);
	else if (port->session.state == PVH_SESSION_RUNNING)
		netif_carrier_on(netdev);
	if (port->att)
		pvh_session_publish_config(port);
	mutex_unlock(&port->lock);
	return 0;
}

/* The guest is told of a new offer by a new session. */
static int pvh_set_features(struct net_device *netdev,
			    netdev_features_t features)
{
	struct pvh_port *port = netdev_priv(netdev);
	u64 offer = pvh_offer(features);

	mutex_lock(&port->lock);
	if (port->offer != offer) {
		port->offer = offer;
		if (port->att && netif_running(netdev)) {
			pvh_session_close(port);
			pvh_session_open(port);
		}
	}
	mutex_unlock(&port->lock);
	return 0;
}

/**
 * pvh_port_offer_pairs() - change how many queue pairs guests may use
 * @port: the port
 * @pairs: at most as many as it has
 *
 * Context: Process context, with RTNL. The guest is told by a new session.
 * Return: 0, or a negative error if the stack refused.
 */
int pvh_port_offer_pairs(struct pvh_port *port, u32 pairs)
{
	struct net_device *netdev = port->netdev;
	int err = 0;

	ASSERT_RTNL();
	mutex_lock(&port->lock);
	if (port->offered_pairs != pairs) {
		if (port->att)
			pvh_session_close(port);
		err = netif_set_real_num_queues(netdev, pairs, pairs);
		if (!err)
			port->offered_pairs = pairs;
		if (port->att && netif_running(netdev))
			pvh_session_open(port);
	}
	mutex_unlock(&port->lock);
	return err;
}

static netdev_features_t pvh_features_check(struct sk_buff *skb,
					    struct net_device *netdev,
					    netdev_features_t features)
{
	struct pvh_port *port = netdev_priv(netdev);
	u64 agreed = READ_ONCE(port->features);

	return pveth_features_check(skb, features, pveth_h2g_offloads(agreed));
}

static int pvh_init(struct net_device *netdev)
{
	struct pvh_port *port = netdev_priv(netdev);
	struct pvh_queue *q;
	u32 i;

	port->netdev = netdev;
	port->active_queues = 1;
	port->offer = pvh_offer(netdev->features);
	port->queue_pairs = netdev->num_tx_queues;
	port->offered_pairs = port->queue_pairs;
	pveth_coalesce_init(&port->coalesce);
	mutex_init(&port->lock);
	pvh_session_init(port);

	port->queues = kvcalloc(port->queue_pairs, sizeof(*port->queues),
				GFP_KERNEL_ACCOUNT);
	if (!port->queues)
		return -ENOMEM;
	if (port->queue_pairs > 1) {
		port->flows = kvcalloc(PVH_FLOWS, sizeof(*port->flows),
				       GFP_KERNEL_ACCOUNT);
		if (!port->flows) {
			kvfree(port->queues);
			return -ENOMEM;
		}
	}
	for (i = 0; i < port->queue_pairs; i++) {
		q = &port->queues[i];
		q->port = port;
		q->index = i;
		u64_stats_init(&q->g2h_stats.sync);
		u64_stats_init(&q->h2g_stats.sync);
		pvh_thread_init(&q->thread);
		pveth_moderation_init(&q->moderation, &q->napi,
				      &port->coalesce);
		init_irq_work(&q->schedule, pvh_g2h_schedule_work);
		timer_setup(&q->stall, pvh_h2g_stalled, 0);
		INIT_LIST_HEAD(&q->unrung);
		netif_napi_add(netdev, &q->napi, pvh_poll);
		napi_enable(&q->napi);
	}
	netif_carrier_off(netdev);
	return 0;
}

static void pvh_uninit(struct net_device *netdev)
{
	struct pvh_port *port = netdev_priv(netdev);
	u32 i;

	mutex_lock(&port->lock);
	if (port->att)
		port->leftover = pvh_port_detach(port);
	port->detaching = false;
	pvh_netlink_notify(port);
	mutex_unlock(&port->lock);
	/* With no doorbell to hear and no queue to run, nothing starts it. */
	cancel_delayed_work_sync(&port->session.work);
	for (i = 0; i < port->queue_pairs; i++) {
		irq_work_sync(&port->queues[i].schedule);
		timer_delete_sync(&port->queues[i].stall);
		napi_disable(&port->queues[i].napi);
		__netif_napi_del(&port->queues[i].napi);
		pveth_moderation_uninit(&port->queues[i].moderation);
		pvh_thread_uninit(&port->queues[i].thread);
	}
	/* For all of the instances at once */
	synchronize_net();
}

/* Counters are read until the last reference to the device is gone. RTNL is not held
 * any more.
 */
static void pvh_destroy(struct net_device *netdev)
{
	struct pvh_port *port = netdev_priv(netdev);

	if (port->leftover)
		pvh_attachment_destroy(port->leftover);
	kvfree(port->flows);
	kvfree(port->queues);
}

static const struct net_device_ops pvh_netdev_ops = {
	.ndo_init		= pvh_init,
	.ndo_uninit		= pvh_uninit,
	.ndo_open		= pvh_open,
	.ndo_stop		= pvh_stop,
	.ndo_start_xmit		= pvh_start_xmit,
	.ndo_select_queue	= pvh_select_queue,
	.ndo_get_stats64	= pvh_get_stats64,
	.ndo_change_mtu		= pvh_change_mtu,
	.ndo_change_carrier	= pvh_change_carrier,
	.ndo_set_features	= pvh_set_features,
	.ndo_features_check	= pvh_features_check,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};

/**
 * pvh_is_port() - is this network device a port?
 * @netdev: any network device
 */
bool pvh_is_port(const struct net_device *netdev)
{
	return netdev->netdev_ops == &pvh_netdev_ops;
}

static void pvh_setup(struct net_device *netdev)
{
	ether_setup(netdev);
	netdev->netdev_ops = &pvh_netdev_ops;
	netdev->ethtool_ops = &pvh_ethtool_ops;
	netdev->needs_free_netdev = true;
	netdev->priv_destructor = pvh_destroy;
	netdev->min_mtu = PVETH_MIN_MTU;
	netdev->max_mtu = PVETH_MAX_MTU;
	netdev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	netdev->hw_features |= NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_RXCSUM |
			       NETIF_F_GRO_HW | NETIF_F_RXHASH |
			       pveth_netdev_features(PVETH_OFFLOADS);
	netdev->features |= netdev->hw_features | NETIF_F_HIGHDMA;
	netdev->vlan_features |= netdev->features;
}

static unsigned int pvh_default_queues(void)
{
	return PVH_DEFAULT_QUEUES;
}

static int pvh_validate(struct nlattr *tb[], struct nlattr *data[],
			struct netlink_ext_ack *extack)
{
	if (tb[IFLA_ADDRESS] &&
	    (nla_len(tb[IFLA_ADDRESS]) != ETH_ALEN ||
	     !is_valid_ether_addr(nla_data(tb[IFLA_ADDRESS])))) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "the address must be a unicast MAC address");
		return -EADDRNOTAVAIL;
	}
	return 0;
}

RTNL_NEWLINK_DEFINE(pvh_newlink, netdev, params, extack)
{
	struct pvh_port *port = netdev_priv(netdev);
	int err;

	if (netdev->num_tx_queues != netdev->num_rx_queues ||
	    netdev->num_tx_queues > PVETH_MAX_QUEUE_PAIRS) {
		NL_SET_ERR_MSG(extack,
			       "numtxqueues and numrxqueues must be the same, 1 to 16");
		return -EINVAL;
	}
	if (!params->tb[IFLA_ADDRESS])
		eth_hw_addr_random(netdev);

	err = register_netdevice(netdev);
	if (err)
		return err;

	/* So that work for a guest is a thread, to be accounted and pinned,
	 * and not the time of whoever is interrupted.
	 */
	err = dev_set_threaded(netdev, NETDEV_NAPI_THREADED_ENABLED);
	if (err) {
		NL_SET_ERR_MSG(extack, "no threads for the port");
		unregister_netdevice(netdev);
		return err;
	}

	mutex_lock(&port->lock);
	pvh_netlink_notify(port);
	mutex_unlock(&port->lock);
	return 0;
}

static struct rtnl_link_ops pvh_link_ops __read_mostly = {
	.kind			= PVH_KIND,
	.priv_size		= sizeof(struct pvh_port),
	.setup			= pvh_setup,
	.validate		= pvh_validate,
	.newlink		= pvh_newlink,
	.get_num_tx_queues	= pvh_default_queues,
	.get_num_rx_queues	= pvh_default_queues,
};

static int __init pvh_module_init(void)
{
	int err;

	pvh_h2g_module_init();
	err = pvh_netlink_init();
	if (err)
		return err;
	err = rtnl_link_register(&pvh_link_ops);
	if (err)
		pvh_netlink_uninit();
	return err;
}

/* The ports go first, and say so through the family. */
static void __exit pvh_module_exit(void)
{
	rtnl_link_unregister(&pvh_link_ops);
	pvh_netlink_uninit();
	pvh_loans_exit();
}

module_init(pvh_module_init);
module_exit(pvh_module_exit);

MODULE_DESCRIPTION("Paravirtual Ethernet: host backend");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RTNL_LINK(PVH_KIND);
MODULE_ALIAS_GENL_FAMILY(PVETH_FAMILY_NAME);
