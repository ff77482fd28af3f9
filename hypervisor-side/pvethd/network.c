// SPDX-License-Identifier: GPL-2.0
/*
 * Networks: whose addresses ports have
 *
 * A network has a prefix of either address family, or both. The first address is the
 * host's, and each port has one of the others: lease.c
 */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "network.h"

/* IPv4 prefixes are no longer than that of a link between two. */
#define MIN_IPV4_LENGTH		8
#define MAX_IPV4_LENGTH		31
/* Router advertisements are of no larger ones (RFC 4861, 4862, and dnsmasq). */
#define MIN_IPV6_LENGTH		64
#define MAX_IPV6_LENGTH		126

#define MAX_EXCLUDED		256

/* RFC 1035 */
#define MAX_LABEL		63

static TAILQ_HEAD(, network) networks = TAILQ_HEAD_INITIALIZER(networks);

static const int families[FAMILIES] = { AF_INET, AF_INET6 };

const char * const family_keys[FAMILIES] = { "ipv4", "ipv6" };

/* What is no network's of ours: RFC 6890, and the blocks that it lists */
static const char * const not_ours[] = {
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
	"::/8", "fe80::/10", "ff00::/8",
};

static struct network *find(const char *name)
{
	struct network *network;

	TAILQ_FOREACH(network, &networks, entry)
		if (!strcmp(network->name, name))
			return network;
	return NULL;
}

/**
 * network_find() - look up a network
 * @name: its name
 * @err: receives that there is none
 *
 * Return: the network, or NULL.
 */
struct network *network_find(const char *name, struct error *err)
{
	struct network *network = find(name);

	if (!network)
		error_set(err, "there is no network '%.40s': 'pvethctl network add' makes one",
			  name);
	return network;
}

/**
 * network_has_bridge() - is this the name of a network's bridge?
 * @name: the name
 */
bool network_has_bridge(const char *name)
{
	const struct network *network = find(name);

	return network && network->bridged;
}

/**
 * network_next() - walk through all networks
 * @network: the one before, or NULL
 *
 * Return: the first one, or the next one, or NULL.
 */
const struct network *network_next(const struct network *network)
{
	return network ? TAILQ_NEXT(network, entry) : TAILQ_FIRST(&networks);
}

/* Those of a kind that guests cannot have, and those of other networks */
static int check_prefix(const struct prefix *prefix, struct error *err)
{
	bool ipv4 = prefix->address.family == AF_INET;
	unsigned int min = ipv4 ? MIN_IPV4_LENGTH : MIN_IPV6_LENGTH;
	unsigned int max = ipv4 ? MAX_IPV4_LENGTH : MAX_IPV6_LENGTH;
	char text[PREFIX_TEXT], other[PREFIX_TEXT];
	struct network *network;
	struct prefix reserved;
	size_t i;

	prefix_format(prefix, text);
	if (prefix->length < min || prefix->length > max)
		return error_set(err, "the network %s is too %s: its length must be from %u to %u",
				 text, prefix->length < min ? "large" : "small", min, max);
	for (i = 0; i < COUNT(not_ours); i++) {
		if (prefix_parse(not_ours[i], prefix->address.family, &reserved, err))
			continue;
		if (prefixes_overlap(prefix, &reserved))
			return error_set(err, "the network %s has addresses of %s, which are no guest's: take a part of 10.0.0.0/8 or fd00::/8, for instance",
					 text, not_ours[i]);
	}
	TAILQ_FOREACH(network, &networks, entry) {
		for (i = 0; i < FAMILIES; i++) {
			if (!prefixes_overlap(prefix, &network->pools[i].prefix))
				continue;
			prefix_format(&network->pools[i].prefix, other);
			return error_set(err, "the network %s overlaps with %s, which is network %s's",
					 text, other, network->name);
		}
	}
	return 0;
}

/* The host's address and, where there are more than two, those that mean the network
 * itself: its first, and for IPv4 broadcasts to it, its last (RFC 1122, 3021, 4291).
 */
static void take_reserved(struct pool *pool, struct address *host)
{
	struct address last = prefix_last(&pool->prefix);

	*host = pool->prefix.address;
	if (pool->free > 2) {
		pool_take(pool, host, host);
		if (host->family == AF_INET)
			pool_take(pool, &last, &last);
		host->number++;
	}
	pool_take(pool, host, host);
}

static int exclude(struct network *network, const char *text, struct error *err)
{
	struct address first, last;
	struct pool *pool;
	unsigned int i;

	if (range_parse(text, &first, &last, err))
		return -1;
	for (i = 0; i < FAMILIES; i++) {
		pool = &network->pools[i];
		if (families[i] == first.family && network_has(network, i) &&
		    pool_has(pool, &first) && pool_has(pool, &last)) {
			pool_take(pool, &first, &last);
			return 0;
		}
	}
	return error_set(err, "%s is not within network %s", text, network->name);
}

static int exclude_all(struct network *network, json_t *ranges, struct error *err)
{
	json_t *range;
	size_t i;

	if (!ranges)
		return 0;
	if (!json_is_array(ranges) || json_array_size(ranges) > MAX_EXCLUDED)
		return error_set(err, "what is excluded must be a list of at most %d ranges",
				 MAX_EXCLUDED);
	json_array_foreach(ranges, i, range) {
		if (!json_is_string(range))
			return error_set(err, "what is excluded must be a list of strings");
		if (exclude(network, json_string_value(range), err))
			return -1;
		json_array_append(network->excluded, range);
	}
	return 0;
}

/* Names of hosts: RFC 952, 1123 */
static int check_domain(const char *domain, struct error *err)
{
	const char *p, *end;

	if (strlen(domain) > MAX_DOMAIN)
		return error_set(err, "the domain '%.40s...' is longer than %d characters", domain,
				 MAX_DOMAIN);
	for (p = domain;; p = end + 1) {
		end = p + strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
		if (end == p || end - p > MAX_LABEL || *p == '-' || end[-1] == '-' ||
		    (*end && *end != '.'))
			return error_set(err, "'%s' is no domain: it has labels of letters, digits and '-' with dots between them, as in cloud.example.net",
					 domain);
		if (!*end)
			return 0;
	}
}

static void network_free(struct network *network)
{
	unsigned int i;

	for (i = 0; i < FAMILIES; i++)
		pool_uninit(&network->pools[i]);
	json_decref(network->excluded);
	free(network);
}

static int set_prefixes(struct network *network, const char * const *texts,
			struct error *err)
{
	struct prefix prefix;
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (!texts[i])
			continue;
		if (prefix_parse(texts[i], families[i], &prefix, err) ||
		    check_prefix(&prefix, err))
			return -1;
		pool_init(&network->pools[i], &prefix);
		take_reserved(&network->pools[i], &network->host[i]);
	}
	return 0;
}

static int check_room(const struct network *network, struct error *err)
{
	unsigned int i;

	for (i = 0; i < FAMILIES; i++)
		if (network_has(network, i) && !network->pools[i].free)
			return error_set(err, "network %s has no %s address for a port: too many are excluded",
					 network->name, family_name(families[i]));
	return 0;
}

static int set_uplink(struct network *network, const char *uplink, const int *nat,
		      struct error *err)
{
	static const char * const options[FAMILIES] = { "--nat", "--nat66" };
	unsigned int i;

	if (*uplink && parse_name("uplink", uplink, err))
		return -1;
	strcpy(network->uplink, uplink);
	for (i = 0; i < FAMILIES; i++) {
		network->nat[i] = nat[i];
		if (nat[i] && !*uplink)
			return error_set(err, "%s is done on the way out: --uplink INTERFACE says where that is",
					 options[i]);
		if (nat[i] && !network_has(network, i))
			return error_set(err, "network %s has no %s addresses, and no use for %s",
					 network->name, family_name(families[i]), options[i]);
	}
	return 0;
}

static int set_mode(struct network *network, const char *mode, bool isolated,
		    struct error *err)
{
	network->bridged = !strcmp(mode, "bridged");
	network->isolated = isolated;
	if (!network->bridged && strcmp(mode, "routed"))
		return error_set(err, "'%s' is no mode of a network: use routed or bridged", mode);
	if (network->bridged && port_find(network->name))
		return error_set(err, "the network's bridge is to have its name, and there is a port %s",
				 network->name);
	if (isolated && !network->bridged)
		return error_set(err, "guests of a routed network reach each other through the host only: --isolated is for --mode bridged");
	return 0;
}

static struct network *network_from_json(json_t *json, struct error *err)
{
	const char *name, *texts[FAMILIES] = {}, *domain = "", *uplink = "", *mode = "routed";
	int nat[FAMILIES] = {}, isolated = 0;
	json_t *excluded = NULL;
	struct network *network;
	json_error_t jerr;

	if (json_unpack_ex(json, &jerr, JSON_STRICT,
			   "{s:s, s?s, s?s, s?o, s?s, s?s, s?b, s?b, s?s, s?b}", "name", &name,
			   family_keys[FAMILY_IPV4], &texts[FAMILY_IPV4],
			   family_keys[FAMILY_IPV6], &texts[FAMILY_IPV6], "exclude", &excluded,
			   "dns_domain", &domain, "uplink", &uplink,
			   "nat", &nat[FAMILY_IPV4], "nat66", &nat[FAMILY_IPV6],
			   "mode", &mode, "isolated", &isolated)) {
		error_set(err, "not a network's configuration: %s", jerr.text);
		return NULL;
	}
	if (parse_name("network", name, err))
		return NULL;
	if (find(name)) {
		error_set(err, "there is a network %s already", name);
		return NULL;
	}
	if (!texts[FAMILY_IPV4] && !texts[FAMILY_IPV6]) {
		error_set(err, "network %s needs addresses: --ipv4 PREFIX, --ipv6 PREFIX, or both",
			  name);
		return NULL;
	}
	if (*domain && check_domain(domain, err))
		return NULL;
	network = calloc(1, sizeof(*network));
	if (!network) {
		error_set(err, "out of memory");
		return NULL;
	}
	strcpy(network->name, name);
	strcpy(network->domain, domain);
	network->excluded = json_array();
	if (set_mode(network, mode, isolated, err) ||
	    set_prefixes(network, texts, err) || set_uplink(network, uplink, nat, err) ||
	    exclude_all(network, excluded, err) ||
	    check_room(network, err)) {
		network_free(network);
		return NULL;
	}
	return network;
}

static json_t *config_json(const struct network *network)
{
	json_t *json = json_pack("{s:s, s:s, s:O}", "name", network->name,
				 "mode", network->bridged ? "bridged" : "routed",
				 "exclude", network->excluded);
	char text[PREFIX_TEXT];
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (!network_has(network, i))
			continue;
		prefix_format(&network->pools[i].prefix, text);
		json_object_set_new(json, family_keys[i], json_string(text));
	}
	if (network->bridged)
		json_object_set_new(json, "isolated", json_boolean(network->isolated));
	if (network->domain[0])
		json_object_set_new(json, "dns_domain", json_string(network->domain));
	if (network->uplink[0]) {
		json_object_set_new(json, "uplink", json_string(network->uplink));
		json_object_set_new(json, "nat", json_boolean(network->nat[FAMILY_IPV4]));
		json_object_set_new(json, "nat66", json_boolean(network->nat[FAMILY_IPV6]));
	}
	return json;
}

/* In the order of names, and of numbers in them */
static void insert(struct network *network)
{
	struct network *next;

	TAILQ_FOREACH(next, &networks, entry) {
		if (strverscmp(next->name, network->name) > 0) {
			TAILQ_INSERT_BEFORE(next, network, entry);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&networks, network, entry);
}

/* In the host's network */
static int open_network(const struct network *network, struct error *err)
{
	struct link_info bridge;

	if (route_open(network, err))
		return -1;
	return network->bridged ? bridge_open(network, &bridge, err) : 0;
}

static void close_network(const struct network *network)
{
	if (network->bridged)
		bridge_close(network);
	route_close(network);
}

/**
 * network_port() - have a port in its network
 * @port: the port, whose interface is there
 * @err: receives what is wrong
 *
 * Return: 0, also if it is in no network, or a negative value.
 */
int network_port(const struct port *port, struct error *err)
{
	const struct network *network;

	if (!port->config.network[0])
		return 0;
	network = network_find(port->config.network, err);
	if (!network || (network->bridged && bridge_port(port, network, err)))
		return -1;
	return route_port(port, network, err);
}

static void set_problem(struct network *network, const struct error *err)
{
	log_error("network %s: %s", network->name, err->text);
	snprintf(network->problem, sizeof(network->problem), "%s", err->text);
}

/* Its bridge may be gone, or up again, or have another MTU, of which guests are told. Most
 * of what is heard of it is of ports that come and go.
 */
static void refresh(struct network *network)
{
	struct network_bridge bridge = {};
	struct link_info link;
	struct port *port;
	struct error err;
	int ret;

	if (!network->bridged)
		return;
	ret = route_open(network, &err);
	if (!ret)
		ret = bridge_open(network, &link, &err);
	if (!ret)
		bridge = (struct network_bridge){ link.ifindex, link.mtu, link.up };
	if (!ret && bridge.ifindex == network->bridge.ifindex && bridge.up == network->bridge.up &&
	    bridge.mtu == network->bridge.mtu)
		return;
	network->bridge = bridge;
	for (port = port_of_network(network->name, NULL); port && !ret;
	     port = port_of_network(network->name, port))
		if (port->ifindex)
			ret = network_port(port, &err);
	network->problem[0] = '\0';
	if (ret) {
		set_problem(network, &err);
		network->bridge.ifindex = 0;
	}
	dnsmasq_changed();
}

/**
 * networks_refresh() - any interface may have changed
 */
void networks_refresh(void)
{
	struct network *network;

	TAILQ_FOREACH(network, &networks, entry)
		refresh(network);
}

/**
 * networks_interface_changed() - an interface has changed
 * @ifindex: the interface
 * @name: its name, which a network's bridge may have had
 */
void networks_interface_changed(unsigned int ifindex, const char *name)
{
	struct network *network;

	TAILQ_FOREACH(network, &networks, entry)
		if (network->bridge.ifindex == ifindex || !strcmp(network->name, name))
			refresh(network);
}

/* The bridge, and what it is named after */
static int check_bridge(const struct network *network, struct error *err)
{
	struct link_info link;
	struct error ignored;

	if (!network->bridged || link_get(network->name, &link, &ignored))
		return 0;
	return error_set(err, "there is an interface %s already, and the network's bridge is to have its name: choose another one",
			 network->name);
}

/**
 * network_add() - make a network
 * @json: an object with "name", "ipv4" or "ipv6" or both, and other options
 * @err: receives what is wrong
 *
 * Return: a description of it, or NULL, and then all is as before.
 */
json_t *network_add(json_t *json, struct error *err)
{
	struct network *network = network_from_json(json, err);
	struct link_info link;
	struct error ignored;

	if (!network)
		return NULL;
	if (state_exists(STATE_NETWORK, network->name)) {
		error_set(err, "there is a network %s already, which cannot be used (the log says why): its file has to be mended or removed, with its ports",
			  network->name);
		goto err_free;
	}
	if (dnsmasq_check(err) || check_bridge(network, err) || route_check(network, err))
		goto err_free;
	if (network->uplink[0] && link_get(network->uplink, &link, err)) {
		error_prefix(err, "the uplink %s", network->uplink);
		goto err_free;
	}
	if (state_save(STATE_NETWORK, network->name, config_json(network), err))
		goto err_state;
	if (route_open(network, err))
		goto err_state;
	if (network->bridged && bridge_open(network, &link, err))
		goto err_open;
	insert(network);
	if (uplinks_update(err))
		goto err_insert;
	dnsmasq_changed();
	log_info("network %s: added", network->name);
	return network_to_json(network);

err_insert:
	TAILQ_REMOVE(&networks, network, entry);
err_open:
	close_network(network);
err_state:
	state_remove(STATE_NETWORK, network->name, &ignored);
err_free:
	network_free(network);
	return NULL;
}

/**
 * network_check() - check what could be given to network_add(), with those before it
 * @json: the same
 * @err: receives what is wrong
 *
 * The network is there afterwards, but neither in the kernel nor in a state file.
 *
 * Return: 0, or -1.
 */
int network_check(json_t *json, struct error *err)
{
	struct network *network = network_from_json(json, err);

	if (!network)
		return -1;
	insert(network);
	return 0;
}

/**
 * network_del() - give a network up
 * @name: its name
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int network_del(const char *name, struct error *err)
{
	struct network *network = network_find(name, err);
	struct error ignored;
	struct port *port;

	if (!network)
		return -1;
	port = port_of_network(name, NULL);
	if (port)
		return error_set(err, "network %s has port %s: 'pvethctl del %s' first", name,
				 port->config.name, port->config.name);
	if (network->unserved)
		return error_set(err, "network %s has ports that are not served, as the log said when pvethd started: 'pvethctl del' them, and start pvethd again",
				 name);
	/* What is left if pvethd ends now is made again by the next one. */
	TAILQ_REMOVE(&networks, network, entry);
	if (uplinks_update(err))
		goto err_insert;
	close_network(network);
	if (state_remove(STATE_NETWORK, name, err))
		goto err_open;
	dnsmasq_changed();
	log_info("network %s: deleted", network->name);
	network_free(network);
	return 0;

err_open:
	if (open_network(network, &ignored))
		set_problem(network, &ignored);
err_insert:
	insert(network);
	uplinks_update_again();
	return -1;
}

/* JSON has no numbers as large as IPv6 needs: the largest one means at least as many. */
static json_t *number_to_json(__uint128_t number)
{
	return json_integer(number > INT64_MAX ? INT64_MAX : (int64_t)number);
}

/* What keeps its guests from addresses, names or the outside, or NULL; with @err as room */
static const char *find_problem(const struct network *network, struct error *err)
{
	struct link_info link;

	if (*network->problem)
		return network->problem;
	if (network->uplink[0] && uplinks_problem())
		return uplinks_problem();
	if (network->uplink[0] && link_get(network->uplink, &link, err)) {
		error_prefix(err, "the uplink %s", network->uplink);
		return err->text;
	}
	return dnsmasq_problem();
}

/**
 * network_to_json() - describe a network
 * @network: the network
 *
 * Return: an object, or NULL if there is no memory.
 */
json_t *network_to_json(const struct network *network)
{
	static const char * const host_keys[FAMILIES] = { "host_ipv4", "host_ipv6" };
	static const char * const free_keys[FAMILIES] = { "free_ipv4", "free_ipv6" };
	json_t *json = config_json(network), *ports = json_array();
	char text[ADDRESS_TEXT];
	const char *problem;
	struct port *port;
	struct error err;
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (!network_has(network, i))
			continue;
		address_format(&network->host[i], text);
		json_object_set_new(json, host_keys[i], json_string(text));
		json_object_set_new(json, free_keys[i],
				    number_to_json(network->pools[i].free));
	}
	for (port = port_of_network(network->name, NULL); port;
	     port = port_of_network(network->name, port))
		json_array_append_new(ports, config_to_json(&port->config));
	json_object_set_new(json, "ports", ports);
	problem = find_problem(network, &err);
	json_object_set_new(json, "problem", problem ? json_string(problem) : json_null());
	return json;
}

/**
 * networks_to_json() - describe all networks
 *
 * Return: an array, or NULL if there is no memory.
 */
json_t *networks_to_json(void)
{
	json_t *array = json_array();
	struct network *network;

	TAILQ_FOREACH(network, &networks, entry)
		json_array_append_new(array, network_to_json(network));
	return array;
}

static int network_load(json_t *json, struct error *err)
{
	struct network *network = network_from_json(json, err);

	if (!network)
		return -1;
	insert(network);
	if (open_network(network, err))
		set_problem(network, err);
	return 0;
}

/* Its ports find that there is no such network. */
static void network_lost(const json_t *json)
{
	(void)json;
}

/**
 * networks_open() - take up the networks that state files tell of
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int networks_open(struct error *err)
{
	return state_load(STATE_NETWORK, network_load, network_lost, err);
}

/**
 * networks_close() - forget all networks; there are no ports
 */
void networks_close(void)
{
	struct network *network;

	while ((network = TAILQ_FIRST(&networks))) {
		TAILQ_REMOVE(&networks, network, entry);
		network_free(network);
	}
}
