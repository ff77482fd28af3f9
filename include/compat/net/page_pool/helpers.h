/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_NET_PAGE_POOL_HELPERS_H
#define _PVETH_COMPAT_NET_PAGE_POOL_HELPERS_H

#include <linux/version.h>

/* Up to 6.5 it was one header, of another name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#include <net/page_pool.h>
#else
#include_next <net/page_pool/helpers.h>
#endif

#endif /* _PVETH_COMPAT_NET_PAGE_POOL_HELPERS_H */
