/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes of dnsmasq, each of which gives guests something
 */
#ifndef _PVETHD_SERVICE_H
#define _PVETHD_SERVICE_H

#include "pvethd.h"

/**
 * struct service - a process of dnsmasq
 * @name: of its files
 * @gives: what guests have from it
 * @prepare: called before it starts, or NULL
 * @pid: the process, or 0
 * @pidfd: the process
 * @ended: it has ended
 * @stops: it was told to end
 * @starts_anew: it is to start again then
 */
struct service {
	const char *name, *gives;
	int (*prepare)(struct error *err);
	pid_t pid;
	int pidfd;
	struct event *ended;
	bool stops;
	bool starts_anew;
};

void services_open(struct event_base *event_base, const char *path, bool to_stderr);
const char *service_path(const char *name, const char *suffix);
void service_adopt(struct service *service);
bool service_is_stale(const struct service *service);
void service_update(struct service *service, bool restart, bool reload);
void service_stop(struct service *service);
void service_forget(struct service *service);

/* dnsmasq.c APIs: */

/* A service does not run, for this reason. */
void dnsmasq_failed(const char *text);

#endif /* _PVETHD_SERVICE_H */
