// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: what ethtool asks
 */
#include <linux/ethtool.h>
#include <linux/log2.h>

#include "pveth.h"

static void pvg_get_drvinfo(struct net_device *netdev,
			    struct ethtool_drvinfo *info)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	const struct pveth_host_page *page = pvg_host_page(pvg);

	strscpy(info->driver, "pveth", sizeof(info->driver));
	strscpy(info->bus_info, dev_name(pvg->parent), sizeof(info->bus_info));
	snprintf(info->fw_version, sizeof(info->fw_version), "ABI %u.%u",
		 le16_to_cpu(READ_ONCE(page->version_major)),
		 le16_to_cpu(READ_ONCE(page->version_minor)));
}

/* As for all virtual cards: as fast as the machine. */
static int pvg_get_link_ksettings(struct net_device *netdev,
				  struct ethtool_link_ksettings *cmd)
{
	cmd->base.speed = SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_FULL;
	cmd->base.port = PORT_OTHER;
	return 0;
}

static void pvg_get_ringparam(struct net_device *netdev,
			      struct ethtool_ringparam *ring,
			      struct kernel_ethtool_ringparam *kernel_ring,
			      struct netlink_ext_ack *extack)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	u32 max = pvg_session_max_ring_size(pvg);

	ring->tx_max_pending = max;
	ring->rx_max_pending = max;
	ring->tx_pending = pvg->g2h_size;
	ring->rx_pending = pvg->h2g_size;
}

static int pvg_set_ringparam(struct net_device *netdev,
			     struct ethtool_ringparam *ring,
			     struct kernel_ethtool_ringparam *kernel_ring,
			     struct netlink_ext_ack *extack)
{
	int err;

	if (ring->tx_pending < PVETH_MIN_RING_SIZE ||
	    ring->rx_pending < PVETH_MIN_RING_SIZE) {
		NL_SET_ERR_MSG(extack, "rings have at least 64 entries");
		return -EINVAL;
	}
	err = pvg_session_resize(netdev_priv(netdev),
				 roundup_pow_of_two(ring->tx_pending),
				 roundup_pow_of_two(ring->rx_pending));
	if (err == -ENOSPC)
		NL_SET_ERR_MSG(extack,
			       "the window is too small for rings of these sizes");
	return err;
}

static int pvg_get_coalesce(struct net_device *netdev,
			    struct ethtool_coalesce *ec,
			    struct kernel_ethtool_coalesce *kernel_ec,
			    struct netlink_ext_ack *extack)
{
	struct pvg_dev *pvg = netdev_priv(netdev);

	pveth_coalesce_get(&pvg->coalesce, ec);
	return 0;
}

static int pvg_set_coalesce(struct net_device *netdev,
			    struct ethtool_coalesce *ec,
			    struct kernel_ethtool_coalesce *kernel_ec,
			    struct netlink_ext_ack *extack)
{
	struct pvg_dev *pvg = netdev_priv(netdev);

	return pveth_coalesce_set(&pvg->coalesce, ec, extack);
}

static void pvg_get_channels(struct net_device *netdev,
			     struct ethtool_channels *channels)
{
	struct pvg_dev *pvg = netdev_priv(netdev);

	channels->max_combined = pvg_session_max_pairs(pvg);
	channels->combined_count = pvg->used_pairs;
}

static int pvg_set_channels(struct net_device *netdev,
			    struct ethtool_channels *channels)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	int err;

	err = pvg_session_want_pairs(pvg, channels->combined_count);
	if (!err)
		pvg_netdev_spread(pvg);
	else if (err == -ENOSPC)
		netdev_warn(netdev,
			    "the window is too small for %u queue pairs with rings of these sizes\n",
			    channels->combined_count);
	return err;
}

/* For each queue pair, in this order */
static const char * const pvg_stat_names[] = {
	"g2h_frames", "g2h_bytes", "g2h_bad", "g2h_dropped",
	"h2g_frames", "h2g_bytes", "h2g_bad", "h2g_dropped",
	"doorbells", "polls", "stalls",
};

static int pvg_get_sset_count(struct net_device *netdev, int set)
{
	struct pvg_dev *pvg = netdev_priv(netdev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return pvg->queue_pairs * ARRAY_SIZE(pvg_stat_names);
}

static void pvg_get_strings(struct net_device *netdev, u32 set, u8 *data)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	u32 i, n;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < pvg->queue_pairs; i++)
		for (n = 0; n < ARRAY_SIZE(pvg_stat_names); n++)
			ethtool_sprintf(&data, "queue%u_%s", i,
					pvg_stat_names[n]);
}

static void pvg_get_ethtool_stats(struct net_device *netdev,
				  struct ethtool_stats *stats, u64 *data)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	struct pveth_totals g2h, h2g;
	struct pvg_queue *q;
	u32 i;

	for (i = 0; i < pvg->queue_pairs; i++) {
		q = &pvg->queues[i];
		g2h = (struct pveth_totals) {};
		h2g = (struct pveth_totals) {};
		pveth_stats_sum(&q->g2h_stats, &g2h);
		pveth_stats_sum(&q->h2g_stats, &h2g);
		*data++ = g2h.frames;
		*data++ = g2h.bytes;
		*data++ = g2h.bad;
		*data++ = g2h.dropped;
		*data++ = h2g.frames;
		*data++ = h2g.bytes;
		*data++ = h2g.bad;
		*data++ = h2g.dropped;
		*data++ = atomic64_read(&q->doorbells);
		*data++ = atomic64_read(&q->moderation.polls);
		*data++ = atomic64_read(&q->stalls);
	}
}

const struct ethtool_ops pvg_ethtool_ops = {
	.supported_coalesce_params = PVETH_COALESCE_PARAMS,
	.get_drvinfo		= pvg_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= pvg_get_link_ksettings,
	.get_ringparam		= pvg_get_ringparam,
	.set_ringparam		= pvg_set_ringparam,
	.get_coalesce		= pvg_get_coalesce,
	.set_coalesce		= pvg_set_coalesce,
	.get_channels		= pvg_get_channels,
	.set_channels		= pvg_set_channels,
	.get_sset_count		= pvg_get_sset_count,
	.get_strings		= pvg_get_strings,
	.get_ethtool_stats	= pvg_get_ethtool_stats,
	.get_ts_info		= ethtool_op_get_ts_info,
};
