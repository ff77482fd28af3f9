// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: what ethtool asks
 */
#include <linux/ethtool.h>

#include "pveth_host.h"

static void pvh_get_drvinfo(struct net_device *netdev,
			    struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "pveth_host", sizeof(info->driver));
	snprintf(info->fw_version, sizeof(info->fw_version), "ABI %u.%u",
		 PVETH_VERSION_MAJOR, PVETH_VERSION_MINOR);
}

/* As for all virtual cards: as fast as the machine. */
static int pvh_get_link_ksettings(struct net_device *netdev,
				  struct ethtool_link_ksettings *cmd)
{
	cmd->base.speed = SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_FULL;
	cmd->base.port = PORT_OTHER;
	return 0;
}

/* The sizes are the guest's to choose. */
static void pvh_get_ringparam(struct net_device *netdev,
			      struct ethtool_ringparam *ring,
			      struct kernel_ethtool_ringparam *kernel_ring,
			      struct netlink_ext_ack *extack)
{
	struct pvh_port *port = netdev_priv(netdev);

	mutex_lock(&port->lock);
	ring->rx_max_pending = PVETH_MAX_RING_SIZE;
	ring->tx_max_pending = PVETH_MAX_RING_SIZE;
	if (port->session.state == PVH_SESSION_RUNNING) {
		ring->rx_pending = port->session.g2h_size;
		ring->tx_pending = port->session.h2g_size;
	}
	mutex_unlock(&port->lock);
}

static int pvh_get_coalesce(struct net_device *netdev,
			    struct ethtool_coalesce *ec,
			    struct kernel_ethtool_coalesce *kernel_ec,
			    struct netlink_ext_ack *extack)
{
	struct pvh_port *port = netdev_priv(netdev);

	pveth_coalesce_get(&port->coalesce, ec);
	return 0;
}

static int pvh_set_coalesce(struct net_device *netdev,
			    struct ethtool_coalesce *ec,
			    struct kernel_ethtool_coalesce *kernel_ec,
			    struct netlink_ext_ack *extack)
{
	struct pvh_port *port = netdev_priv(netdev);

	return pveth_coalesce_set(&port->coalesce, ec, extack);
}

static void pvh_get_channels(struct net_device *netdev,
			     struct ethtool_channels *channels)
{
	struct pvh_port *port = netdev_priv(netdev);

	channels->max_combined = port->queue_pairs;
	channels->combined_count = port->offered_pairs;
}

/* How many guests may use; how many they do is theirs to choose. */
static int pvh_set_channels(struct net_device *netdev,
			    struct ethtool_channels *channels)
{
	return pvh_port_offer_pairs(netdev_priv(netdev),
				    channels->combined_count);
}

/* For each queue pair, in this order */
static const char * const pvh_stat_names[] = {
	"g2h_frames", "g2h_bytes", "g2h_bad", "g2h_dropped",
	"h2g_frames", "h2g_bytes", "h2g_dropped",
	"kicks", "calls", "polls", "lent",
};

static int pvh_get_sset_count(struct net_device *netdev, int set)
{
	struct pvh_port *port = netdev_priv(netdev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return port->queue_pairs * ARRAY_SIZE(pvh_stat_names);
}

static void pvh_get_strings(struct net_device *netdev, u32 set, u8 *data)
{
	struct pvh_port *port = netdev_priv(netdev);
	u32 i, n;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < port->queue_pairs; i++)
		for (n = 0; n < ARRAY_SIZE(pvh_stat_names); n++)
			ethtool_sprintf(&data, "queue%u_%s", i,
					pvh_stat_names[n]);
}

static void pvh_get_ethtool_stats(struct net_device *netdev,
				  struct ethtool_stats *stats, u64 *data)
{
	struct pvh_port *port = netdev_priv(netdev);
	struct pvh_queue *q;
	u32 i;

	for (i = 0; i < port->queue_pairs; i++) {
		struct pveth_totals g2h = {}, h2g = {};

		q = &port->queues[i];
		pveth_stats_sum(&q->g2h_stats, &g2h);
		pveth_stats_sum(&q->h2g_stats, &h2g);
		*data++ = g2h.frames;
		*data++ = g2h.bytes;
		*data++ = g2h.bad;
		*data++ = g2h.dropped;
		*data++ = h2g.frames;
		*data++ = h2g.bytes;
		*data++ = h2g.dropped;
		*data++ = atomic64_read(&q->kicks);
		*data++ = atomic64_read(&q->calls);
		*data++ = atomic64_read(&q->moderation.polls);
		*data++ = atomic64_read(&q->lent);
	}
}

const struct ethtool_ops pvh_ethtool_ops = {
	.supported_coalesce_params = PVETH_COALESCE_PARAMS,
	.get_drvinfo		= pvh_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= pvh_get_link_ksettings,
	.get_ringparam		= pvh_get_ringparam,
	.get_coalesce		= pvh_get_coalesce,
	.set_coalesce		= pvh_set_coalesce,
	.get_channels		= pvh_get_channels,
	.set_channels		= pvh_set_channels,
	.get_sset_count		= pvh_get_sset_count,
	.get_strings		= pvh_get_strings,
	.get_ethtool_stats	= pvh_get_ethtool_stats,
	.get_ts_info		= ethtool_op_get_ts_info,
};
