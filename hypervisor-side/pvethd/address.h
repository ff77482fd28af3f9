/* SPDX-License-Identifier: GPL-2.0 */
/*
 * IP addresses as numbers
 */
#ifndef _PVETHD_ADDRESS_H
#define _PVETHD_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "error.h"

#define ADDRESS_TEXT	INET6_ADDRSTRLEN
/* With "/128" */
#define PREFIX_TEXT	(INET6_ADDRSTRLEN + 4)

/**
 * struct address - an IPv4 or IPv6 address, or none
 * @family: AF_INET, AF_INET6, or 0 for none
 * @number: the address; the most significant bit is the one that is sent first
 */
struct address {
	int family;
	__uint128_t number;
};

/**
 * struct prefix - all addresses that begin with the same bits
 * @address: the first one
 * @length: how many bits; all others of @address are zero
 */
struct prefix {
	struct address address;
	unsigned int length;
};

const char *family_name(int family);
unsigned int family_bits(int family);
int address_parse(const char *text, int family, struct address *address, struct error *err);
struct address address_from(int family, const uint8_t *octets);
void address_octets(const struct address *address, uint8_t *octets);
bool address_format(const struct address *address, char *text);
int prefix_parse(const char *text, int family, struct prefix *prefix, struct error *err);
struct prefix prefix_of(const struct address *address, unsigned int length);
void prefix_format(const struct prefix *prefix, char *text);
struct address prefix_last(const struct prefix *prefix);
bool prefixes_overlap(const struct prefix *one, const struct prefix *other);
int range_parse(const char *text, struct address *first, struct address *last,
		struct error *err);

#endif /* _PVETHD_ADDRESS_H */
