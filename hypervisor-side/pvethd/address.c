// SPDX-License-Identifier: GPL-2.0
/*
 * IP addresses, prefixes and ranges: from words, and into them
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

/**
 * family_name() - what people call an address family
 * @family: AF_INET or AF_INET6
 *
 * Return: the name.
 */
const char *family_name(int family)
{
	return family == AF_INET ? "IPv4" : "IPv6";
}

/**
 * family_bits() - bits of an address
 * @family: AF_INET or AF_INET6
 *
 * Return: how many.
 */
unsigned int family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static const char *example(int family)
{
	return family == AF_INET ? "10.1.0.5" : "fd00:1::5";
}

/**
 * address_parse() - read an address
 * @text: as "10.1.0.5" or "fd00:1::5"
 * @family: AF_INET or AF_INET6
 * @address: receives it
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int address_parse(const char *text, int family, struct address *address, struct error *err)
{
	uint8_t octets[sizeof(struct in6_addr)];

	if (inet_pton(family, text, octets) != 1)
		return error_set(err, "'%.60s' is not an %s address: write it as in %s", text,
				 family_name(family), example(family));
	*address = address_from(family, octets);
	return 0;
}

/**
 * address_from() - an address that is as it is sent
 * @family: AF_INET or AF_INET6
 * @octets: it, 4 or 16 octets
 *
 * Return: the address.
 */
struct address address_from(int family, const uint8_t *octets)
{
	unsigned int bytes = family_bits(family) / 8, i;
	struct address address = { .family = family };

	for (i = 0; i < bytes; i++)
		address.number = address.number << 8 | octets[i];
	return address;
}

/**
 * address_octets() - an address as it is sent
 * @address: the address
 * @octets: receives it, 16 octets at most
 */
void address_octets(const struct address *address, uint8_t *octets)
{
	unsigned int i = family_bits(address->family) / 8;
	__uint128_t number = address->number;

	for (; i-- > 0; number >>= 8)
		octets[i] = number;
}

/**
 * address_format() - write an address
 * @address: the address
 * @text: receives it, ADDRESS_TEXT bytes at most
 *
 * Return: true, or false if it is none, and then there is no text.
 */
bool address_format(const struct address *address, char *text)
{
	uint8_t octets[sizeof(struct in6_addr)];

	if (!address->family)
		return false;
	address_octets(address, octets);
	inet_ntop(address->family, octets, text, ADDRESS_TEXT);
	return true;
}

static __uint128_t host_mask(int family, unsigned int length)
{
	unsigned int bits = family_bits(family) - length;

	return bits == 128 ? ~(__uint128_t)0 : ((__uint128_t)1 << bits) - 1;
}

/* Reads both parts of "ADDRESS/LENGTH". */
static int split_prefix(const char *text, int family, struct prefix *prefix, struct error *err)
{
	char address[ADDRESS_TEXT];
	const char *slash = strchr(text, '/');

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return error_set(err, "'%.60s' is not an %s prefix: write an address and a length, as in %s/%u",
				 text, family_name(family),
				 family == AF_INET ? "10.1.0.0" : "fd00:1::",
				 family == AF_INET ? 24U : 64U);
	memcpy(address, text, slash - text);
	address[slash - text] = '\0';
	if (address_parse(address, family, &prefix->address, err))
		return -1;
	if (parse_number(slash + 1, 0, family_bits(family), &prefix->length, err)) {
		error_prefix(err, "the length of '%.60s'", text);
		return -1;
	}
	return 0;
}

/**
 * prefix_parse() - read a prefix
 * @text: as "10.1.0.0/24" or "fd00:1::/64"
 * @family: AF_INET or AF_INET6
 * @prefix: receives it
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int prefix_parse(const char *text, int family, struct prefix *prefix, struct error *err)
{
	struct prefix whole;
	char right[PREFIX_TEXT];

	if (split_prefix(text, family, prefix, err))
		return -1;
	whole = prefix_of(&prefix->address, prefix->length);
	if (prefix->address.number != whole.address.number) {
		prefix_format(&whole, right);
		return error_set(err, "'%s' has bits behind its length: %s would be the prefix",
				 text, right);
	}
	return 0;
}

/**
 * prefix_of() - the prefix that an address is in
 * @address: the address
 * @length: the prefix's length
 *
 * Return: the prefix.
 */
struct prefix prefix_of(const struct address *address, unsigned int length)
{
	struct prefix prefix = { *address, length };

	prefix.address.number &= ~host_mask(address->family, length);
	return prefix;
}

/**
 * prefix_format() - write a prefix
 * @prefix: the prefix
 * @text: receives it, PREFIX_TEXT bytes at most
 */
void prefix_format(const struct prefix *prefix, char *text)
{
	address_format(&prefix->address, text);
	sprintf(text + strlen(text), "/%u", prefix->length);
}

/**
 * prefix_last() - the last address of a prefix
 * @prefix: the prefix
 *
 * Return: the address.
 */
struct address prefix_last(const struct prefix *prefix)
{
	struct address last = prefix->address;

	last.number |= host_mask(last.family, prefix->length);
	return last;
}

/**
 * prefixes_overlap() - have they an address in common?
 * @one: a prefix
 * @other: another one
 */
bool prefixes_overlap(const struct prefix *one, const struct prefix *other)
{
	return one->address.family == other->address.family &&
	       one->address.number <= prefix_last(other).number &&
	       other->address.number <= prefix_last(one).number;
}

/**
 * range_parse() - read a range of addresses
 * @text: as "10.1.0.5", "10.1.0.5-10.1.0.9" or "10.1.0.8/29", or the same in IPv6
 * @first: receives its first address
 * @last: receives its last address
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int range_parse(const char *text, struct address *first, struct address *last,
		struct error *err)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	const char *dash = strchr(text, '-');
	char address[ADDRESS_TEXT];
	struct prefix prefix;

	if (strchr(text, '/')) {
		if (prefix_parse(text, family, &prefix, err))
			return -1;
		*first = prefix.address;
		*last = prefix_last(&prefix);
		return 0;
	}
	if (!dash) {
		if (address_parse(text, family, first, err))
			return -1;
		*last = *first;
		return 0;
	}
	if ((size_t)(dash - text) >= sizeof(address))
		return error_set(err, "'%.100s' is not a range of addresses: write it as in 10.1.0.5-10.1.0.9",
				 text);
	memcpy(address, text, dash - text);
	address[dash - text] = '\0';
	if (address_parse(address, family, first, err) ||
	    address_parse(dash + 1, family, last, err))
		return -1;
	if (first->number > last->number)
		return error_set(err, "the range %s ends before it begins", text);
	return 0;
}
