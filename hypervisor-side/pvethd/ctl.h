/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pvethctl: what its files share
 */
#ifndef _PVETHCTL_H
#define _PVETHCTL_H

#include <jansson.h>

/* print.c APIs: each prints what pvethd answered. */
void print_json(json_t *json);
void print_value(const json_t *json);
void print_added(json_t *port);
void print_deleted(json_t *result);
void print_list(json_t *ports);
void print_port(json_t *port);
void print_ports(json_t *ports);
void print_network(json_t *network);
void print_network_deleted(json_t *result);
void print_network_list(json_t *networks);
void print_networks(json_t *networks);

/* top.c APIs: */
void print_top(json_t *ports, json_t *before, double seconds);

#endif /* _PVETHCTL_H */
