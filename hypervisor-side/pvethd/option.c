// SPDX-License-Identifier: GPL-2.0
/*
 * What users say of ports and networks, into JSON: what is no value at all is told here,
 * and what cannot be by whoever has the port or the network
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/pveth.h>

#include "address.h"
#include "option.h"

#define OF_PORTS	(1U << OBJECT_PORT)
#define OF_NETWORKS	(1U << OBJECT_NETWORK)

const char * const object_names[OBJECTS] = { "port", "network" };

static int read_text(enum object object, const char *text, json_t **value, struct error *err)
{
	(void)object;
	(void)err;
	*value = json_string(text);
	return 0;
}

static int read_network(enum object object, const char *text, json_t **value, struct error *err)
{
	if (parse_name("network", text, err))
		return -1;
	return read_text(object, text, value, err);
}

static int read_uplink(enum object object, const char *text, json_t **value, struct error *err)
{
	if (parse_name("uplink", text, err))
		return -1;
	return read_text(object, text, value, err);
}

/* An address of a port, or a prefix of a network, as they are shown */
static int read_ip(enum object object, int family, const char *text, json_t **value,
		   struct error *err)
{
	char shown[PREFIX_TEXT];
	struct address address;
	struct prefix prefix;

	if (object == OBJECT_PORT) {
		if (address_parse(text, family, &address, err))
			return -1;
		address_format(&address, shown);
	} else {
		if (prefix_parse(text, family, &prefix, err))
			return -1;
		prefix_format(&prefix, shown);
	}
	return read_text(object, shown, value, err);
}

static int read_ipv4(enum object object, const char *text, json_t **value, struct error *err)
{
	return read_ip(object, AF_INET, text, value, err);
}

static int read_ipv6(enum object object, const char *text, json_t **value, struct error *err)
{
	return read_ip(object, AF_INET6, text, value, err);
}

static int read_range(enum object object, const char *text, json_t **value, struct error *err)
{
	struct address first, last;

	if (range_parse(text, &first, &last, err))
		return -1;
	return read_text(object, text, value, err);
}

static int read_publish(enum object object, const char *text, json_t **value, struct error *err)
{
	uint16_t host, guest;
	bool udp;

	if (parse_publish(text, &host, &guest, &udp, err))
		return -1;
	return read_text(object, text, value, err);
}

static int read_mac(enum object object, const char *text, json_t **value, struct error *err)
{
	uint8_t mac[6];

	if (parse_mac(text, mac, err))
		return -1;
	return read_text(object, text, value, err);
}

static int read_number(const char *text, unsigned int min, unsigned int max, json_t **value,
		       struct error *err)
{
	unsigned int number;

	if (parse_number(text, min, max, &number, err))
		return -1;
	*value = json_integer(number);
	return 0;
}

static int read_queues(enum object object, const char *text, json_t **value, struct error *err)
{
	(void)object;
	return read_number(text, 1, PVETH_MAX_QUEUE_PAIRS, value, err);
}

static int read_mtu(enum object object, const char *text, json_t **value, struct error *err)
{
	(void)object;
	return read_number(text, PVETH_MIN_MTU, PVETH_MAX_MTU, value, err);
}

static int read_size(enum object object, const char *text, json_t **value, struct error *err)
{
	uint64_t bytes;

	(void)object;
	if (parse_size(text, &bytes, err))
		return -1;
	*value = json_integer(bytes);
	return 0;
}

static int read_rate(enum object object, const char *text, json_t **value, struct error *err)
{
	uint64_t bits;

	(void)object;
	if (parse_rate(text, &bits, err))
		return -1;
	*value = json_integer(bits);
	return 0;
}

const struct option_info option_infos[] = {
	{ "ipv4", OF_PORTS | OF_NETWORKS, .read = read_ipv4 },
	{ "ipv6", OF_PORTS | OF_NETWORKS, .read = read_ipv6 },
	{ "exclude", OF_NETWORKS, .is_list = true, .read = read_range },
	{ "dns-domain", OF_NETWORKS, .read = read_text },
	{ "isolated", OF_NETWORKS, .is_flag = true },
	{ "uplink", OF_NETWORKS, .read = read_uplink },
	{ "nat", OF_NETWORKS, .is_flag = true },
	{ "nat66", OF_NETWORKS, .is_flag = true },
	{ "network", OF_PORTS, .read = read_network },
	{ "allow", OF_PORTS, .is_list = true, .read = read_text },
	{ "publish", OF_PORTS, .is_list = true, .read = read_publish },
	{ "mac", OF_PORTS, .read = read_mac },
	{ "rate-in", OF_PORTS, .read = read_rate },
	{ "rate-out", OF_PORTS, .read = read_rate },
	{ "queues", OF_PORTS, .read = read_queues },
	{ "window-size", OF_PORTS, .read = read_size },
	{ "mtu", OF_PORTS, .read = read_mtu },
	{ "mode", OF_PORTS | OF_NETWORKS, .read = read_text },
	{ "memory", OF_PORTS, .read = read_size },
	{ "memory-dir", OF_PORTS, .read = read_text },
	{ "machine", OF_PORTS, .read = read_text },
	{ "bridge", OF_PORTS, .read = read_text },
	{ "socket-user", OF_PORTS, .read = read_text },
	{ "socket-group", OF_PORTS, .read = read_text },
	{},
};

static int read_flag(const char *text, json_t **value, struct error *err)
{
	if (strcmp(text, "yes") && strcmp(text, "no"))
		return error_set(err, "'%s' is neither yes nor no", text);
	*value = json_boolean(*text == 'y');
	return 0;
}

/* As requests and state files have it */
static void name_of_key(const struct option_info *option, char *key, size_t len)
{
	snprintf(key, len, "%s", option->name);
	for (; *key; key++)
		if (*key == '-')
			*key = '_';
}

/**
 * option_set() - put an option into a request to add something
 * @request: the request
 * @object: what is to be added; it has such an option
 * @option: the option
 * @text: its value
 * @err: receives what is wrong with it
 *
 * Return: 0, or -1.
 */
int option_set(json_t *request, enum object object, const struct option_info *option,
	       const char *text, struct error *err)
{
	json_t *value, *array;
	char key[32];
	int ret;

	ret = option->is_flag ? read_flag(text, &value, err) :
				option->read(object, text, &value, err);
	if (ret)
		return ret;
	if (!value)
		return error_set(err, "it is not valid UTF-8");
	name_of_key(option, key, sizeof(key));
	if (!option->is_list)
		return json_object_set_new(request, key, value);
	array = json_object_get(request, key);
	if (!array) {
		array = json_array();
		json_object_set_new(request, key, array);
	}
	return json_array_append_new(array, value);
}
