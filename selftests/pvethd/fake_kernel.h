/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the fake kernel share
 */
#ifndef _FAKE_KERNEL_H
#define _FAKE_KERNEL_H

#include <sys/socket.h>

#include "kernel.h"

/* As if the kernel had said so; returns it. */
int fail(int error, struct error *err);
/* A word of a list, once */
void remember(char *list, size_t size, const char *word);

/* fake_nft.c APIs: */
int fake_nft_open(struct event_base *base);
void fake_nft_close(void);
void fake_nft_fail(int error);
void fake_nft_count(unsigned int first);
void fake_nft_flush(const char *name);
void fake_nft_lose(const char *name);
void fake_nft_unlink(const char *link);
const char *fake_nft_rules(const char *name);

/* Functions that the linker makes names for: --wrap=setsockopt */
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

#endif /* _FAKE_KERNEL_H */
