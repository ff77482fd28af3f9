// SPDX-License-Identifier: GPL-2.0
/*
 * What a port is configured to be, and JSON: in requests and in state files
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pvethd.h"

#define DEFAULT_QUEUE_WINDOW	(4ULL << 20)

/* Less has no room for the smallest rings with a buffer for each entry. */
#define MIN_QUEUE_WINDOW	(512ULL << 10)
/* The kernel takes no more. */
#define MAX_WINDOW		(4ULL << 30)

/* QEMU's own unit, a Linux that boots, and what the kernel takes in one region */
#define MEMORY_UNIT		(1ULL << 20)
#define MIN_MEMORY		(32ULL << 20)
#define MAX_MEMORY		(512ULL << 30)
#define DEFAULT_MEMORY_DIR	"/dev/shm"
#define DEFAULT_MACHINE		"q35"

static uint64_t power_of_two_from(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static void format_size(char *text, size_t len, uint64_t bytes)
{
	if (bytes >= 1 << 20 && !(bytes & ((1 << 20) - 1)))
		snprintf(text, len, "%" PRIu64 "M", bytes >> 20);
	else if (bytes >= 1 << 10 && !(bytes & ((1 << 10) - 1)))
		snprintf(text, len, "%" PRIu64 "K", bytes >> 10);
	else
		snprintf(text, len, "%" PRIu64, bytes);
}

static int check_window_size(uint64_t size, unsigned int queues, struct error *err)
{
	uint64_t min = power_of_two_from(MIN_QUEUE_WINDOW * queues);
	char low[32], high[32];

	if (size < min || size > MAX_WINDOW) {
		format_size(low, sizeof(low), min);
		format_size(high, sizeof(high), MAX_WINDOW);
		return error_set(err, "a window of %" PRIu64 " bytes is too %s: with %u queue pair%s it must be a power of two from %s to %s",
				 size, size < min ? "small" : "large", queues,
				 queues == 1 ? "" : "s", low, high);
	}
	if (size & (size - 1)) {
		format_size(low, sizeof(low), power_of_two_from(size) >> 1);
		format_size(high, sizeof(high), power_of_two_from(size));
		return error_set(err, "a window of %" PRIu64 " bytes is no power of two: %s or %s would be",
				 size, low, high);
	}
	return 0;
}

static int check_mode(const char *mode, bool *direct, struct error *err)
{
	*direct = !strcmp(mode, "direct");
	if (*direct || !strcmp(mode, "window"))
		return 0;
	return error_set(err, "'%s' is no memory mode: use window or direct", mode);
}

/* What direct mode needs, and window mode has no use for */
static int check_memory(json_t *json, const struct port_config *config, struct error *err)
{
	char low[32], high[32], unit[32];

	if (!config->direct) {
		if (json_object_get(json, "memory") || json_object_get(json, "memory_dir") ||
		    json_object_get(json, "machine"))
			return error_set(err, "the guest's memory is only for --mode direct");
		return 0;
	}
	if (!json_object_get(json, "memory"))
		return error_set(err, "direct mode needs the size of the guest's memory: --memory SIZE");
	if (config->memory < MIN_MEMORY || config->memory > MAX_MEMORY ||
	    config->memory % MEMORY_UNIT) {
		format_size(low, sizeof(low), MIN_MEMORY);
		format_size(high, sizeof(high), MAX_MEMORY);
		format_size(unit, sizeof(unit), MEMORY_UNIT);
		return error_set(err, "the guest's memory must be a multiple of %s, from %s to %s",
				 unit, low, high);
	}
	if (config->memory_dir[0] != '/')
		return error_set(err, "the directory of the guest's memory must be an absolute path, not '%s'",
				 config->memory_dir);
	if (strcmp(config->machine, "q35") && strcmp(config->machine, "pc"))
		return error_set(err, "'%s' is no machine type that is known: use q35 or pc",
				 config->machine);
	return 0;
}

static int copy_name(char *to, size_t len, const char *from, const char *what,
		     struct error *err)
{
	if (strlen(from) >= len)
		return error_set(err, "the name of the %s is longer than %zu characters", what,
				 len - 1);
	strcpy(to, from);
	return 0;
}

static int range_check(json_int_t value, json_int_t min, json_int_t max, const char *what,
		       struct error *err)
{
	if (value < min || value > max)
		return error_set(err, "%s must be from %lld to %lld, not %lld", what,
				 (long long)min, (long long)max, (long long)value);
	return 0;
}

static int check_rate(json_t *json, const char *key, json_int_t bits, struct error *err)
{
	if (!json_object_get(json, key) ||
	    (bits >= (json_int_t)MIN_RATE && bits <= (json_int_t)MAX_RATE))
		return 0;
	return error_set(err, "a rate of %lld bits per second cannot be: from %llu to %llu can",
			 (long long)bits, MIN_RATE, MAX_RATE);
}

static const char * const allow_names[] = { "all", "vlan", "link-local" };

/* An array of names into bits, which are the names' places above */
static int set_allow(struct port_config *config, json_t *array, struct error *err)
{
	const char *name;
	json_t *item;
	size_t i, k;

	if (array && !json_is_array(array))
		return error_set(err, "what is allowed must be a list");
	json_array_foreach(array, i, item) {
		name = json_string_value(item);
		for (k = 0; k < COUNT(allow_names); k++)
			if (name && !strcmp(name, allow_names[k]))
				break;
		if (k == COUNT(allow_names))
			return error_set(err, "'%.40s' cannot be allowed: all, vlan or link-local can",
					 name ? name : "");
		config->allow |= 1 << k;
	}
	return 0;
}

static int set_publish(struct port_config *config, json_t *array, struct error *err)
{
	struct publish *publish;
	const char *text;
	json_t *item;
	size_t i;

	if (array && (!json_is_array(array) || json_array_size(array) > MAX_PUBLISH))
		return error_set(err, "what is published must be a list of at most %d ports",
				 MAX_PUBLISH);
	json_array_foreach(array, i, item) {
		text = json_string_value(item);
		publish = &config->publish[config->publish_count];
		if (parse_publish(text ? text : "", &publish->host, &publish->guest,
				  &publish->udp, err))
			return -1;
		config->publish_count++;
	}
	return 0;
}

static json_t *publish_to_json(const struct port_config *config)
{
	const struct publish *publish = config->publish;
	json_t *array = json_array();
	unsigned int i;

	for (i = 0; i < config->publish_count; i++, publish++)
		json_array_append_new(array, json_sprintf("%u:%u/%s", publish->host, publish->guest,
							  publish->udp ? "udp" : "tcp"));
	return array;
}

static json_t *allow_to_json(const struct port_config *config)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < COUNT(allow_names); i++)
		if (config->allow & 1 << i)
			json_array_append_new(array, json_string(allow_names[i]));
	return array;
}

static int set_network(struct port_config *config, const char *network, const char *ipv4,
		       const char *ipv6, json_t *allow, json_t *publish,
		       struct error *err)
{
	if (set_allow(config, allow, err))
		return -1;
	if (!network) {
		if (ipv4 || ipv6)
			return error_set(err, "an address is one of a network: --network NAME");
		if (config->allow & ALLOW_LINK_LOCAL)
			return error_set(err, "the guest of a port without a network has any link-local addresses: leave out --allow link-local, or use --network NAME");
		if (publish)
			return error_set(err, "what is published is an address of a network: --network NAME");
		return 0;
	}
	if (parse_name("network", network, err))
		return -1;
	if (config->bridge[0])
		return error_set(err, "a port of a network is in no bridge but the network's: leave out --network or --bridge");
	strcpy(config->network, network);
	if (set_publish(config, publish, err))
		return -1;
	if ((ipv4 && address_parse(ipv4, AF_INET, &config->address[FAMILY_IPV4], err)) ||
	    (ipv6 && address_parse(ipv6, AF_INET6, &config->address[FAMILY_IPV6], err)))
		return -1;
	return 0;
}

static void set_address(json_t *json, const char *key, const struct address *address)
{
	char text[ADDRESS_TEXT];

	if (address_format(address, text))
		json_object_set_new(json, key, json_string(text));
}

/**
 * config_from_json() - read and check the configuration of a port
 * @json: an object with "name", and what else is not to have its default
 * @config: receives it
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int config_from_json(json_t *json, struct port_config *config, struct error *err)
{
	const char *name, *mac = NULL, *mode = "window", *bridge = "", *user = "", *group = "";
	const char *memory_dir = DEFAULT_MEMORY_DIR, *machine = DEFAULT_MACHINE;
	const char *network = NULL, *ipv4 = NULL, *ipv6 = NULL;
	json_int_t queues = 1, mtu = 0, window_size = 0, memory = 0, rate_in = 0, rate_out = 0;
	json_t *allow = NULL, *publish = NULL;
	json_error_t jerr;

	if (json_unpack_ex(json, &jerr, JSON_STRICT,
			   "{s:s, s?s, s?I, s?I, s?I, s?s, s?I, s?s, s?s, s?s, s?s, s?s, s?s, s?s, s?s, s?o, s?o, s?I, s?I}",
			   "name", &name, "mac", &mac, "queues", &queues, "mtu", &mtu,
			   "window_size", &window_size, "mode", &mode, "memory", &memory,
			   "memory_dir", &memory_dir, "machine", &machine, "bridge", &bridge,
			   "socket_user", &user, "socket_group", &group,
			   "network", &network, "ipv4", &ipv4, "ipv6", &ipv6,
			   "allow", &allow, "publish", &publish,
			   "rate_in", &rate_in, "rate_out", &rate_out))
		return error_set(err, "not a port's configuration: %s", jerr.text);

	memset(config, 0, sizeof(*config));
	if (parse_name("port", name, err) || check_mode(mode, &config->direct, err) ||
	    range_check(queues, 1, PVETH_MAX_QUEUE_PAIRS, "the number of queue pairs", err) ||
	    (json_object_get(json, "mtu") &&
	     range_check(mtu, PVETH_MIN_MTU, PVETH_MAX_MTU, "the MTU", err)) ||
	    check_rate(json, "rate_in", rate_in, err) ||
	    check_rate(json, "rate_out", rate_out, err))
		return -1;
	strcpy(config->name, name);
	config->queues = queues;
	config->mtu = mtu;
	config->rate_in = rate_in;
	config->rate_out = rate_out;

	if (json_object_get(json, "window_size"))
		config->window_size = window_size < 0 ? 0 : window_size;
	else
		config->window_size = power_of_two_from(DEFAULT_QUEUE_WINDOW * queues);
	if (check_window_size(config->window_size, queues, err))
		return -1;

	if (config->direct) {
		config->memory = memory < 0 ? 0 : memory;
		if (copy_name(config->memory_dir, sizeof(config->memory_dir), memory_dir,
			      "directory", err) ||
		    copy_name(config->machine, sizeof(config->machine), machine,
			      "machine type", err))
			return -1;
	}
	if (check_memory(json, config, err))
		return -1;

	if ((*bridge && parse_name("bridge", bridge, err)) ||
	    copy_name(config->bridge, sizeof(config->bridge), bridge, "bridge", err) ||
	    copy_name(config->socket_user, sizeof(config->socket_user), user, "user", err) ||
	    copy_name(config->socket_group, sizeof(config->socket_group), group, "group", err))
		return -1;
	config->has_mac = mac;
	if (mac && parse_mac(mac, config->mac, err))
		return -1;
	return set_network(config, network, ipv4, ipv6, allow, publish, err);
}

/**
 * config_to_json() - the inverse of config_from_json()
 * @config: the configuration
 *
 * Return: the object, or NULL if there is no memory.
 */
json_t *config_to_json(const struct port_config *config)
{
	char mac[MAC_TEXT];
	json_t *json;

	mac_format(config->mac, mac);
	json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s}",
			 "name", config->name, "mac", mac,
			 "queues", (json_int_t)config->queues,
			 "mtu", (json_int_t)config->mtu,
			 "window_size", (json_int_t)config->window_size,
			 "mode", config->direct ? "direct" : "window",
			 "bridge", config->bridge,
			 "socket_user", config->socket_user,
			 "socket_group", config->socket_group);
	if (json && config->rate_in)
		json_object_set_new(json, "rate_in", json_integer(config->rate_in));
	if (json && config->rate_out)
		json_object_set_new(json, "rate_out", json_integer(config->rate_out));
	if (json && config->allow)
		json_object_set_new(json, "allow", allow_to_json(config));
	if (json && config->network[0]) {
		json_object_set_new(json, "network", json_string(config->network));
		set_address(json, "ipv4", &config->address[FAMILY_IPV4]);
		set_address(json, "ipv6", &config->address[FAMILY_IPV6]);
		if (config->publish_count)
			json_object_set_new(json, "publish", publish_to_json(config));
	}
	if (json && config->direct) {
		json_object_set_new(json, "memory", json_integer(config->memory));
		json_object_set_new(json, "memory_dir", json_string(config->memory_dir));
		json_object_set_new(json, "machine", json_string(config->machine));
	}
	return json;
}
