// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses to be taken, each by one
 *
 * Those that are not free are kept as ranges with at least one free address between
 * two of them. So what follows the end of a range is free, and to find a free address
 * takes one search, however full the pool is. Two ranges compare as equal if they have
 * an address in common: the tree finds whatever range an address is in.
 */
#include <search.h>
#include <stdlib.h>

#include "pool.h"

struct range {
	__uint128_t first;
	__uint128_t last;
};

static int compare(const void *one, const void *other)
{
	const struct range *a = one, *b = other;

	if (a->last < b->first)
		return -1;
	return a->first > b->last;
}

static struct range *find(const struct pool *pool, __uint128_t first,
			  __uint128_t last)
{
	const struct range key = { first, last };
	struct range **found = tfind(&key, &pool->ranges, compare);

	return found ? *found : NULL;
}

static __uint128_t size(const struct range *range)
{
	return range->last - range->first + 1;
}

/* An address that is forgotten would be given away twice. It is all on the disk. */
static void insert(struct pool *pool, __uint128_t first, __uint128_t last)
{
	struct range *range = malloc(sizeof(*range));

	if (!range)
		abort();
	range->first = first;
	range->last = last;
	if (!tsearch(range, &pool->ranges, compare))
		abort();
	pool->free -= size(range);
}

static void delete(struct pool *pool, struct range *range)
{
	tdelete(range, &pool->ranges, compare);
	pool->free += size(range);
	free(range);
}

/**
 * pool_init() - all addresses of a prefix are free
 * @pool: the pool
 * @prefix: the prefix, which has not all addresses of its family
 */
void pool_init(struct pool *pool, const struct prefix *prefix)
{
	pool->prefix = *prefix;
	pool->ranges = NULL;
	pool->free = prefix_last(prefix).number - prefix->address.number + 1;
}

/**
 * pool_uninit() - free the memory of a pool
 * @pool: the pool
 */
void pool_uninit(struct pool *pool)
{
	tdestroy(pool->ranges, free);
}

/**
 * pool_has() - is it an address of this pool?
 * @pool: the pool
 * @address: the address, of the same family
 */
bool pool_has(const struct pool *pool, const struct address *address)
{
	return address->number >= pool->prefix.address.number &&
	       address->number <= prefix_last(&pool->prefix).number;
}

/**
 * pool_is_free() - has nobody taken it?
 * @pool: the pool
 * @address: an address of the pool
 */
bool pool_is_free(const struct pool *pool, const struct address *address)
{
	return !find(pool, address->number, address->number);
}

/**
 * pool_take() - take addresses
 * @pool: the pool
 * @first: the first one
 * @last: the last one. Some, or all, may be taken already.
 */
void pool_take(struct pool *pool, const struct address *first, const struct address *last)
{
	__uint128_t from = first->number, to = last->number;
	struct range *range;

	/* What it touches becomes a part of it. No pool has the very first address, or
	 * the very last.
	 */
	while ((range = find(pool, first->number - 1, last->number + 1))) {
		if (range->first < from)
			from = range->first;
		if (range->last > to)
			to = range->last;
		delete(pool, range);
	}
	insert(pool, from, to);
}

/* The first free one from @number on; one that is not of the pool if there is none. */
static __uint128_t next_free(const struct pool *pool, __uint128_t number)
{
	const struct range *range = find(pool, number, number);

	return range ? range->last + 1 : number;
}

/**
 * pool_take_any() - take an address that is free
 * @pool: the pool
 * @wish: which: the same wish gets the same address, if that is free
 * @address: receives it
 *
 * Return: true, or false if all are taken.
 */
bool pool_take_any(struct pool *pool, uint64_t wish, struct address *address)
{
	__uint128_t first = pool->prefix.address.number;
	__uint128_t last = prefix_last(&pool->prefix).number;

	if (!pool->free)
		return false;
	address->family = pool->prefix.address.family;
	address->number = next_free(pool, first + wish % (last - first + 1));
	if (address->number > last)
		address->number = next_free(pool, first);
	pool_take(pool, address, address);
	return true;
}

/**
 * pool_release() - an address is free again
 * @pool: the pool
 * @address: the address, which was taken
 */
void pool_release(struct pool *pool, const struct address *address)
{
	struct range *range = find(pool, address->number, address->number);
	__uint128_t first = range->first, last = range->last;

	delete(pool, range);
	if (first < address->number)
		insert(pool, first, address->number - 1);
	if (last > address->number)
		insert(pool, address->number + 1, last);
}
