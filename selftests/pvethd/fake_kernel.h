/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the fake kernel share
 */
#ifndef _FAKE_KERNEL_H
#define _FAKE_KERNEL_H

#include <sys/socket.h>

#include "kernel.h"

/* An interface; without an index there is none. */
struct fake_link {
	char name[IFNAMSIZ];
	struct link_info info;
	bool attached;
	unsigned int error;
	char regions[128];
	struct guest guest;
	uint8_t mac[6];
	void *window;
	char addresses[256];
	char routes[256];
	char settings[512];
	uint64_t rate_out, rate_in;
	uint64_t drops_out, drops_in;
	uint64_t frames;
};

struct fake_link *fake_link_named(const char *name);
struct fake_link *fake_link_of(unsigned int ifindex);
/* Those that are there, one after the other; the first one after NULL */
struct fake_link *fake_link_next(struct fake_link *link);
/* As if the kernel had said so; returns it. */
int fail(int error, struct error *err);
/* A word of a list, once */
void remember(char *list, size_t size, const char *word);

/* fake_network.c APIs: */
void fake_route_fail(int error);
void fake_limit_fail(int error);
const char *fake_route_blocked(void);

/* fake_nft.c APIs: */
int fake_nft_open(struct event_base *base);
void fake_nft_close(void);
void fake_nft_fail(int error);
void fake_nft_count(unsigned int first);
void fake_nft_flush(const char *name);
void fake_nft_lose(const char *name);
void fake_nft_unlink(const char *link);
const char *fake_nft_rules(const char *name);

/* fake_disk.c APIs: */
void fake_disk_fail(bool directory, int error);
/* Since the last time */
const char *fake_disk_told(void);

/* Functions that the linker makes names for: --wrap=setsockopt */
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int old_dir, const char *old, int new_dir, const char *new);
int __wrap_renameat(int old_dir, const char *old, int new_dir, const char *new);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

#endif /* _FAKE_KERNEL_H */
