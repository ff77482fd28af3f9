// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: large frames that stay in the guest's memory
 *
 * In direct mode the network stack gets a large frame with its headers copied,
 * and the rest where the guest has it. The frame is completed when the stack is
 * done with it, which for a frame to another guest is when it was copied there.
 * For whom that is no gain, the stack copies it: before it goes to a socket, for
 * one. Then the next frames are copied at once, and now and then one is lent on
 * trial.
 *
 * The stack may keep a frame for long: if it waits for a network device, say. So
 * only half of the ring is lent, and the other half is for frames that are
 * copied. What it keeps when the session ends is the guest's loss: it is told,
 * and leaves that memory alone.
 */
#include <linux/llist.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "pveth_host.h"

/* At the end of a session, for what is under way; shorter than guests wait */
#define PVH_LOAN_WAIT		(HZ / 4)

/* So many are copied from one on trial to the next */
#define PVH_LOAN_PAUSE		64

/* Pieces that are copied if there are more than an skb can refer to */
#define PVH_LOAN_EXCESS		2

/**
 * struct pvh_loan - a frame that is lent
 * @ubuf: what the stack knows of it
 * @lender: who lent it
 * @id: its &pveth_desc.id
 * @entries: descriptors of the frame
 * @status: enum pveth_done_status, what becomes of it
 * @copied: the stack had to copy it
 * @trial: the next ones are lent if the stack did not have to copy this one
 * @node: in &pvh_lender.returned
 */
struct pvh_loan {
	struct ubuf_info ubuf;
	struct pvh_lender *lender;
	__le16 id;
	u16 entries;
	u16 status;
	bool copied;
	bool trial;
	struct llist_node node;
};

/**
 * struct pvh_lender - a queue pair's loans of a session, or what is left of them
 * @users: the session, and each loan
 * @lock: protects @q
 * @q: the queue pair; NULL after the session
 * @returned: loans that the stack is done with; of no interest without @q
 * @wait: somebody waits for @returned
 */
struct pvh_lender {
	refcount_t users;
	spinlock_t lock; /* protects q */
	struct pvh_queue *q;
	struct llist_head returned;
	wait_queue_head_t wait;
};

/* Lenders of all ports, which keep the module */
static atomic_t pvh_lenders;
static DECLARE_WAIT_QUEUE_HEAD(pvh_lenders_wait);

static void pvh_lender_put(struct pvh_lender *lender)
{
	if (!refcount_dec_and_test(&lender->users))
		return;
	kfree(lender);
	if (atomic_dec_and_test(&pvh_lenders))
		wake_up(&pvh_lenders_wait);
}

static void pvh_loan_free(struct pvh_loan *loan)
{
	pvh_lender_put(loan->lender);
	kfree(loan);
}

/* The stack is done with an skb of a loan. Any context. */
static void pvh_loan_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
			      bool zerocopy_success)
{
	struct pvh_loan *loan = container_of(ubuf, struct pvh_loan, ubuf);
	struct pvh_lender *lender = loan->lender;
	unsigned long flags;

	if (!zerocopy_success)
		WRITE_ONCE(loan->copied, true);
	if (!refcount_dec_and_test(&ubuf->refcnt))
		return;

	/* For pvh_loans_exit() */
	rcu_read_lock();
	spin_lock_irqsave(&lender->lock, flags);
	if (lender->q) {
		/* The first one is to be seen, and with it all. */
		if (llist_add(&loan->node, &lender->returned))
			pvh_g2h_schedule(lender->q);
		if (wq_has_sleeper(&lender->wait))
			wake_up(&lender->wait);
		loan = NULL;
	}
	spin_unlock_irqrestore(&lender->lock, flags);
	if (loan)
		pvh_loan_free(loan);
	rcu_read_unlock();
}

static const struct ubuf_info_ops pvh_loan_ops = {
	.complete	= pvh_loan_complete,
};

/**
 * pvh_loans_init() - lend, in a session that begins, if it is one in direct mode
 * @q: the queue pair
 */
void pvh_loans_init(struct pvh_queue *q)
{
	struct pvh_lender *lender;

	q->lender = NULL;
	q->loans = 0;
	q->loans_before = 0;
	q->loans_pay = false;
	q->loan_pause = 0;
	if (q->memory != &q->port->att->direct)
		return;

	/* Without, all frames are copied. */
	lender = kzalloc(sizeof(*lender), GFP_KERNEL);
	if (!lender)
		return;
	refcount_set(&lender->users, 1);
	spin_lock_init(&lender->lock);
	init_llist_head(&lender->returned);
	init_waitqueue_head(&lender->wait);
	lender->q = q;
	atomic_inc(&pvh_lenders);
	q->lender = lender;
}

/**
 * pvh_loans_collect() - take back what the stack is done with
 * @q: the queue pair
 * @complete: tell the guest
 *
 * Context: NAPI, or nothing else that uses the queue pair.
 */
void pvh_loans_collect(struct pvh_queue *q, bool complete)
{
	struct pvh_loan *loan, *next;
	struct llist_node *returned;

	if (!q->lender)
		return;
	returned = llist_reverse_order(llist_del_all(&q->lender->returned));
	llist_for_each_entry_safe(loan, next, returned, node) {
		if (complete)
			pvh_g2h_complete(q, loan->id, loan->status);
		if (READ_ONCE(loan->copied))
			q->loans_pay = false;
		else if (loan->trial)
			q->loans_pay = true;
		q->loans -= loan->entries;
		pvh_loan_free(loan);
	}
}

static bool pvh_loans_are_back(struct pvh_queue *q)
{
	pvh_loans_collect(q, false);
	return !q->loans;
}

/**
 * pvh_loans_deadline() - how long a session that ends waits for what it lent
 *
 * Return: when to give up, for pvh_loans_uninit().
 */
unsigned long pvh_loans_deadline(void)
{
	return jiffies + PVH_LOAN_WAIT;
}

/**
 * pvh_loans_uninit() - lend no more, and wait a moment for what is lent
 * @q: the queue pair, which is not polled any more
 * @deadline: until when
 *
 * Context: Process context.
 * Return: how many descriptors' frames the stack still has.
 */
u32 pvh_loans_uninit(struct pvh_queue *q, unsigned long deadline)
{
	struct pvh_lender *lender = q->lender;
	long left = deadline - jiffies;

	if (!lender)
		return 0;
	wait_event_timeout(lender->wait, pvh_loans_are_back(q), max(left, 0L));
	spin_lock_irq(&lender->lock);
	lender->q = NULL;
	spin_unlock_irq(&lender->lock);
	pvh_loans_collect(q, false);
	q->lender = NULL;
	pvh_lender_put(lender);
	return q->loans;
}

/**
 * pvh_loans_exit() - wait until the network stack has nothing of ours
 *
 * Context: Process context, without ports.
 */
void pvh_loans_exit(void)
{
	wait_event(pvh_lenders_wait, !atomic_read(&pvh_lenders));
	synchronize_rcu();
}

/* A walk through a frame, piece by piece: each is contiguous, and in one page if
 * the memory is the guest's RAM.
 */
struct pvh_walk {
	const struct pvh_queue *q;
	const struct pveth_desc *desc;
	u64 addr;
	u32 left;
};

static void pvh_walk_desc(struct pvh_walk *w, const struct pveth_desc *desc)
{
	w->desc = desc;
	w->addr = le64_to_cpu(desc->addr);
	w->left = le32_to_cpu(desc->len);
}

/* The next piece, of @max octets at most. The frame is not at its end. */
static void *pvh_walk_next(struct pvh_walk *w, u32 max, u32 *len)
{
	void *virt;

	if (!w->left)
		pvh_walk_desc(w, w->desc + 1);
	*len = min(w->left, max);
	virt = pvh_memory_at(w->q->memory, w->addr, len);
	w->addr += *len;
	w->left -= *len;
	return virt;
}

static void pvh_walk_init(struct pvh_walk *w, const struct pvh_queue *q)
{
	w->q = q;
	pvh_walk_desc(w, q->descs);
}

/* How much of a frame is to be copied so that the rest is in few enough pieces?
 * Returns zero if that is too much.
 */
static u32 pvh_loan_linear(const struct pvh_queue *q, u32 len)
{
	u32 linear = PVETH_HEADER_LEN, pieces = 0, offset, piece;
	u32 excess[PVH_LOAN_EXCESS];
	struct pvh_walk walk;

	pvh_walk_init(&walk, q);
	for (offset = 0; offset < linear; offset += piece)
		pvh_walk_next(&walk, linear - offset, &piece);
	for (; offset < len; offset += piece) {
		pvh_walk_next(&walk, U32_MAX, &piece);
		if (pieces < PVH_LOAN_EXCESS)
			excess[pieces] = piece;
		pieces++;
	}
	if (pieces > MAX_SKB_FRAGS + PVH_LOAN_EXCESS)
		return 0;
	for (offset = 0; pieces > MAX_SKB_FRAGS; pieces--)
		linear += excess[offset++];
	return linear;
}

/* Let the skb refer to what is in the guest's memory. */
static void pvh_loan_fill(struct sk_buff *skb, const struct pvh_queue *q,
			  u32 linear, u32 len)
{
	struct page *page, *head;
	struct pvh_walk walk;
	u32 offset, piece;
	void *virt;
	int i = 0;

	pvh_walk_init(&walk, q);
	for (offset = 0; offset < linear; offset += piece) {
		virt = pvh_walk_next(&walk, linear - offset, &piece);
		memcpy(skb->data + offset, virt, piece);
	}
	for (; offset < len; offset += piece) {
		virt = pvh_walk_next(&walk, U32_MAX, &piece);
		page = virt_to_page(virt);
		head = compound_head(page);
		get_page(head);
		skb_fill_page_desc(skb, i++, head,
				   (page - head) * PAGE_SIZE +
				   offset_in_page(virt), piece);
	}
	skb->data_len = len - linear;
	skb->len += skb->data_len;
	skb->truesize += skb->data_len;
}

/**
 * pvh_loan_skb() - lend a frame to the network stack
 * @q: the queue pair; the frame is the one in its descriptors
 * @len: bytes of the frame
 *
 * Only frames that are to be segmented are lent: GRO does not merge these with
 * others, whose memory it would take along without asking.
 *
 * Context: NAPI.
 * Return: an skb, or NULL if it is to be copied.
 */
struct sk_buff *pvh_loan_skb(struct pvh_queue *q, u32 len)
{
	u16 entries = pveth_desc_count(q->descs);
	struct pvh_loan *loan;
	struct sk_buff *skb;
	u32 linear;

	if (!q->lender || !q->descs[0].hdr.gso_type || len <= PVETH_LINEAR_LEN)
		return NULL;
	/* Of what was lent in this poll, some may be back, and tell whether it
	 * pays.
	 */
	if (!llist_empty(&q->lender->returned))
		pvh_loans_collect(q, true);
	/* The guest counts by descriptors what it has room for. */
	if (q->loans + entries > q->g2h.mask / 2)
		return NULL;
	if (!q->loans_pay && q->loan_pause) {
		q->loan_pause--;
		return NULL;
	}
	linear = pvh_loan_linear(q, len);
	if (!linear)
		return NULL;

	loan = kzalloc(sizeof(*loan), GFP_ATOMIC | __GFP_NOWARN);
	if (!loan)
		return NULL;
	skb = napi_alloc_skb(&q->napi, linear);
	if (!skb) {
		kfree(loan);
		return NULL;
	}
	__skb_put(skb, linear);
	pvh_loan_fill(skb, q, linear, len);

	loan->id = q->descs[0].id;
	loan->entries = entries;
	loan->status = PVETH_DONE_OK;
	loan->trial = !q->loans_pay;
	q->loan_pause = PVH_LOAN_PAUSE;
	loan->lender = q->lender;
	refcount_inc(&q->lender->users);
	refcount_set(&loan->ubuf.refcnt, 1);
	loan->ubuf.flags = SKBFL_ZEROCOPY_FRAG;
	ubuf_info_set_ops(&loan->ubuf, &pvh_loan_ops);
	skb_zcopy_init(skb, &loan->ubuf);
	q->loans += entries;
	atomic64_inc(&q->lent);
	return skb;
}

/**
 * pvh_loan_refuse() - free a frame that turned out to be none
 * @skb: the frame, from pvh_loan_skb(). The guest is told when it is back.
 */
void pvh_loan_refuse(struct sk_buff *skb)
{
	struct pvh_loan *loan = container_of(skb_uarg(skb), struct pvh_loan,
					     ubuf);

	loan->status = PVETH_DONE_BAD;
	loan->trial = false;
	kfree_skb(skb);
}
