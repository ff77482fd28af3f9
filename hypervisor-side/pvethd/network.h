/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Networks: whose addresses ports have
 */
#ifndef _PVETHD_NETWORK_H
#define _PVETHD_NETWORK_H

#include "pvethd.h"

struct network *network_find(const char *name, struct error *err);
json_t *network_add(json_t *json, struct error *err);
int network_del(const char *name, struct error *err);
bool network_prefix(const struct network *network, enum family_index i,
		    struct prefix *prefix, struct address *host);
const struct network *network_next(const struct network *network);
const char *network_name(const struct network *network);
const char *network_domain(const struct network *network);
const char *network_uplink(const struct network *network);
bool network_has_nat(const struct network *network, enum family_index i);
json_t *network_to_json(const struct network *network);
json_t *networks_to_json(void);
int networks_open(struct error *err);
void networks_close(void);

int network_join(struct port_config *config, struct error *err);
int network_join_again(const struct port_config *config, struct error *err);
void network_leave(const struct port_config *config);
void network_keep(const struct port_config *config);

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
void uplinks_deleted(const char *table);
void uplink_changed(const char *name);
int uplink_check_publish(const struct port_config *config, struct error *err);

/* route.c APIs: */
int route_port(const struct port *port, struct error *err);

#endif /* _PVETHD_NETWORK_H */
