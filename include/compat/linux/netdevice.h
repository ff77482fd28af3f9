/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_LINUX_NETDEVICE_H
#define _PVETH_COMPAT_LINUX_NETDEVICE_H

#include_next <linux/netdevice.h>
#include <linux/version.h>

/* Up to 6.16 dev_set_threaded() took a bool. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define NETDEV_NAPI_THREADED_ENABLED	true
#endif

#endif /* _PVETH_COMPAT_LINUX_NETDEVICE_H */
