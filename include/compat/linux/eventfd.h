/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_LINUX_EVENTFD_H
#define _PVETH_COMPAT_LINUX_EVENTFD_H

#include_next <linux/eventfd.h>
#include <linux/version.h>

/* Up to 6.7 the caller said how much to add. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define eventfd_signal(ctx)	((void)eventfd_signal(ctx, 1))
#endif

#endif /* _PVETH_COMPAT_LINUX_EVENTFD_H */
