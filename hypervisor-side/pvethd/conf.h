/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pvethd.conf: networks and ports that are to be there from the start
 */
#ifndef _PVETHD_CONF_H
#define _PVETHD_CONF_H

#include <limits.h>
#include <stdbool.h>

#include <event2/event.h>
#include <jansson.h>

#include "error.h"

/**
 * struct conf - what the file says
 * @run_dir: directory of sockets, or empty
 * @state_dir: directory of state files, or empty
 * @networks: what network_add() takes, as an array
 * @ports: what config_from_json() takes, as an array
 */
struct conf {
	char run_dir[PATH_MAX];
	char state_dir[PATH_MAX];
	json_t *networks;
	json_t *ports;
};

int conf_read(const char *path, struct conf *conf, struct error *err);
int conf_check(const struct conf *conf, struct event_base *event_base, struct error *err);
bool conf_apply(struct conf *conf);
void conf_free(struct conf *conf);

#endif /* _PVETHD_CONF_H */
