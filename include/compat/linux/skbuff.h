/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_LINUX_SKBUFF_H
#define _PVETH_COMPAT_LINUX_SKBUFF_H

#include_next <linux/skbuff.h>
#include <linux/version.h>

/* Up to 6.9 the callback was in struct ubuf_info itself. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
struct ubuf_info_ops {
	void (*complete)(struct sk_buff *skb, struct ubuf_info *uarg,
			 bool zerocopy_success);
};

static inline void ubuf_info_set_ops(struct ubuf_info *uarg,
				     const struct ubuf_info_ops *ops)
{
	uarg->callback = ops->complete;
}
#else
static inline void ubuf_info_set_ops(struct ubuf_info *uarg,
				     const struct ubuf_info_ops *ops)
{
	uarg->ops = ops;
}
#endif

#endif /* _PVETH_COMPAT_LINUX_SKBUFF_H */
