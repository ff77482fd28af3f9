// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: the network device
 */
#include <linux/cpumask.h>
#include <linux/slab.h>

#include "pveth.h"

/**
 * pvg_netdev_spread() - give each queue pair in use its share of the CPUs
 * @pvg: the device
 *
 * Its CPUs send through it, and the first of them has its interrupt, so that the
 * host's answers come back to where the flow is. With fewer CPUs than queue
 * pairs, flows of a CPU are spread over the pairs that it has. Done once for a number of
 * pairs: an administrator may want it otherwise.
 *
 * Context: Process context, with RTNL.
 */
void pvg_netdev_spread(struct pvg_dev *pvg)
{
	u32 i, n, share, pairs = pvg->used_pairs;
	cpumask_var_t cpus;
	unsigned int cpu;

	if (pvg->spread_pairs == pairs || !zalloc_cpumask_var(&cpus, GFP_KERNEL))
		return;
	/* Interrupts are requested, and can be placed, while it is up. */
	pvg->spread_pairs = netif_running(pvg->netdev) ? pairs : 0;
	cpu = cpumask_first(cpu_online_mask);
	for (i = 0; i < pairs; i++) {
		share = (num_online_cpus() + pairs - 1 - i) / pairs ?: 1;
		if (netif_running(pvg->netdev))
			pvg_place_irq(&pvg->queues[i], cpu);
		cpumask_clear(cpus);
		for (n = 0; n < share; n++) {
			cpumask_set_cpu(cpu, cpus);
			cpu = cpumask_next(cpu, cpu_online_mask);
			if (cpu >= nr_cpu_ids)
				cpu = cpumask_first(cpu_online_mask);
		}
		netif_set_xps_queue(pvg->netdev, cpus, i);
	}
	free_cpumask_var(cpus);
}

static int pvg_open(struct net_device *netdev)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	int err;

	netif_carrier_off(netdev);
	err = pvg_request_irqs(pvg);
	if (err)
		return err;
	pvg_netdev_spread(pvg);
	pvg_session_open(pvg);
	return 0;
}

static int pvg_stop(struct net_device *netdev)
{
	struct pvg_dev *pvg = netdev_priv(netdev);

	pvg_session_close(pvg);
	pvg_free_irqs(pvg);
	return 0;
}

static void pvg_get_stats64(struct net_device *netdev,
			    struct rtnl_link_stats64 *stats)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	struct pveth_totals g2h = {}, h2g = {};
	u32 i;

	for (i = 0; i < pvg->queue_pairs; i++) {
		pveth_stats_sum(&pvg->queues[i].g2h_stats, &g2h);
		pveth_stats_sum(&pvg->queues[i].h2g_stats, &h2g);
	}
	stats->tx_packets = g2h.frames;
	stats->tx_bytes = g2h.bytes;
	stats->tx_errors = g2h.bad;
	stats->tx_dropped = g2h.dropped;
	stats->rx_packets = h2g.frames;
	stats->rx_bytes = h2g.bytes;
	stats->rx_errors = h2g.bad;
	stats->rx_dropped = h2g.dropped;
}

/**
 * pvg_netdev_publish() - tell the host our MTU and address
 * @pvg: the device
 *
 * Context: Process context, with RTNL or before the device is registered.
 */
void pvg_netdev_publish(struct pvg_dev *pvg)
{
	struct pveth_guest_page *page = pvg_guest_page(pvg);
	u64 mac = pveth_mac_word(pvg->netdev->dev_addr);

	WRITE_ONCE(page->mtu, cpu_to_le32(pvg->netdev->mtu));
	WRITE_ONCE(page->mac, cpu_to_le64(mac));
	pvg_ring_doorbell(pvg, PVETH_VECTOR_SESSION);
}

static int pvg_change_mtu(struct net_device *netdev, int mtu)
{
	WRITE_ONCE(netdev->mtu, mtu);
	pvg_netdev_publish(netdev_priv(netdev));
	return 0;
}

static int pvg_set_mac_address(struct net_device *netdev, void *addr)
{
	int err = eth_mac_addr(netdev, addr);

	if (!err)
		pvg_netdev_publish(netdev_priv(netdev));
	return err;
}

/* The host's MTU and its idea of our address, if they are sound */
static bool pvg_read_config(const struct pvg_dev *pvg, u32 *mtu, u8 *mac)
{
	const struct pveth_host_page *page = pvg_host_page(pvg);
	u64 mac_word = le64_to_cpu(READ_ONCE(page->mac));

	*mtu = le32_to_cpu(READ_ONCE(page->mtu));
	return pveth_mac_from_word(mac_word, mac) &&
	       *mtu >= PVETH_MIN_MTU && *mtu <= PVETH_MAX_MTU;
}

/* Follow the host's queue pairs, offloads, MTU and address, unless the
 * administrator chose others.
 */
static void pvg_config_work(struct work_struct *work)
{
	struct pvg_dev *pvg = container_of(to_delayed_work(work),
					   struct pvg_dev, config_work);
	struct net_device *netdev = pvg->netdev;
	struct sockaddr_storage addr = {};
	u8 mac[ETH_ALEN] __aligned(2);
	u32 mtu, pairs;
	bool follow;

	rtnl_lock();
	if (netdev->reg_state != NETREG_REGISTERED)
		goto unlock;
	pairs = pvg->used_pairs;
	pvg_session_follow_pairs(pvg);
	if (pairs != pvg->used_pairs)
		pvg_netdev_spread(pvg);
	if (READ_ONCE(pvg->offered) != pvg->host_features) {
		pvg->host_features = READ_ONCE(pvg->offered);
		netdev_update_features(netdev);
	}
	if (!pvg_read_config(pvg, &mtu, mac))
		goto unlock;

	if (mtu != pvg->host_mtu) {
		follow = netdev->mtu == pvg->host_mtu || netdev->mtu > mtu;
		WRITE_ONCE(pvg->host_mtu, mtu);
		netdev->max_mtu = mtu;
		if (follow && dev_set_mtu(netdev, mtu) && net_ratelimit())
			netdev_warn(netdev, "cannot follow the host to MTU %u\n",
				    mtu);
	}
	if (!ether_addr_equal(mac, pvg->host_mac)) {
		follow = ether_addr_equal(netdev->dev_addr, pvg->host_mac);
		ether_addr_copy(pvg->host_mac, mac);
		addr.ss_family = netdev->type;
		memcpy(addr.__data, mac, ETH_ALEN);
		if (follow && dev_set_mac_address(netdev, (void *)&addr, NULL) &&
		    net_ratelimit())
			netdev_warn(netdev, "cannot follow the host to address %pM\n",
				    mac);
	}
unlock:
	rtnl_unlock();
}

/**
 * pvg_netdev_follow_soon() - follow what the host changed
 * @pvg: the device
 *
 * Each time takes RTNL, and so a host that changes its mind all the time has to wait.
 *
 * Context: Any.
 */
void pvg_netdev_follow_soon(struct pvg_dev *pvg)
{
	/* Frozen with the device: nothing can be set while that is detached. */
	queue_delayed_work(system_freezable_wq, &pvg->config_work, PVG_FOLLOW_INTERVAL);
}

/**
 * pvg_netdev_follow() - see whether the host changed what we follow
 * @pvg: the device
 *
 * Context: Process context.
 */
void pvg_netdev_follow(struct pvg_dev *pvg)
{
	u8 mac[ETH_ALEN] __aligned(2);
	u32 mtu;

	/* Without RTNL this is a hint; the host's bells must not take RTNL. */
	if (READ_ONCE(pvg->offered) != READ_ONCE(pvg->host_features) ||
	    (pvg_read_config(pvg, &mtu, mac) &&
	     (mtu != READ_ONCE(pvg->host_mtu) ||
	      !ether_addr_equal(mac, pvg->host_mac))))
		pvg_netdev_follow_soon(pvg);
}

/* What the offers of the host allow, in either direction */
static netdev_features_t pvg_possible_features(u64 offered)
{
	netdev_features_t features = NETIF_F_SG | NETIF_F_FRAGLIST;
	u32 h2g = pveth_sound_offloads(pveth_h2g_offloads(offered));
	u32 g2h = pveth_sound_offloads(pveth_g2h_offloads(offered));

	if (h2g & PVETH_OFFLOAD_HASH)
		features |= NETIF_F_RXHASH;
	if (h2g & PVETH_OFFLOAD_CSUM)
		features |= NETIF_F_RXCSUM;
	if (h2g & PVETH_OFFLOAD_GSO)
		features |= NETIF_F_GRO_HW;
	return features | pveth_netdev_features(g2h);
}

static netdev_features_t pvg_fix_features(struct net_device *netdev,
					  netdev_features_t features)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	u64 offered = READ_ONCE(pvg->offered);

	return features & ~(pvg_possible_features(~0ULL) &
			    ~pvg_possible_features(offered));
}

static int pvg_set_features(struct net_device *netdev,
			    netdev_features_t features)
{
	pvg_session_set_wanted(netdev_priv(netdev),
			       pveth_wanted_offloads(features));
	return 0;
}

static netdev_features_t pvg_features_check(struct sk_buff *skb,
					    struct net_device *netdev,
					    netdev_features_t features)
{
	struct pvg_dev *pvg = netdev_priv(netdev);
	u64 agreed = READ_ONCE(pvg->features);

	/* A frame of frames has more pieces than we have descriptors for. */
	if (pvg_is_direct(pvg) && skb_has_frag_list(skb))
		features &= ~NETIF_F_FRAGLIST;
	return pveth_features_check(skb, features, pveth_g2h_offloads(agreed));
}

static const struct net_device_ops pvg_netdev_ops = {
	.ndo_open		= pvg_open,
	.ndo_stop		= pvg_stop,
	.ndo_start_xmit		= pvg_start_xmit,
	.ndo_get_stats64	= pvg_get_stats64,
	.ndo_change_mtu		= pvg_change_mtu,
	.ndo_set_mac_address	= pvg_set_mac_address,
	.ndo_fix_features	= pvg_fix_features,
	.ndo_set_features	= pvg_set_features,
	.ndo_features_check	= pvg_features_check,
	.ndo_validate_addr	= eth_validate_addr,
};

/**
 * pvg_netdev_alloc() - make the network device
 * @parent: the device on its bus
 * @queue_pairs: queue pairs to have
 *
 * Return: the network device, whose private part is a struct pvg_dev, or NULL.
 */
struct net_device *pvg_netdev_alloc(struct device *parent, u32 queue_pairs)
{
	struct net_device *netdev;
	struct pvg_dev *pvg;
	struct pvg_queue *q;
	u32 i;

	netdev = alloc_etherdev_mqs(sizeof(*pvg), queue_pairs, queue_pairs);
	if (!netdev)
		return NULL;
	SET_NETDEV_DEV(netdev, parent);
	pvg = netdev_priv(netdev);
	pvg->netdev = netdev;
	pvg->parent = parent;
	pvg->queue_pairs = queue_pairs;
	pveth_coalesce_init(&pvg->coalesce);
	INIT_DELAYED_WORK(&pvg->config_work, pvg_config_work);

	pvg->queues = kvcalloc(queue_pairs, sizeof(*pvg->queues), GFP_KERNEL);
	if (!pvg->queues) {
		free_netdev(netdev);
		return NULL;
	}
	for (i = 0; i < queue_pairs; i++) {
		q = &pvg->queues[i];
		q->pvg = pvg;
		q->index = i;
		u64_stats_init(&q->g2h_stats.sync);
		u64_stats_init(&q->h2g_stats.sync);
		netif_napi_add(netdev, &q->napi, pvg_poll);
		timer_setup(&q->stall, pvg_g2h_stalled, 0);
		pveth_moderation_init(&q->moderation, &q->napi,
				      &pvg->coalesce);
	}

	netdev->netdev_ops = &pvg_netdev_ops;
	netdev->ethtool_ops = &pvg_ethtool_ops;
	netdev->min_mtu = PVETH_MIN_MTU;
	netdev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	/* What the host does not offer, it may some day. */
	netdev->hw_features |= pvg_possible_features(~0ULL);
	netdev->features |= netdev->hw_features | NETIF_F_HIGHDMA;
	netdev->vlan_features |= netdev->features;
	return netdev;
}

/**
 * pvg_netdev_add() - register the network device
 * @pvg: the device, its transport set up
 *
 * Return: 0 or a negative error, with the reason in the log.
 */
int pvg_netdev_add(struct pvg_dev *pvg)
{
	struct net_device *netdev = pvg->netdev;
	u32 size;
	int err;

	if (!pvg_read_config(pvg, &pvg->host_mtu, pvg->host_mac)) {
		dev_err(pvg->parent,
			"the host's MTU (%u) or MAC address (%pM) is not valid\n",
			pvg->host_mtu, pvg->host_mac);
		return -EINVAL;
	}
	pvg->host_features = le64_to_cpu(READ_ONCE(pvg_host_page(pvg)->features));
	pvg->offered = pvg->host_features;
	pvg->wanted_pairs = num_online_cpus();
	pvg->h2g_wanted = PVETH_OFFLOADS;
	pvg->can_be_direct = pvg->offered & PVETH_FEATURE(PVETH_F_DIRECT) &&
			     pvg_memory_can_be_direct(pvg);
	netdev->mtu = pvg->host_mtu;
	netdev->max_mtu = pvg->host_mtu;
	eth_hw_addr_set(netdev, pvg->host_mac);

	/* Rather fewer queue pairs than none */
	pvg->used_pairs = min(pvg->wanted_pairs, pvg_session_max_pairs(pvg));
	size = pvg_session_max_ring_size(pvg);
	while (!size && --pvg->used_pairs)
		size = pvg_session_max_ring_size(pvg);
	if (!size) {
		dev_err(pvg->parent,
			"a window of %llu bytes is too small for a queue pair\n",
			pvg->window_size);
		return -ENOSPC;
	}
	size = min_t(u32, size, PVG_DEFAULT_RING_SIZE);
	pvg->g2h_size = size;
	pvg->h2g_size = size;
	err = netif_set_real_num_queues(netdev, pvg->used_pairs,
					pvg->used_pairs);
	if (err)
		return err;

	netif_carrier_off(netdev);
	pvg_netdev_publish(pvg);
	netif_tx_stop_all_queues(netdev);
	err = register_netdev(netdev);
	if (!err)
		pvg_netdev_follow(pvg);
	return err;
}

/**
 * pvg_netdev_remove() - the opposite of pvg_netdev_add()
 * @pvg: the device
 */
void pvg_netdev_remove(struct pvg_dev *pvg)
{
	unregister_netdev(pvg->netdev);
}

/**
 * pvg_netdev_free() - the opposite of pvg_netdev_alloc()
 * @pvg: the device, of which no work is pending
 */
void pvg_netdev_free(struct pvg_dev *pvg)
{
	struct net_device *netdev = pvg->netdev;
	u32 i;

	for (i = 0; i < pvg->queue_pairs; i++) {
		netif_napi_del(&pvg->queues[i].napi);
		pveth_moderation_uninit(&pvg->queues[i].moderation);
	}
	kvfree(pvg->queues);
	free_netdev(netdev);
}
