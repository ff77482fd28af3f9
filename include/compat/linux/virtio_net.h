/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_LINUX_VIRTIO_NET_H
#define _PVETH_COMPAT_LINUX_VIRTIO_NET_H

#include_next <linux/virtio_net.h>

/* Up to 6.1 the helpers did not know UDP segmentation offload, the stack did. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5

static inline int
pveth_compat_hdr_to_skb(struct sk_buff *skb, const struct virtio_net_hdr *hdr,
			bool little_endian)
{
	struct skb_shared_info *shinfo;
	struct virtio_net_hdr plain;
	u32 payload, gso_size;
	int err;

	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_UDP_L4)
		return virtio_net_hdr_to_skb(skb, hdr, little_endian);

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return -EINVAL;
	plain = *hdr;
	plain.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	err = virtio_net_hdr_to_skb(skb, &plain, little_endian);
	if (err)
		return err;

	payload = skb_transport_offset(skb) + sizeof(struct udphdr);
	gso_size = __virtio16_to_cpu(little_endian, hdr->gso_size);
	if (!gso_size || gso_size == GSO_BY_FRAGS ||
	    skb->csum_offset != offsetof(struct udphdr, check) ||
	    !pskb_may_pull(skb, payload) ||
	    skb->len - payload > gso_size * UDP_MAX_SEGMENTS)
		return -EINVAL;

	if (skb->len - payload > gso_size) {
		shinfo = skb_shinfo(skb);
		shinfo->gso_size = gso_size;
		shinfo->gso_type = SKB_GSO_UDP_L4 | SKB_GSO_DODGY;
		shinfo->gso_segs = 0;
	}
	return 0;
}

static inline int
pveth_compat_hdr_from_skb(const struct sk_buff *skb, struct virtio_net_hdr *hdr,
			  bool little_endian, bool has_data_valid,
			  int vlan_hlen)
{
	u32 start;

	if (!skb_is_gso(skb) || skb->ip_summed != CHECKSUM_PARTIAL ||
	    !(skb_shinfo(skb)->gso_type & SKB_GSO_UDP_L4))
		return virtio_net_hdr_from_skb(skb, hdr, little_endian,
					       has_data_valid, vlan_hlen);

	start = skb_checksum_start_offset(skb) + vlan_hlen;
	*hdr = (struct virtio_net_hdr) {
		.flags		= VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type	= VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len	= __cpu_to_virtio16(little_endian,
						    skb_headlen(skb)),
		.gso_size	= __cpu_to_virtio16(little_endian,
						    skb_shinfo(skb)->gso_size),
		.csum_start	= __cpu_to_virtio16(little_endian, start),
		.csum_offset	= __cpu_to_virtio16(little_endian,
						    skb->csum_offset),
	};
	return 0;
}

#define virtio_net_hdr_to_skb	pveth_compat_hdr_to_skb
#define virtio_net_hdr_from_skb	pveth_compat_hdr_from_skb
#endif /* VIRTIO_NET_HDR_GSO_UDP_L4 */

#endif /* _PVETH_COMPAT_LINUX_VIRTIO_NET_H */
