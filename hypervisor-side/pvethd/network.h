/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Networks: whose addresses ports have
 */
#ifndef _PVETHD_NETWORK_H
#define _PVETHD_NETWORK_H

#include "pool.h"
#include "pvethd.h"

/* RFC 1035, without the dot at its end */
#define MAX_DOMAIN	253

/**
 * struct network_bridge - the bridge of a network, as it was last seen
 * @ifindex: its interface, or 0
 * @mtu: its MTU
 * @up: it is up
 */
struct network_bridge {
	unsigned int ifindex;
	unsigned int mtu;
	bool up;
};

/**
 * struct network - a network
 * @entry: in the list of networks
 * @name: its name
 * @domain: that its ports' names are in, or empty
 * @bridged: its ports are in a bridge, which has its name
 * @isolated: and do not reach each other there
 * @bridge: that bridge
 * @problem: what is wrong with that, or with its routes, or empty
 * @uplink: the interface that is its way out, or empty
 * @nat: addresses are translated there, by enum family_index
 * @excluded: ranges of addresses that no port gets, as an array of strings
 * @pools: its addresses, by enum family_index; without a family if it has none
 * @host: those of the host
 * @unserved: some of its addresses are those of ports that are not served
 */
struct network {
	TAILQ_ENTRY(network) entry;
	char name[IFNAMSIZ];
	char domain[MAX_DOMAIN + 1];
	bool bridged;
	bool isolated;
	struct network_bridge bridge;
	char problem[ERROR_TEXT];
	char uplink[IFNAMSIZ];
	bool nat[FAMILIES];
	json_t *excluded;
	struct pool pools[FAMILIES];
	struct address host[FAMILIES];
	bool unserved;
};

/* Keys in JSON */
extern const char * const family_keys[FAMILIES];

/* Does it have addresses of this family? */
static inline bool network_has(const struct network *network, enum family_index i)
{
	return network->pools[i].prefix.address.family;
}

struct network *network_find(const char *name, struct error *err);
bool network_has_bridge(const char *name);
const struct network *network_next(const struct network *network);
json_t *network_add(json_t *json, struct error *err);
int network_check(json_t *json, struct error *err);
int network_del(const char *name, struct error *err);
int network_port(const struct port *port, struct error *err);
void networks_refresh(void);
void networks_interface_changed(unsigned int ifindex, const char *name);
json_t *network_to_json(const struct network *network);
json_t *networks_to_json(void);
int networks_open(struct error *err);
void networks_close(void);

/* lease.c APIs: */
int lease_take(struct port_config *config, struct error *err);
int lease_take_again(const struct port_config *config, struct error *err);
void lease_release(const struct port_config *config);
void lease_keep(const struct port_config *config);
void lease_lost(const json_t *json);
void network_mac(const struct network *network, uint8_t *mac);

/* dnsmasq.c APIs: */
int dnsmasq_check(struct error *err);
int dnsmasq_open(struct event_base *event_base, const char *run_dir, bool to_stderr,
		 struct error *err);
void dnsmasq_close(void);
void dnsmasq_changed(void);
void dnsmasq_release(const struct port_config *config);
const char *dnsmasq_problem(void);

/* uplink.c APIs: */
int uplinks_update(struct error *err);
void uplinks_update_again(void);
const char *uplinks_problem(void);
void uplinks_deleted(const char *table);
void uplink_changed(const char *name);
int uplink_check_publish(const struct port_config *config, struct error *err);

/* route.c APIs: */
int route_check(const struct network *network, struct error *err);
int route_open(const struct network *network, struct error *err);
void route_close(const struct network *network);
void route_port_gone(const struct port *port);
int route_port(const struct port *port, const struct network *network, struct error *err);

/* bridge.c APIs: */
int bridge_open(const struct network *network, struct link_info *bridge, struct error *err);
void bridge_close(const struct network *network);
int bridge_port(const struct port *port, const struct network *network, struct error *err);

#endif /* _PVETHD_NETWORK_H */
