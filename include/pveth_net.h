/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest driver and the host backend have in common
 */
#ifndef _PVETH_NET_H
#define _PVETH_NET_H

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>
#include <linux/virtio_byteorder.h>

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

/* The descriptor says nothing that takes an offload feature. */
static inline bool pveth_desc_is_plain(const struct pveth_desc *desc)
{
	const struct virtio_net_hdr_v1 *hdr = &desc->hdr;

	return !hdr->flags && !hdr->gso_type && !hdr->hdr_len &&
	       !hdr->gso_size && !hdr->csum_start && !hdr->csum_offset &&
	       !desc->flags && !desc->hash;
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
