// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: the queue pair of a flow
 *
 * The guest chooses for what it sends, and what is sent to it follows: each frame
 * from the guest leaves in a table which queue pair its flow came by. The table
 * is indexed by a hash that is the same for both directions. A flow that is not
 * there goes by its hash.
 *
 * The table has a fixed size, and no lock: an entry is one word. Flows that meet
 * in an entry displace each other, which costs them their place and nothing
 * else. That is all that a guest can reach by making up flows, and they are its
 * own.
 */
#include <linux/kernel.h>

#include "pveth_host.h"

/* An entry is the flow's hash, with the queue pair instead of the lowest bits,
 * which the index of the entry stands for.
 */
#define PVH_FLOW_QUEUE_MASK	(PVETH_MAX_QUEUE_PAIRS - 1)

static_assert(!(PVETH_MAX_QUEUE_PAIRS & PVH_FLOW_QUEUE_MASK));
static_assert(PVH_FLOWS >= PVETH_MAX_QUEUE_PAIRS);

/**
 * pvh_flow_learn() - note down by which queue pair a flow came
 * @q: the queue pair
 * @skb: a frame of the flow, its headers set
 *
 * Context: NAPI of @q.
 */
void pvh_flow_learn(const struct pvh_queue *q, const struct sk_buff *skb)
{
	struct pvh_port *port = q->port;
	u32 hash, entry, *flow;

	if (READ_ONCE(port->active_queues) == 1)
		return;
	hash = __skb_get_hash_symmetric(skb);
	flow = &port->flows[hash % PVH_FLOWS];
	entry = (hash & ~PVH_FLOW_QUEUE_MASK) | q->index;
	/* Others read it all the time. */
	if (READ_ONCE(*flow) != entry)
		WRITE_ONCE(*flow, entry);
}

/**
 * pvh_flow_queue() - choose the queue pair of a frame to the guest
 * @port: the port
 * @skb: the frame
 *
 * Context: Any.
 * Return: number of the queue pair, one of the session.
 */
u16 pvh_flow_queue(const struct pvh_port *port, const struct sk_buff *skb)
{
	u32 queues = READ_ONCE(port->active_queues);
	u32 hash, entry, index;

	if (queues == 1)
		return 0;
	hash = __skb_get_hash_symmetric(skb);
	entry = READ_ONCE(port->flows[hash % PVH_FLOWS]);
	index = entry & PVH_FLOW_QUEUE_MASK;
	/* It may be of another flow, or of a session with more queue pairs. */
	if (!((entry ^ hash) & ~PVH_FLOW_QUEUE_MASK) && index < queues)
		return index;
	return reciprocal_scale(hash, queues);
}
