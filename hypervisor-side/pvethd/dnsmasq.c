// SPDX-License-Identifier: GPL-2.0
/*
 * What guests of networks are told, by dnsmasq: addresses, routers and names
 *
 * There are two processes of dnsmasq. One gives addresses, by DHCP, DHCPv6 and router
 * advertisements, on whatever interface has an address of a network; it need not be told
 * when there are more of them. The other answers for names, on the host's addresses of
 * networks. One that does both would have to know the interfaces by name, and to start
 * anew with each port: with addresses instead, it advertises no router.
 *
 * They outlive pvethd, and the next one goes on with them. All that they are told is in
 * files in RUN_DIR/dnsmasq, which are made of networks, their bridges, and ports.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"
#include "network.h"
#include "service.h"
#include "text.h"

#define PROGRAM		"dnsmasq"

/* Guests ask again after half of it. They keep their addresses as long as there is the
 * port, so that it only says how soon they notice that something else has changed.
 */
#define LEASE_TIME	"1h"

/* dnsmasq's own is 1000, and not every address of a network is a port's. */
#define MAX_LEASES	(1U << 20)

/* Before the name of a network: dnsmasq has tags of its own, and those of interfaces */
#define TAG		"network/"

/* Ports may come by the hundred. */
static const struct timeval soon = { .tv_usec = 50000 };
/* After it failed */
static const struct timeval later = { .tv_sec = 5 };
static int prepare_dhcp(struct error *err);

static struct service dhcp = { .name = "dhcp", .gives = "addresses", .prepare = prepare_dhcp };
static struct service dns = { .name = "dns", .gives = "names" };

static struct event *apply_event;
static char dir[PATH_MAX];
/* Addresses whose leases are to be forgotten, as keys */
static json_t *released;
/* Leases may be of an earlier time. */
static bool leases_are_old;
static char problem[ERROR_TEXT], said[ERROR_TEXT];

/* What is in the files */

static void write_dhcp_network(FILE *file, const struct network *network)
{
	const char *name = network->name, *domain = network->domain;
	char first[ADDRESS_TEXT], host[ADDRESS_TEXT], mask[ADDRESS_TEXT];
	struct address number = { .family = AF_INET };
	const struct prefix *prefix;

	prefix = &network->pools[FAMILY_IPV4].prefix;
	if (address_format(&network->host[FAMILY_IPV4], host)) {
		address_format(&prefix->address, first);
		number.number = (uint32_t)(UINT32_MAX << (32 - prefix->length));
		address_format(&number, mask);
		fprintf(file, "dhcp-range=set:" TAG "%s,%s,static,%s," LEASE_TIME "\n"
			"dhcp-option=tag:" TAG "%s,option:dns-server,%s\n", name, first, mask, name,
			host);
		if (*domain)
			fprintf(file, "dhcp-option=tag:" TAG "%s,option:domain-name,%s\n", name,
				domain);
	}
	prefix = &network->pools[FAMILY_IPV6].prefix;
	if (address_format(&network->host[FAMILY_IPV6], host)) {
		address_format(&prefix->address, first);
		fprintf(file, "dhcp-range=set:" TAG "%s,%s,static,%s%u," LEASE_TIME "\n"
			"dhcp-option=tag:" TAG "%s,option6:dns-server,[%s]\n", name, first,
			network->bridged && !network->isolated ? "" : "off-link,",
			prefix->length, name, host);
		if (*domain)
			fprintf(file, "dhcp-option=tag:" TAG "%s,option6:domain-search,%s\n", name,
				domain);
	}
}

static void write_dhcp(FILE *file)
{
	const struct network *network;

	fprintf(file, "# Written by pvethd\n"
		"port=0\n"
		"bind-dynamic\n"
		"enable-ra\n"
		"dhcp-ignore-names\n"
		/* A guest's filter knows its MAC address, and lets it say what it likes here. */
		"dhcp-ignore-clid\n"
		"dhcp-lease-max=%u\n"
		"dhcp-hostsfile=%s\n"
		"dhcp-optsfile=%s\n"
		"dhcp-leasefile=%s\n",
		MAX_LEASES, service_path("hosts", ""), service_path("options", ""),
		service_path("leases", ""));
	for (network = network_next(NULL); network; network = network_next(network))
		write_dhcp_network(file, network);
}

static void write_dns(FILE *file)
{
	const struct network *network;
	char text[ADDRESS_TEXT];
	unsigned int i;

	fprintf(file, "# Written by pvethd\n"
		"bind-dynamic\n"
		"no-hosts\n"
		"domain-needed\n"
		"bogus-priv\n"
		"addn-hosts=%s\n", service_path("names", ""));
	for (network = network_next(NULL); network; network = network_next(network)) {
		for (i = 0; i < FAMILIES; i++)
			if (address_format(&network->host[i], text))
				fprintf(file, "listen-address=%s\n", text);
		if (network->domain[0])
			fprintf(file, "local=/%s/\n", network->domain);
	}
}

/* Each port of a network, one network after the other */
static void each_port(FILE *file, void (*write)(FILE *file, const struct network *network,
						const struct port *port))
{
	const struct network *network;
	const struct port *port;

	for (network = network_next(NULL); network; network = network_next(network))
		for (port = port_of_network(network->name, NULL); port;
		     port = port_of_network(network->name, port))
			write(file, network, port);
}

/* Not with a domain, nor what dnsmasq takes for another word there: "ignore", "infinite"
 * or a time
 */
static bool is_host_name(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return !strchr(name, '.') && strcasecmp(name, "ignore") && strcasecmp(name, "infinite") &&
	       !(digits && (!name[digits] || (strchr("smhdwSMHDW", name[digits]) &&
					      !name[digits + 1])));
}

static void write_host(FILE *file, const struct network *network, const struct port *port)
{
	const struct port_config *config = &port->config;
	char mac[MAC_TEXT], text[ADDRESS_TEXT];

	(void)network;
	mac_format(config->mac, mac);
	fputs(mac, file);
	if (address_format(&config->address[FAMILY_IPV4], text))
		fprintf(file, ",%s", text);
	if (address_format(&config->address[FAMILY_IPV6], text))
		fprintf(file, ",[%s]", text);
	if (is_host_name(config->name))
		fprintf(file, ",%s", config->name);
	fputc('\n', file);
}

static void write_hosts(FILE *file)
{
	each_port(file, write_host);
}

/* A request has the name of its interface as a tag. IPv6 has the MTU from there, with
 * the router's advertisement.
 *
 * A tag of the host's would be simpler, but having read it again, dnsmasq 2.90 frees what
 * it has linked to it meanwhile, and crashes.
 */
static void write_option(FILE *file, const struct network *network, const struct port *port)
{
	/* It is not known where there was no interface yet. */
	if (!network->bridged && port->mtu && port->config.address[FAMILY_IPV4].family)
		fprintf(file, "tag:%s,option:mtu,%u\n", port->config.name, port->mtu);
}

/* Those of bridges have come in there. */
static void write_options(FILE *file)
{
	const struct network *network;
	struct link_info bridge;
	struct error ignored;

	each_port(file, write_option);
	for (network = network_next(NULL); network; network = network_next(network))
		if (network->bridged && network_has(network, FAMILY_IPV4) &&
		    !link_get(network->name, &bridge, &ignored))
			fprintf(file, "tag:%s,option:mtu,%u\n", network->name, bridge.mtu);
}

static void write_name(FILE *file, const struct network *network, const struct port *port)
{
	const struct port_config *config = &port->config;
	char text[ADDRESS_TEXT];
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (!address_format(&config->address[i], text))
			continue;
		fprintf(file, "%s ", text);
		if (network->domain[0])
			fprintf(file, "%s.%s ", config->name, network->domain);
		fprintf(file, "%s\n", config->name);
	}
}

static void write_names(FILE *file)
{
	each_port(file, write_name);
}

static bool has_text(const char *path, const struct text *text)
{
	FILE *file = fopen(path, "re");
	char *known = malloc(text->length + 1);
	bool same;

	same = file && known && fread(known, 1, text->length + 1, file) == text->length &&
	       !memcmp(known, text->string, text->length);
	free(known);
	if (file)
		fclose(file);
	return same;
}

/* @changed stays as it is if the file is as it was. */
static int write_text(const char *name, const struct text *text, bool *changed,
		      struct error *err)
{
	const char *path = service_path(name, ""), *temporary = service_path(name, ".new");
	FILE *file;
	bool failed;

	if (has_text(path, text))
		return 0;
	*changed = true;
	file = fopen(temporary, "we");
	failed = !file || fwrite(text->string, 1, text->length, file) != text->length;
	if (file && fclose(file))
		failed = true;
	if (!failed && !rename(temporary, path))
		return 0;
	return error_set(err, "cannot write %s: %s", path, strerror(errno));
}

static int update_file(const char *name, void (*write)(FILE *file), bool *changed,
		       struct error *err)
{
	struct text text;
	int ret;

	if (text_begin(&text, err))
		return -1;
	write(text.file);
	if (text_end(&text, err))
		return -1;
	ret = write_text(name, &text, changed, err);
	free(text.string);
	return ret;
}

/* Leases: "EXPIRY MAC-OR-IAID ADDRESS NAME ID" in a line, or "duid ID" */

/* The lease's address is a port's, and was all the time. */
static bool lease_holds(const char *line)
{
	char id[32], text[ADDRESS_TEXT], name[IFNAMSIZ + 1];
	struct address address;
	struct error ignored;
	struct port *port;
	uint8_t mac[6];

	if (!strncmp(line, "duid ", 5))
		return true;
	if (sscanf(line, "%*s %31s %45s %16s", id, text, name) != 3 ||
	    address_parse(text, strchr(text, ':') ? AF_INET6 : AF_INET, &address, &ignored) ||
	    json_object_get(released, text))
		return false;
	port = port_with_address(&address);
	if (!port)
		return false;
	/* Those of IPv6 are of no MAC address, but have a name, if dnsmasq was told one. */
	if (address.family == AF_INET6)
		return !strcmp(name, "*") || !strcasecmp(name, port->config.name);
	return !parse_mac(id, mac, &ignored) && !memcmp(mac, port->config.mac, sizeof(mac));
}

/* Those that hold, if there is where to write them. Returns whether all do. */
static bool filter_leases(FILE *file)
{
	FILE *leases = fopen(service_path("leases", ""), "re");
	char *line = NULL;
	size_t size = 0;
	bool all = true;

	if (!leases)
		return true;
	while (getline(&line, &size, leases) > 0) {
		if (!lease_holds(line))
			all = false;
		else if (file)
			fputs(line, file);
	}
	free(line);
	fclose(leases);
	return all;
}

static void write_leases(FILE *file)
{
	filter_leases(file);
}

/* As it starts, it has no leases but those that hold. */
static int prepare_dhcp(struct error *err)
{
	bool ignored;

	if (update_file("leases", write_leases, &ignored, err))
		return -1;
	json_object_clear(released);
	return 0;
}

static void apply_after(const struct timeval *time)
{
	if (apply_event && !evtimer_pending(apply_event, NULL))
		evtimer_add(apply_event, time);
}

void dnsmasq_failed(const char *text)
{
	if (strcmp(said, text))
		log_error("%s", text);
	snprintf(said, sizeof(said), "%s", text);
	snprintf(problem, sizeof(problem), "%s", text);
	apply_after(&later);
}

/* What is not done yet: files were written, and processes not told. At first nobody
 * knows what an earlier pvethd has told them to read again.
 */
static bool dhcp_restart, dhcp_reload = true, dns_restart, dns_reload = true;

static int apply(struct error *err)
{
	if (leases_are_old && !filter_leases(NULL))
		dhcp_restart = true;
	leases_are_old = false;
	if (json_object_size(released))
		dhcp_restart = true;
	if (!network_next(NULL)) {
		service_stop(&dhcp);
		service_stop(&dns);
		return 0;
	}
	if (mkdir(dir, 0755) && errno != EEXIST)
		return error_set(err, "cannot make the directory %s: %s", dir, strerror(errno));
	if (update_file("dhcp.conf", write_dhcp, &dhcp_restart, err) ||
	    update_file("hosts", write_hosts, &dhcp_reload, err) ||
	    update_file("options", write_options, &dhcp_reload, err) ||
	    update_file("dns.conf", write_dns, &dns_restart, err) ||
	    update_file("names", write_names, &dns_reload, err))
		return -1;
	service_update(&dhcp, dhcp_restart, dhcp_reload);
	service_update(&dns, dns_restart, dns_reload);
	dhcp_restart = false;
	dhcp_reload = false;
	dns_restart = false;
	dns_reload = false;
	return 0;
}

static void apply_now(evutil_socket_t fd, short what, void *arg)
{
	struct error err;

	(void)fd;
	(void)what;
	(void)arg;
	problem[0] = '\0';
	if (apply(&err))
		dnsmasq_failed(err.text);
}

/**
 * dnsmasq_check() - can there be networks?
 * @err: receives that dnsmasq is missing
 *
 * Return: 0, or -1.
 */
int dnsmasq_check(struct error *err)
{
	const char *path = getenv("PATH");
	char *copy = strdup(path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
	char *part, *rest, file[PATH_MAX];
	bool found = false;

	if (!copy)
		return error_set(err, "out of memory");
	for (part = strtok_r(copy, ":", &rest); part && !found; part = strtok_r(NULL, ":", &rest)) {
		snprintf(file, sizeof(file), "%s/" PROGRAM, part);
		found = !access(file, X_OK);
	}
	free(copy);
	return found ? 0 : error_set(err, "networks need dnsmasq, which is not installed (Debian's package is dnsmasq-base)");
}

/**
 * dnsmasq_changed() - there are other networks, or other ports in them
 */
void dnsmasq_changed(void)
{
	said[0] = '\0';
	apply_after(&soon);
}

/**
 * dnsmasq_release() - the addresses of a port are its own no more
 * @config: the port
 *
 * Whoever has them next could not be given them while they are leased.
 */
void dnsmasq_release(const struct port_config *config)
{
	char text[ADDRESS_TEXT];
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (address_format(&config->address[i], text)) {
			json_object_set_new(released, text, json_true());
			dnsmasq_changed();
		}
	}
}

/**
 * dnsmasq_problem() - what keeps guests from being told
 *
 * Return: a text, or NULL if nothing does.
 */
const char *dnsmasq_problem(void)
{
	return *problem ? problem : NULL;
}

/**
 * dnsmasq_open() - go on with the processes that there are
 * @event_base: where events go
 * @run_dir: where files go
 * @to_stderr: what dnsmasq says goes to stderr
 * @err: receives what is wrong
 *
 * Called when networks and ports are there.
 *
 * Return: 0, or -1.
 */
int dnsmasq_open(struct event_base *event_base, const char *run_dir, bool to_stderr,
		 struct error *err)
{
	snprintf(dir, sizeof(dir), "%s/" PROGRAM, run_dir);
	services_open(event_base, dir, to_stderr);
	released = json_object();
	apply_event = evtimer_new(event_base, apply_now, NULL);
	if (!released || !apply_event)
		return error_set(err, "out of memory");
	leases_are_old = true;
	service_adopt(&dhcp);
	service_adopt(&dns);
	dhcp_restart = service_is_stale(&dhcp);
	dns_restart = service_is_stale(&dns);
	apply_after(&soon);
	return 0;
}

/**
 * dnsmasq_close() - leave the processes alone
 *
 * What was not done yet the next pvethd does: its files will be others. To begin with it
 * might end a process that nobody starts again.
 */
void dnsmasq_close(void)
{
	if (apply_event)
		event_free(apply_event);
	apply_event = NULL;
	json_decref(released);
	released = NULL;
	service_forget(&dhcp);
	service_forget(&dns);
}
