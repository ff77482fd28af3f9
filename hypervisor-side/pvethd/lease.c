// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses that ports have of networks
 *
 * A port has its addresses as long as there is the port. Which ones is written down in
 * the port's state file, and nowhere else, before anybody is told.
 */
#include <fcntl.h>
#include <unistd.h>

#include "network.h"

/* RFC 8200 */
#define MIN_IPV6_MTU		1280

/* The end of a hash: fmix64() of MurmurHash3 by Austin Appleby, in the public domain */
static uint64_t mix(uint64_t n)
{
	n ^= n >> 33;
	n *= 0xff51afd7ed558ccdULL;
	n ^= n >> 33;
	n *= 0xc4ceb9fe1a85ec53ULL;
	return n ^ n >> 33;
}

/* FNV-1a of 64 bits by Glenn Fowler, Landon Curt Noll and Kiem-Phong Vo (RFC 9923) */
#define FNV_BASIS	0xcbf29ce484222325ULL
#define FNV_PRIME	0x100000001b3ULL

/* Of strings, each with its end, so that "ab", "c" is not "a", "bc" */
static uint64_t hash(uint64_t so_far, const char *text)
{
	do {
		so_far = (so_far ^ (uint8_t)*text) * FNV_PRIME;
	} while (*text++);
	return so_far;
}

static uint64_t hash_of_port(const struct port_config *config)
{
	return hash(hash(FNV_BASIS, config->network), config->name);
}

/* Two hosts may have networks and ports of the same names on one Ethernet. */
static uint64_t hash_of_host(void)
{
	char id[33] = "";
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		/* Without, names are all there is to tell hosts apart. */
		if (read(fd, id, sizeof(id) - 1) < 0)
			id[0] = '\0';
		close(fd);
	}
	return hash(FNV_BASIS, id);
}

/* Unicast, locally administered */
static void mac_from(uint64_t n, uint8_t *mac)
{
	unsigned int i;

	for (i = 0; i < 6; i++)
		mac[i] = n >> 8 * i;
	mac[0] = (mac[0] & ~1) | 2;
}

static void choose_mac(struct port_config *config)
{
	uint64_t n = hash_of_host() ^ mix(hash_of_port(config));

	do {
		n = mix(n + 1);
		mac_from(n, config->mac);
	} while (port_with_mac(config->mac));
}

/**
 * network_mac() - the MAC address of a network's bridge
 * @network: the network
 * @mac: receives it; the same one each time
 */
void network_mac(const struct network *network, uint8_t *mac)
{
	mac_from(mix(hash_of_host() ^ mix(hash(FNV_BASIS, network->name))), mac);
}

static int take(struct network *network, unsigned int i, const struct address *address,
		struct error *err)
{
	struct pool *pool = &network->pools[i];
	char text[ADDRESS_TEXT], prefix[PREFIX_TEXT];
	struct port *port;

	address_format(address, text);
	if (!network_has(network, i))
		return error_set(err, "network %s has no %s addresses", network->name,
				 family_name(address->family));
	if (!pool_has(pool, address)) {
		prefix_format(&pool->prefix, prefix);
		return error_set(err, "%s is not an address of network %s, which has %s", text,
				 network->name, prefix);
	}
	if (pool_is_free(pool, address)) {
		pool_take(pool, address, address);
		return 0;
	}
	if (address->number == network->host[i].number)
		return error_set(err, "%s is the host's address", text);
	port = port_with_address(address);
	if (port)
		return error_set(err, "%s is the address of port %s", text, port->config.name);
	return error_set(err, "%s is not free: network %s excludes it, or it means the network itself, or is that of a port that is not served",
			 text, network->name);
}

static int take_any(struct network *network, unsigned int i, uint64_t wish,
		    struct address *address, struct error *err)
{
	if (pool_take_any(&network->pools[i], wish, address))
		return 0;
	return error_set(err, "network %s is full: no %s address is free", network->name,
			 family_name(network->pools[i].prefix.address.family));
}

static void release_some(struct network *network, const struct port_config *config,
			 unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (config->address[i].family)
			pool_release(&network->pools[i], &config->address[i]);
}

/**
 * lease_take() - give a port addresses
 * @config: the port's configuration. If it is in a network, what it does not ask for
 *	is chosen: the same for the same name, if that is free.
 * @err: receives what is wrong
 *
 * Return: 0, or -1, and then all is as before.
 */
int lease_take(struct port_config *config, struct error *err)
{
	struct network *network;
	unsigned int i;
	int ret;

	if (!config->network[0])
		return 0;
	network = network_find(config->network, err);
	if (!network)
		return -1;
	if (network_has(network, FAMILY_IPV6) && config->mtu && config->mtu < MIN_IPV6_MTU)
		return error_set(err, "network %s has IPv6, which needs an MTU of %u or more",
				 network->name, MIN_IPV6_MTU);
	for (i = 0; i < FAMILIES; i++) {
		ret = 0;
		if (config->address[i].family)
			ret = take(network, i, &config->address[i], err);
		else if (network_has(network, i))
			ret = take_any(network, i, mix(hash_of_port(config)),
				       &config->address[i], err);
		if (ret) {
			release_some(network, config, i);
			return -1;
		}
	}
	if (!config->has_mac) {
		choose_mac(config);
		config->has_mac = true;
	}
	return 0;
}

/**
 * lease_take_again() - the same for a port that has its addresses
 * @config: the port's configuration, which is complete
 * @err: receives what is wrong
 *
 * Return: 0, or -1, and then all is as before.
 */
int lease_take_again(const struct port_config *config, struct error *err)
{
	struct port_config copy = *config;
	struct network *network;
	unsigned int i;

	if (!config->network[0])
		return 0;
	network = network_find(config->network, err);
	if (!network)
		return -1;
	for (i = 0; i < FAMILIES; i++)
		if (network_has(network, i) && !config->address[i].family)
			return error_set(err, "it has no \"%s\"", family_keys[i]);
	return lease_take(&copy, err);
}

/**
 * lease_release() - a port's addresses are free again
 * @config: the port's configuration
 */
void lease_release(const struct port_config *config)
{
	struct error ignored;

	if (config->network[0])
		release_some(network_find(config->network, &ignored), config, FAMILIES);
}

/**
 * lease_keep() - a port's addresses are its own, though it is not served
 * @config: the port's configuration
 */
void lease_keep(const struct port_config *config)
{
	struct error ignored;

	if (config->network[0])
		network_find(config->network, &ignored)->unserved = true;
}

/**
 * lease_lost() - the same for a port whose configuration cannot be used
 * @json: what is left of it; NULL if that is nothing, and it may be in any network
 *
 * Called when networks are there.
 */
void lease_lost(const json_t *json)
{
	static const int families[FAMILIES] = { AF_INET, AF_INET6 };
	const struct network *any;
	struct address address;
	struct network *network;
	struct error ignored;
	const char *text;
	unsigned int i;

	for (any = network_next(NULL); !json && any; any = network_next(any))
		network_find(any->name, &ignored)->unserved = true;
	text = json_string_value(json_object_get(json, "network"));
	network = text ? network_find(text, &ignored) : NULL;
	if (!network)
		return;
	network->unserved = true;
	for (i = 0; i < FAMILIES; i++) {
		text = json_string_value(json_object_get(json, family_keys[i]));
		/* Or it is somebody's already. */
		if (text && !address_parse(text, families[i], &address, &ignored))
			take(network, i, &address, &ignored);
	}
}
