/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _PVETH_COMPAT_LINUX_HRTIMER_H
#define _PVETH_COMPAT_LINUX_HRTIMER_H

#include_next <linux/hrtimer.h>
#include <linux/version.h>

/* Up to 6.12 the function was set apart. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void
pveth_compat_hrtimer_setup(struct hrtimer *timer,
			   enum hrtimer_restart (*function)(struct hrtimer *),
			   clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}

#define hrtimer_setup	pveth_compat_hrtimer_setup
#endif

#endif /* _PVETH_COMPAT_LINUX_HRTIMER_H */
