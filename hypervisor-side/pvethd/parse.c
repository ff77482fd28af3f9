// SPDX-License-Identifier: GPL-2.0
/*
 * Words of users into values, and errors for users
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "error.h"

/**
 * error_set() - say what is wrong
 * @err: receives it
 * @fmt: as printf()
 *
 * Return: -1, for the caller to pass on.
 */
int error_set(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

/**
 * error_prefix() - say what could not be done because of it
 * @err: the error
 * @fmt: as printf(); ": " follows, and then what @err said before
 */
void error_prefix(struct error *err, const char *fmt, ...)
{
	char cause[ERROR_TEXT];
	va_list ap;
	int n;

	memcpy(cause, err->text, sizeof(cause));
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 2 < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - n, ": %.*s",
			 (int)sizeof(err->text) - n - 3, cause);
}

/**
 * parse_name() - check the name of a port, a network or an interface
 * @what: "port", "network" or "uplink"
 * @text: the name
 * @err: receives what is wrong
 *
 * It names a network interface, files, and an object of QEMU: what none of them
 * would misread is allowed.
 *
 * Return: 0, or -1.
 */
int parse_name(const char *what, const char *text, struct error *err)
{
	const char *p;

	if (strlen(text) >= IFNAMSIZ)
		return error_set(err, "%s name '%.40s' is too long: interface names have at most %d characters",
				 what, text, IFNAMSIZ - 1);
	for (p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && (p == text || !strchr("._-", *p)))
			break;
	if (p == text || *p)
		return error_set(err, "'%s' cannot name a %s: use letters, digits, '.', '_' and '-', beginning with a letter or digit",
				 text, what);
	return 0;
}

/**
 * parse_number() - read a whole number
 * @text: the number, decimal
 * @min: the least that is allowed
 * @max: the most that is allowed
 * @value: receives it
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int parse_number(const char *text, unsigned int min, unsigned int max, unsigned int *value,
		 struct error *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n < min || n > max)
		return error_set(err, "'%s' is not a number from %u to %u", text, min, max);
	*value = n;
	return 0;
}

/**
 * parse_publish() - read which port is which
 * @text: as "8080:80/tcp"
 * @host: receives the first
 * @guest: receives the second
 * @udp: receives whether they are of UDP
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int parse_publish(const char *text, uint16_t *host, uint16_t *guest, bool *udp,
		  struct error *err)
{
	unsigned int first, second;
	int end = 0;

	if (strspn(text, "0123456789") && sscanf(text, "%5u:%5u/%n", &first, &second, &end) == 2 &&
	    end && isdigit((unsigned char)strchr(text, ':')[1]) && first && second &&
	    first <= UINT16_MAX && second <= UINT16_MAX &&
	    (!strcmp(text + end, "tcp") || !strcmp(text + end, "udp"))) {
		*host = first;
		*guest = second;
		*udp = text[end] == 'u';
		return 0;
	}
	return error_set(err, "'%s' does not say what to publish: write a port of the host, one of the guest, and tcp or udp, as in 8080:80/tcp",
			 text);
}

/**
 * parse_size() - read a number of bytes
 * @text: as "4194304", "4M", "4MiB"; units are powers of 1024
 * @bytes: receives it
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int parse_size(const char *text, uint64_t *bytes, struct error *err)
{
	static const char units[] = "KMG";
	unsigned long long n;
	const char *unit;
	int shift = 0;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		goto bad;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || (end[1] && strcasecmp(end + 1, "iB")))
			goto bad;
		shift = 10 * (unit - units + 1);
	}
	if (n > UINT64_MAX >> shift)
		goto bad;
	*bytes = (uint64_t)n << shift;
	return 0;

bad:
	return error_set(err, "'%s' is not a size: use a number of bytes, or one with a unit, as in 512K, 4M, 8MiB or 1G",
			 text);
}

/* Units of rates, as tc(8) has them */
static const struct rate_unit {
	const char *name;
	uint64_t bits;
} rate_units[] = {
	{ "gbit", 1000000000 },
	{ "mbit", 1000000 },
	{ "kbit", 1000 },
	{ "bit", 1 },
};

/**
 * parse_rate() - read a number of bits in a second
 * @text: as "100mbit", with tc(8)'s units
 * @bits: receives it
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int parse_rate(const char *text, uint64_t *bits, struct error *err)
{
	const struct rate_unit *unit;
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	for (unit = rate_units; unit < rate_units + COUNT(rate_units); unit++)
		if (!strcasecmp(end, unit->name))
			break;
	if (!isdigit((unsigned char)*text) || errno || unit == rate_units + COUNT(rate_units))
		return error_set(err, "'%s' is not a rate: use a whole number with a unit, as in 500kbit, 100mbit or 1gbit",
				 text);
	if (n > MAX_RATE / unit->bits || n * unit->bits < MIN_RATE)
		return error_set(err, "'%s' is no rate that there can be: from 64kbit to 400gbit can",
				 text);
	*bits = n * unit->bits;
	return 0;
}

/**
 * rate_format() - the inverse of parse_rate()
 * @bits: the rate
 * @text: receives it, RATE_TEXT bytes
 */
void rate_format(uint64_t bits, char *text)
{
	const struct rate_unit *unit = rate_units;

	while (bits % unit->bits)
		unit++;
	snprintf(text, RATE_TEXT, "%" PRIu64 "%s", bits / unit->bits, unit->name);
}

static int hex_digit(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/**
 * parse_mac() - read the MAC address of an interface
 * @text: as "52:54:00:77:00:01"
 * @mac: receives its 6 octets
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int parse_mac(const char *text, uint8_t *mac, struct error *err)
{
	static const uint8_t zero[6];
	const char *p = text;
	int i, high, low;

	for (i = 0; i < 6; i++, p += 3) {
		high = hex_digit(p[0]);
		low = high < 0 ? -1 : hex_digit(p[1]);
		if (low < 0 || p[2] != (i < 5 ? ':' : '\0'))
			return error_set(err, "'%s' is not a MAC address: write six octets, as in 52:54:00:12:34:56",
					 text);
		mac[i] = high << 4 | low;
	}
	if (mac[0] & 1)
		return error_set(err, "'%s' is a multicast address: an interface needs a unicast one, whose first octet is even",
				 text);
	if (!memcmp(mac, zero, sizeof(zero)))
		return error_set(err, "'%s' is no interface's address", text);
	return 0;
}

/**
 * mac_format() - the inverse of parse_mac()
 * @mac: the address
 * @text: receives it, MAC_TEXT bytes
 */
void mac_format(const uint8_t *mac, char *text)
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
}
