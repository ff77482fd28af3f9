/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that the linker makes names for: --wrap=setsockopt
 */
#ifndef _FAKE_KERNEL_H
#define _FAKE_KERNEL_H

#include <sys/socket.h>

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

#endif /* _FAKE_KERNEL_H */
