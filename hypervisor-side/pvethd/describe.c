// SPDX-License-Identifier: GPL-2.0
/*
 * A port in JSON, as users see it; pvethctl(8) says what is in it
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "network.h"
#include "text.h"

static const char *const state_names[] = {
	[PVETH_PORT_STATE_DETACHED] = "detached",
	[PVETH_PORT_STATE_DOWN] = "down",
	[PVETH_PORT_STATE_READY] = "ready",
	[PVETH_PORT_STATE_CONNECTED] = "connected",
	[PVETH_PORT_STATE_ERROR] = "error",
};

static const char *const error_names[] = {
	[PVETH_ERR_FEATURES] = "features",
	[PVETH_ERR_QUEUES] = "queues",
	[PVETH_ERR_RING_SIZE] = "ring-size",
	[PVETH_ERR_RING_ADDR] = "ring-addr",
	[PVETH_ERR_RESERVED] = "reserved",
	[PVETH_ERR_INDEX] = "index",
	[PVETH_ERR_FRAME] = "frame",
	[PVETH_ERR_DESC_ADDR] = "desc-addr",
	[PVETH_ERR_DESC_LEN] = "desc-len",
	[PVETH_ERR_DESC_ID] = "desc-id",
	[PVETH_ERR_OFFLOAD] = "offload",
	[PVETH_ERR_NO_MEMORY] = "no-memory",
	[PVETH_ERR_MEMORY] = "memory",
};

static const char *const stat_names[] = {
	[PVETH_A_PORT_STATS_G2H_FRAMES] = "g2h_frames",
	[PVETH_A_PORT_STATS_G2H_BYTES] = "g2h_bytes",
	[PVETH_A_PORT_STATS_G2H_BAD] = "g2h_bad",
	[PVETH_A_PORT_STATS_G2H_DROPPED] = "g2h_dropped",
	[PVETH_A_PORT_STATS_H2G_FRAMES] = "h2g_frames",
	[PVETH_A_PORT_STATS_H2G_BYTES] = "h2g_bytes",
	[PVETH_A_PORT_STATS_H2G_DROPPED] = "h2g_dropped",
	[PVETH_A_PORT_STATS_KICKS] = "kicks",
	[PVETH_A_PORT_STATS_CALLS] = "calls",
	[PVETH_A_PORT_STATS_PROTOCOL_ERRORS] = "protocol_errors",
};

/* Without memory a member is missing. */
static void set(json_t *json, const char *key, json_t *value)
{
	json_object_set_new(json, key, value);
}

/* A kernel that is newer than this daemon may have others. */
static json_t *name_of(const char *const *names, size_t count, uint32_t value)
{
	if (value < count && names[value])
		return json_string(names[value]);
	return json_sprintf("%" PRIu32, value);
}

static json_t *error_name(uint32_t error)
{
	return error ? name_of(error_names, COUNT(error_names), error) : json_null();
}

static json_t *stats_to_json(const uint64_t *stats)
{
	json_t *json = json_object();
	size_t i;

	for (i = 0; i < COUNT(stat_names); i++)
		if (stat_names[i])
			json_object_set_new(json, stat_names[i], json_integer(stats[i]));
	return json;
}

/* Packets beyond a limit that cannot be asked for: none is set, or the interface is gone. */
static void add_rate_drops(json_t *stats, const struct port *port, unsigned int ifindex)
{
	uint64_t packets;
	struct error err;

	if (port->config.rate_in && !rate_drops_out(ifindex, &packets, &err))
		set(stats, "rate_in_dropped", json_integer(packets));
	if (port->config.rate_out && !rate_drops_in(ifindex, &packets, &err))
		set(stats, "rate_out_dropped", json_integer(packets));
}

static json_t *mac_to_json(const uint8_t *mac)
{
	static const uint8_t none[6];
	char text[MAC_TEXT];

	if (!memcmp(mac, none, sizeof(none)))
		return json_null();
	mac_format(mac, text);
	return json_string(text);
}

/* In an option of QEMU a comma is written twice. */
static char *escape_commas(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1);
	char *p = escaped;

	for (; p && *text; text++) {
		if (*text == ',')
			*p++ = ',';
		*p++ = *text;
	}
	if (p)
		*p = '\0';
	return escaped;
}

/* The guest's RAM, where the port has it. After QEMU's end the file is empty. */
static json_t *memory_args(const struct port *port)
{
	const struct port_config *config = &port->config;
	char path[PATH_MAX];
	char *escaped;
	json_t *args;

	if (!config->direct || ram_path(config, path, sizeof(path)))
		return json_array();
	escaped = escape_commas(path);
	args = json_pack("[s, o, s, o, s, o]",
			 "-m", json_sprintf("%" PRIu64 "M", config->memory >> 20),
			 "-object",
			 json_sprintf("memory-backend-file,id=pveth-%s-ram,size=%" PRIu64
				      ",mem-path=%s,share=on,discard-data=on",
				      config->name, config->memory, escaped ? escaped : ""),
			 "-machine", json_sprintf("memory-backend=pveth-%s-ram", config->name));
	free(escaped);
	return args;
}

static json_t *qemu_args(const struct port *port)
{
	char *path = escape_commas(port->socket);
	const char *name = port->config.name;
	json_t *args, *memory;

	args = json_pack("[s, o, s, o]",
			 "-chardev",
			 json_sprintf("socket,id=pveth-%s,path=%s", name, path ? path : ""),
			 "-device",
			 json_sprintf("ivshmem-doorbell,id=pveth-%s,chardev=pveth-%s,vectors=%u",
				      name, name, PVETH_VECTOR_QUEUE + port->config.queues));
	free(path);
	memory = memory_args(port);
	json_array_extend(args, memory);
	json_decref(memory);
	return args;
}

/* In an attribute's value, within single quotes */
static char *escape_xml(const char *text)
{
	/* Nothing is longer than &apos; */
	char *escaped = malloc(6 * strlen(text) + 1);
	char *p = escaped;

	for (; p && *text; text++) {
		switch (*text) {
		case '&':
			p = stpcpy(p, "&amp;");
			break;
		case '<':
			p = stpcpy(p, "&lt;");
			break;
		case '\'':
			p = stpcpy(p, "&apos;");
			break;
		default:
			*p++ = *text;
		}
	}
	if (p)
		*p = '\0';
	return escaped;
}

/* libvirt cannot be told the file of a guest's memory but in QEMU's words. */
static void write_memory_xml(FILE *file, const struct port *port)
{
	json_t *args = memory_args(port);
	json_t *arg;
	char *value;
	size_t i;

	if (json_array_size(args))
		fputs("<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n",
		      file);
	json_array_foreach(args, i, arg) {
		value = escape_xml(json_string_value(arg));
		fprintf(file, "  <qemu:arg value='%s'/>\n", value ? value : "");
		free(value);
	}
	if (json_array_size(args))
		fputs("</qemu:commandline>\n", file);
	json_decref(args);
}

static json_t *libvirt_xml(const struct port *port)
{
	json_t *xml = NULL;
	struct error err;
	struct text text;
	char *path;

	if (text_begin(&text, &err))
		return NULL;
	path = escape_xml(port->socket);
	fprintf(text.file, "<devices>\n"
		"  <shmem name='pveth-%s'>\n"
		"    <model type='ivshmem-doorbell'/>\n"
		"    <server path='%s'/>\n"
		"    <msi vectors='%u' ioeventfd='on'/>\n"
		"  </shmem>\n"
		"</devices>\n",
		port->config.name, path ? path : "", PVETH_VECTOR_QUEUE + port->config.queues);
	free(path);
	write_memory_xml(text.file, port);
	if (!text_end(&text, &err)) {
		xml = json_string(text.string);
		free(text.string);
	}
	return xml;
}

/**
 * port_to_json() - describe a port
 * @port: the port
 *
 * Return: an object, or NULL if there is no memory.
 */
json_t *port_to_json(const struct port *port)
{
	json_t *json = config_to_json(&port->config);
	struct port_status status = {};
	const char *problem = *port->problem ? port->problem : port->route_problem;
	struct link_info link = {};
	struct error err;
	json_t *state, *stats;

	if (!*problem && port->config.network[0] && dnsmasq_problem())
		problem = dnsmasq_problem();
	if (link_get(port->config.name, &link, &err) || strcmp(link.kind, PVETH_KIND)) {
		link.ifindex = 0;
		state = json_string("absent");
	} else if (port_status_get(link.ifindex, &status, &err)) {
		memset(&status, 0, sizeof(status));
		state = json_string("unknown");
		problem = err.text;
	} else {
		state = name_of(state_names, COUNT(state_names), status.state);
	}
	set(json, "state", state);
	set(json, "ifindex", link.ifindex ? json_integer(link.ifindex) : json_null());
	if (link.ifindex)
		set(json, "mtu", json_integer(link.mtu));
	set(json, "error", error_name(status.error));
	set(json, "guest_error", error_name(status.guest_error));
	set(json, "problem", *problem ? json_string(problem) : json_null());
	set(json, "clients", clients_to_json(port));
	set(json, "sessions", json_integer(status.sessions));
	set(json, "session_queues", json_integer(status.queue_pairs));
	set(json, "features", json_sprintf("0x%" PRIx64, status.features));
	set(json, "guest_mtu", json_integer(status.guest_mtu));
	set(json, "guest_mac", mac_to_json(status.guest_current_mac));
	stats = stats_to_json(status.stats);
	if (link.ifindex)
		add_rate_drops(stats, port, link.ifindex);
	set(json, "stats", stats);
	set(json, "filtered_out", filter_to_json(port));
	set(json, "socket", json_string(port->socket));
	set(json, "qemu_args", qemu_args(port));
	set(json, "libvirt_xml", libvirt_xml(port));
	return json;
}
