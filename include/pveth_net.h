/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest driver and the host backend have in common
 */
#ifndef _PVETH_NET_H
#define _PVETH_NET_H

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/u64_stats_sync.h>
#include <linux/udp.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_net.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "pveth_ring.h"

/**
 * pveth_session_word() - make a session word
 * @gen: generation
 * @state: enum pveth_host_state or enum pveth_guest_state
 *
 * Return: the word, in the processor's byte order.
 */
static inline u32 pveth_session_word(u32 gen, u32 state)
{
	return gen << PVETH_SESSION_GEN_SHIFT | state;
}

static inline u32 pveth_session_gen(u32 word)
{
	return word >> PVETH_SESSION_GEN_SHIFT;
}

static inline u32 pveth_session_state(u32 word)
{
	return word & PVETH_SESSION_STATE_MASK;
}

/* Zero is what a window holds before its first generation. */
static inline u32 pveth_session_next_gen(u32 gen)
{
	return (gen + 1) & PVETH_SESSION_GEN_MASK ?: 1;
}

/**
 * pveth_mac_word() - a MAC address as &pveth_host_page.mac holds it
 * @mac: the address, 6 octets
 *
 * Return: the word, in the processor's byte order.
 */
static inline u64 pveth_mac_word(const u8 *mac)
{
	u64 word = 0;
	int i;

	for (i = ETH_ALEN - 1; i >= 0; i--)
		word = word << 8 | mac[i];
	return word;
}

/**
 * pveth_mac_from_word() - the inverse of pveth_mac_word()
 * @word: the word, in the processor's byte order
 * @mac: receives the address
 *
 * Return: true if it is an address that an interface can have.
 */
static inline bool pveth_mac_from_word(u64 word, u8 *mac)
{
	int i;

	for (i = 0; i < ETH_ALEN; i++)
		mac[i] = word >> 8 * i;
	return !(word >> 8 * ETH_ALEN) && is_valid_ether_addr(mac);
}

/* The longest frame of an interface: two VLAN tags fit beside the MTU, as in
 * any switch.
 */
static inline u32 pveth_max_frame(u32 mtu)
{
	return mtu + ETH_HLEN + 2 * VLAN_HLEN;
}

/*
 * Offloads of a direction: its feature bits, shifted to where those of G2H are,
 * and PVETH_F_HASH, which is for both
 */
#define PVETH_OFFLOAD_CSUM	((u32)PVETH_FEATURE(PVETH_F_G2H_CSUM))
#define PVETH_OFFLOAD_TSO4	((u32)PVETH_FEATURE(PVETH_F_G2H_TSO4))
#define PVETH_OFFLOAD_TSO6	((u32)PVETH_FEATURE(PVETH_F_G2H_TSO6))
#define PVETH_OFFLOAD_ECN	((u32)PVETH_FEATURE(PVETH_F_G2H_ECN))
#define PVETH_OFFLOAD_USO	((u32)PVETH_FEATURE(PVETH_F_G2H_USO))
#define PVETH_OFFLOAD_HASH	((u32)BIT(31))
/* Those that make large frames */
#define PVETH_OFFLOAD_GSO	(PVETH_OFFLOAD_TSO4 | PVETH_OFFLOAD_TSO6 | \
				 PVETH_OFFLOAD_USO)
#define PVETH_OFFLOADS		(PVETH_OFFLOAD_CSUM | PVETH_OFFLOAD_GSO | \
				 PVETH_OFFLOAD_ECN | PVETH_OFFLOAD_HASH)
#define PVETH_H2G_SHIFT		(PVETH_F_H2G_CSUM - PVETH_F_G2H_CSUM)

static_assert(PVETH_F_G2H_TSO4 + PVETH_H2G_SHIFT == PVETH_F_H2G_TSO4);
static_assert(PVETH_F_G2H_TSO6 + PVETH_H2G_SHIFT == PVETH_F_H2G_TSO6);
static_assert(PVETH_F_G2H_ECN + PVETH_H2G_SHIFT == PVETH_F_H2G_ECN);
static_assert(PVETH_F_G2H_USO + PVETH_H2G_SHIFT == PVETH_F_H2G_USO);

static inline u32 pveth_g2h_offloads(u64 features)
{
	u32 offloads = features & (PVETH_OFFLOADS & ~PVETH_OFFLOAD_HASH);

	if (features & PVETH_FEATURE(PVETH_F_HASH))
		offloads |= PVETH_OFFLOAD_HASH;
	return offloads;
}

static inline u32 pveth_h2g_offloads(u64 features)
{
	u64 hash = features & PVETH_FEATURE(PVETH_F_HASH);

	return pveth_g2h_offloads((features & ~hash) >> PVETH_H2G_SHIFT | hash);
}

static inline u64 pveth_features(u32 g2h_offloads, u32 h2g_offloads)
{
	u64 g2h = g2h_offloads & ~PVETH_OFFLOAD_HASH;
	u64 h2g = h2g_offloads & ~PVETH_OFFLOAD_HASH;
	u64 features = g2h | h2g << PVETH_H2G_SHIFT;

	if (g2h_offloads & h2g_offloads & PVETH_OFFLOAD_HASH)
		features |= PVETH_FEATURE(PVETH_F_HASH);
	return features;
}

/* Without what needs something that is missing */
static inline u32 pveth_sound_offloads(u32 offloads)
{
	if (!(offloads & PVETH_OFFLOAD_CSUM))
		return offloads & PVETH_OFFLOAD_HASH;
	if (!(offloads & (PVETH_OFFLOAD_TSO4 | PVETH_OFFLOAD_TSO6)))
		offloads &= ~PVETH_OFFLOAD_ECN;
	return offloads;
}

/* What they mean to the stack that sends */
static inline netdev_features_t pveth_netdev_features(u32 offloads)
{
	netdev_features_t features = 0;

	if (offloads & PVETH_OFFLOAD_CSUM)
		features |= NETIF_F_HW_CSUM;
	if (offloads & PVETH_OFFLOAD_TSO4)
		features |= NETIF_F_TSO;
	if (offloads & PVETH_OFFLOAD_TSO6)
		features |= NETIF_F_TSO6;
	if (offloads & PVETH_OFFLOAD_ECN)
		features |= NETIF_F_TSO_ECN;
	if (offloads & PVETH_OFFLOAD_USO)
		features |= NETIF_F_GSO_UDP_L4;
	return features;
}

/* What the reader of a direction wants, by its own features: to be told of
 * hashes and of checksums, and to get large frames
 */
static inline u32 pveth_wanted_offloads(netdev_features_t features)
{
	u32 offloads = PVETH_OFFLOADS;

	if (!(features & NETIF_F_RXHASH))
		offloads &= ~PVETH_OFFLOAD_HASH;
	if (!(features & NETIF_F_GRO_HW))
		offloads &= ~(PVETH_OFFLOAD_GSO | PVETH_OFFLOAD_ECN);
	if (!(features & NETIF_F_RXCSUM))
		offloads &= PVETH_OFFLOAD_HASH;
	return offloads;
}

/**
 * pveth_uso_is_too_long() - would UDP segmentation make more datagrams than the ABI has?
 * @skb: the frame, from its Ethernet header on, with CHECKSUM_PARTIAL
 *
 * How many it makes is not always known: &skb_shared_info.gso_segs may be zero.
 */
static inline bool pveth_uso_is_too_long(const struct sk_buff *skb)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	return skb_is_gso(skb) && shinfo->gso_type & SKB_GSO_UDP_L4 &&
	       skb->len - skb_checksum_start_offset(skb) - sizeof(struct udphdr) >
	       PVETH_MAX_USO_SEGMENTS * shinfo->gso_size;
}

/**
 * pveth_features_check() - let the stack do for a frame what the peer does not
 * @skb: the frame
 * @features: what the interface can do at all
 * @offloads: what was agreed on with the peer
 *
 * Return: what can be done for this frame, as ndo_features_check() returns.
 */
static inline netdev_features_t
pveth_features_check(struct sk_buff *skb, netdev_features_t features,
		     u32 offloads)
{
	features &= ~(pveth_netdev_features(PVETH_OFFLOADS) &
		      ~pveth_netdev_features(offloads));
	/* The ABI's large frames have a partial checksum. */
	if (skb_is_gso(skb) &&
	    (skb->ip_summed != CHECKSUM_PARTIAL || pveth_uso_is_too_long(skb)))
		features &= ~NETIF_F_GSO_MASK;
	return vlan_features_check(skb, features);
}

/* How long frames can be, with these offloads */
static inline u32 pveth_longest_frame(u32 offloads, u32 mtu)
{
	return pveth_max_frame(offloads & PVETH_OFFLOAD_GSO ?
			       GSO_LEGACY_MAX_SIZE : mtu);
}

/* Frames up to this size get a linear skb, which then takes less than a page.
 * Of longer ones this much, the headers, is linear, and the rest is in pages.
 */
#define PVETH_LINEAR_LEN	2048
#define PVETH_HEADER_LEN	256

/**
 * pveth_alloc_skb() - get an skb for a received frame
 * @napi: the NAPI instance that receives; its context
 * @len: bytes of the frame
 *
 * Return: an skb of @len bytes with undefined contents, to be filled in by
 * skb_store_bits(), or NULL.
 */
static inline struct sk_buff *pveth_alloc_skb(struct napi_struct *napi,
					      u32 len)
{
	const u32 headroom = NET_SKB_PAD + NET_IP_ALIGN;
	struct sk_buff *skb;
	int err;

	if (len <= PVETH_LINEAR_LEN) {
		skb = napi_alloc_skb(napi, len);
		if (skb)
			__skb_put(skb, len);
		return skb;
	}

	skb = alloc_skb_with_frags(headroom + PVETH_HEADER_LEN,
				   len - PVETH_HEADER_LEN,
				   PAGE_ALLOC_COSTLY_ORDER, &err,
				   GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, headroom);
	__skb_put(skb, PVETH_HEADER_LEN);
	skb->data_len = len - PVETH_HEADER_LEN;
	skb->len = len;
	skb->dev = napi->dev;
	return skb;
}

/* Descriptors of the frame that this is the first of; the ABI is always
 * little-endian, as virtio 1.x is.
 */
static inline u16 pveth_desc_count(const struct pveth_desc *desc)
{
	return __virtio16_to_cpu(true, desc->hdr.num_buffers);
}

static inline void pveth_desc_set_count(struct pveth_desc *desc, u16 count)
{
	desc->hdr.num_buffers = __cpu_to_virtio16(true, count);
}

static inline bool pveth_hdr_is_plain(const struct virtio_net_hdr_v1 *hdr)
{
	return !hdr->flags && !hdr->gso_type && !hdr->hdr_len &&
	       !hdr->gso_size && !hdr->csum_start && !hdr->csum_offset;
}

/* The descriptor says nothing that takes an offload feature. */
static inline bool pveth_desc_is_plain(const struct pveth_desc *desc)
{
	return pveth_hdr_is_plain(&desc->hdr) && !desc->flags && !desc->hash;
}

static inline bool pveth_hash_is_allowed(const struct pveth_desc *desc,
					 u32 offloads)
{
	switch (le16_to_cpu(desc->flags)) {
	case 0:
		return !desc->hash;
	case PVETH_DESC_HASH:
	case PVETH_DESC_HASH | PVETH_DESC_HASH_L4:
		return offloads & PVETH_OFFLOAD_HASH;
	}
	return false;
}

/* Does what the first descriptor says of its frame keep to what was agreed on?
 * Only the host may say that it verified a checksum.
 */
static inline bool pveth_desc_is_allowed(const struct pveth_desc *desc,
					 u32 offloads, bool from_host)
{
	const struct virtio_net_hdr_v1 *hdr = &desc->hdr;
	u8 flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	u32 needs = PVETH_OFFLOAD_CSUM;

	if (!pveth_hash_is_allowed(desc, offloads))
		return false;
	if (!hdr->flags && !hdr->gso_type)
		return pveth_hdr_is_plain(hdr);

	if (hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		needs |= PVETH_OFFLOAD_ECN;
	switch (hdr->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		needs |= PVETH_OFFLOAD_TSO4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		needs |= PVETH_OFFLOAD_TSO6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		needs |= PVETH_OFFLOAD_USO;
		break;
	default:
		return false;
	}
	if (hdr->gso_type && !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return false;
	if (from_host)
		flags |= VIRTIO_NET_HDR_F_DATA_VALID;
	return !(needs & ~offloads) && !(hdr->flags & ~flags);
}

/**
 * pveth_desc_describe() - say in a frame's first descriptor what is to be done
 * @desc: the descriptor, all zero
 * @skb: the frame, whose checksum may be completed here
 * @offloads: what was agreed on with the peer
 * @from_host: the sender is the host
 *
 * Datagrams always get their checksum: it costs next to nothing for their size,
 * and there are programs that read them from packet sockets and verify it, DHCP
 * clients for one.
 *
 * Return: 0, or a negative error if there is no memory, or if the peer does not
 * know such frames, which pveth_features_check() is there to avoid.
 */
static inline int pveth_desc_describe(struct pveth_desc *desc,
				      struct sk_buff *skb, u32 offloads,
				      bool from_host)
{
	struct virtio_net_hdr *hdr = (struct virtio_net_hdr *)&desc->hdr;
	int err;

	if (skb->ip_summed == CHECKSUM_PARTIAL && !skb_is_gso(skb) &&
	    (!(offloads & PVETH_OFFLOAD_CSUM) ||
	     skb->csum_offset == offsetof(struct udphdr, check))) {
		err = skb_checksum_help(skb);
		if (err)
			return err;
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	}

	err = virtio_net_hdr_from_skb(skb, hdr, true, from_host &&
				      offloads & PVETH_OFFLOAD_CSUM, 0);
	if (err)
		return err;
	/* Only if there is one: to make it costs more than to do without. */
	if (offloads & PVETH_OFFLOAD_HASH && (skb->l4_hash || skb->sw_hash)) {
		desc->flags = cpu_to_le16(PVETH_DESC_HASH |
					  (skb->l4_hash ? PVETH_DESC_HASH_L4 :
							  0));
		desc->hash = cpu_to_le32(skb_get_hash_raw(skb));
	}
	return pveth_desc_is_allowed(desc, offloads, from_host) ?
	       0 : -EPROTONOSUPPORT;
}

/* Who completes the checksum of a frame writes it behind all that has looked at it */
enum pveth_csum_place {
	PVETH_CSUM_NETWORK,	/* where addresses may be: to be refused */
	PVETH_CSUM_TRANSPORT,	/* where TCP and UDP have it */
	PVETH_CSUM_ELSEWHERE,	/* in a tunnel, or to change what was looked at */
};

/**
 * pveth_csum_place() - what is the checksum of that is to be completed?
 * @skb: the frame, from its Ethernet header on, with CHECKSUM_PARTIAL
 *
 * That it is within the frame was seen to before.
 */
static inline enum pveth_csum_place pveth_csum_place(const struct sk_buff *skb)
{
	union {
		struct vlan_hdr tag;
		struct iphdr ip;
		struct ipv6hdr ipv6;
	} buffer;
	u32 depth = ETH_HLEN, start = skb_checksum_start_offset(skb);
	__be16 type = ((const struct ethhdr *)skb->data)->h_proto;
	const struct ipv6hdr *ipv6;
	const struct vlan_hdr *tag;
	const struct iphdr *ip;
	__be16 fragment = 0;
	u8 protocol = 0;
	int end;

	while (eth_type_vlan(type) && depth < ETH_HLEN + 2 * VLAN_HLEN) {
		tag = skb_header_pointer(skb, depth, sizeof(*tag), &buffer);
		if (!tag)
			return PVETH_CSUM_NETWORK;
		type = tag->h_vlan_encapsulated_proto;
		depth += VLAN_HLEN;
	}
	end = depth;
	if (type == htons(ETH_P_IP)) {
		ip = skb_header_pointer(skb, depth, sizeof(*ip), &buffer);
		depth += sizeof(*ip);
		if (!ip || start < depth)
			return PVETH_CSUM_NETWORK;
		protocol = ip->protocol;
		fragment = ip->frag_off & htons(IP_MF | IP_OFFSET);
		end += ip->ihl * 4;
	} else if (type == htons(ETH_P_IPV6)) {
		ipv6 = skb_header_pointer(skb, depth, sizeof(*ipv6), &buffer);
		depth += sizeof(*ipv6);
		if (!ipv6 || start < depth)
			return PVETH_CSUM_NETWORK;
		protocol = ipv6->nexthdr;
		end = ipv6_skip_exthdr(skb, depth, &protocol, &fragment);
	} else if (start < depth) {
		return PVETH_CSUM_NETWORK;
	}
	if (end < 0 || start != end || fragment)
		return PVETH_CSUM_ELSEWHERE;
	if (protocol == IPPROTO_TCP && skb->csum_offset == offsetof(struct tcphdr, check))
		return PVETH_CSUM_TRANSPORT;
	if (protocol == IPPROTO_UDP && skb->csum_offset == offsetof(struct udphdr, check))
		return PVETH_CSUM_TRANSPORT;
	return PVETH_CSUM_ELSEWHERE;
}

/**
 * pveth_skb_follow() - tell the stack what a frame's first descriptor says
 * @skb: the frame, from its Ethernet header on
 * @desc: the descriptor, which pveth_desc_is_allowed()
 *
 * Return: 0, or a negative error if that does not fit what is in the frame.
 */
static inline int pveth_skb_follow(struct sk_buff *skb,
				   const struct pveth_desc *desc)
{
	u16 flags = le16_to_cpu(desc->flags);
	const struct virtio_net_hdr *hdr;
	int err;

	if (flags & PVETH_DESC_HASH)
		skb_set_hash(skb, le32_to_cpu(desc->hash),
			     flags & PVETH_DESC_HASH_L4 ? PKT_HASH_TYPE_L4 :
							  PKT_HASH_TYPE_L3);

	hdr = (const struct virtio_net_hdr *)&desc->hdr;
	if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	err = virtio_net_hdr_to_skb(skb, hdr, true);
	if (err || skb->ip_summed != CHECKSUM_PARTIAL)
		return err;
	if (unlikely(pveth_uso_is_too_long(skb)))
		return -EINVAL;
	switch (pveth_csum_place(skb)) {
	case PVETH_CSUM_TRANSPORT:
		return 0;
	case PVETH_CSUM_ELSEWHERE:
		/* Filters are to see what others will. */
		return skb_is_gso(skb) ? -EINVAL : skb_checksum_help(skb);
	case PVETH_CSUM_NETWORK:
		break;
	}
	return -EINVAL;
}

/**
 * struct pveth_stats - counters of one direction of a queue pair
 * @sync: for 64-bit reads on 32-bit machines
 * @frames: frames carried
 * @bytes: their bytes
 * @bad: frames that were no acceptable frames
 * @dropped: frames for which there was no memory, or nobody to take them
 *
 * Written by the direction's own context; see where it is declared.
 */
struct pveth_stats {
	struct u64_stats_sync sync;
	u64_stats_t frames;
	u64_stats_t bytes;
	u64_stats_t bad;
	u64_stats_t dropped;
};

/* The same as plain numbers */
struct pveth_totals {
	u64 frames;
	u64 bytes;
	u64 bad;
	u64 dropped;
};

static inline void pveth_stats_carried(struct pveth_stats *s, u32 frames,
				       u32 bytes)
{
	u64_stats_update_begin(&s->sync);
	u64_stats_add(&s->frames, frames);
	u64_stats_add(&s->bytes, bytes);
	u64_stats_update_end(&s->sync);
}

static inline void pveth_stats_bad(struct pveth_stats *s)
{
	u64_stats_update_begin(&s->sync);
	u64_stats_inc(&s->bad);
	u64_stats_update_end(&s->sync);
}

static inline void pveth_stats_dropped(struct pveth_stats *s)
{
	u64_stats_update_begin(&s->sync);
	u64_stats_inc(&s->dropped);
	u64_stats_update_end(&s->sync);
}

static inline void pveth_stats_sum(const struct pveth_stats *s,
				   struct pveth_totals *sum)
{
	struct pveth_totals t;
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&s->sync);
		t.frames = u64_stats_read(&s->frames);
		t.bytes = u64_stats_read(&s->bytes);
		t.bad = u64_stats_read(&s->bad);
		t.dropped = u64_stats_read(&s->dropped);
	} while (u64_stats_fetch_retry(&s->sync, start));

	sum->frames += t.frames;
	sum->bytes += t.bytes;
	sum->bad += t.bad;
	sum->dropped += t.dropped;
}

#endif /* _PVETH_NET_H */
