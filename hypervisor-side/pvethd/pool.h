/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Addresses to be taken, each by one
 */
#ifndef _PVETHD_POOL_H
#define _PVETHD_POOL_H

#include <stdbool.h>

#include "address.h"

/**
 * struct pool - the addresses of a prefix
 * @prefix: the prefix
 * @ranges: of addresses that are not free: a tree of tsearch(3)
 * @free: how many are free
 */
struct pool {
	struct prefix prefix;
	void *ranges;
	__uint128_t free;
};

void pool_init(struct pool *pool, const struct prefix *prefix);
void pool_uninit(struct pool *pool);
bool pool_has(const struct pool *pool, const struct address *address);
bool pool_is_free(const struct pool *pool, const struct address *address);
void pool_take(struct pool *pool, const struct address *first, const struct address *last);
bool pool_take_any(struct pool *pool, uint64_t wish, struct address *address);
void pool_release(struct pool *pool, const struct address *address);

#endif /* _PVETHD_POOL_H */
