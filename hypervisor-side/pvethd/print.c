// SPDX-License-Identifier: GPL-2.0
/*
 * pvethctl: what pvethd answered, for people
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "error.h"

static const char *get_string(json_t *port, const char *key)
{
	const char *text = json_string_value(json_object_get(port, key));

	return text ? text : "-";
}

static json_int_t get_number(json_t *port, const char *key)
{
	return json_integer_value(json_object_get(port, key));
}

static const char *get_size(json_t *port, const char *key)
{
	json_int_t bytes = get_number(port, key);
	static char text[32];
	const char *unit = "";

	if (bytes >= 1 << 20 && !(bytes % (1 << 20))) {
		bytes >>= 20;
		unit = "M";
	} else if (bytes >= 1 << 10 && !(bytes % (1 << 10))) {
		bytes >>= 10;
		unit = "K";
	}
	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT "%s", bytes, unit);
	return text;
}

/* A word for a shell */
static void print_quoted(const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,=:+@%";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

/* An option and its value in a line */
static void print_qemu_args(json_t *port, const char *indent)
{
	json_t *args = json_object_get(port, "qemu_args");
	size_t i, count = json_array_size(args);

	for (i = 0; i < count; i++) {
		fputs(i % 2 ? " " : indent, stdout);
		print_quoted(json_string_value(json_array_get(args, i)));
		if (i % 2)
			fputs(i + 1 < count ? " \\\n" : "\n", stdout);
	}
}

static void print_indented(const char *text, const char *indent)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = text + strcspn(text, "\n");
		printf("%s%.*s\n", indent, (int)(end - text), text);
	}
}

void print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* For shells: a string as it is */
void print_value(const json_t *json)
{
	if (json_is_string(json))
		fputs(json_string_value(json), stdout);
	else
		json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
}

/* Those of a port, or of a network, or of its host. The end of a line follows. */
static void print_pair(const char *ipv4, const char *ipv6, const char *separator)
{
	printf("%s%s%s\n", ipv4 ? ipv4 : "", ipv4 && ipv6 ? separator : "", ipv6 ? ipv6 : "");
}

static void print_addresses(json_t *object, const char *separator)
{
	print_pair(json_string_value(json_object_get(object, "ipv4")),
		   json_string_value(json_object_get(object, "ipv6")), separator);
}

void print_added(json_t *port)
{
	printf("Port %s: interface %s, MAC address of the guest %s, %" JSON_INTEGER_FORMAT
	       " queue pair(s), window %s\n\n",
	       get_string(port, "name"), get_string(port, "name"), get_string(port, "mac"),
	       get_number(port, "queues"), get_size(port, "window_size"));
	if (json_is_string(json_object_get(port, "network"))) {
		printf("Network %s: ", get_string(port, "network"));
		print_addresses(port, ", ");
		fputs("\n", stdout);
	}
	puts("QEMU:\n");
	print_qemu_args(port, "  ");
	puts("\nlibvirt, within <domain>:\n");
	print_indented(get_string(port, "libvirt_xml"), "  ");
}

void print_list(json_t *ports)
{
	const char *problem;
	json_t *port;
	size_t i;

	printf("%-15s %-9s %-17s %6s %6s %5s %8s\n", "NAME", "STATE", "MAC", "QUEUES", "WINDOW",
	       "MTU", "SESSIONS");
	json_array_foreach(ports, i, port) {
		problem = json_string_value(json_object_get(port, "problem"));
		printf("%-15s %-9s %-17s %6" JSON_INTEGER_FORMAT " %6s %5" JSON_INTEGER_FORMAT
		       " %8" JSON_INTEGER_FORMAT "%s%s\n",
		       get_string(port, "name"), get_string(port, "state"),
		       get_string(port, "mac"), get_number(port, "queues"),
		       get_size(port, "window_size"), get_number(port, "mtu"),
		       get_number(port, "sessions"), problem ? "  " : "", problem ? problem : "");
	}
}

static void print_clients(json_t *port)
{
	json_t *client;
	size_t i;

	json_array_foreach(json_object_get(port, "clients"), i, client)
		printf("  QEMU:          process %" JSON_INTEGER_FORMAT "%s\n",
		       get_number(client, "pid"),
		       json_is_true(json_object_get(client, "waiting")) ? ", waiting" : "");
}

static void print_line(const char *title, const char *value)
{
	printf("  %-14s %s\n", title, value);
}

/* As linux/pveth.h has them */
static const struct {
	const char *name;
	const char *says;
} errors[] = {
	{ "features", "a feature that was not offered, or one without what it needs" },
	{ "queues", "no queue pairs, or more than are offered, or can be" },
	{ "ring-size", "a ring's size is out of bounds or no power of two" },
	{ "ring-addr", "a ring is misaligned, not within the memory, or overlaps another" },
	{ "reserved", "a reserved field is not zero" },
	{ "index", "a producer index went back, or further ahead than the ring is large" },
	{ "frame", "a frame has no descriptors, too many, or more than were published" },
	{ "desc-addr", "a descriptor or a buffer is not within the memory" },
	{ "desc-len", "a descriptor's length is zero, or its buffer is too small" },
	{ "desc-id", "an ID is out of range, or names nothing that is outstanding" },
	{ "offload", "offload metadata that was not negotiated" },
	{ "no-memory", "the host could not allocate what the session needs" },
	{ "memory", "the guest's memory is not where the host was told" },
};

static void print_error(json_t *port, const char *key, const char *title)
{
	const char *name = json_string_value(json_object_get(port, key));
	size_t i;

	if (!name)
		return;
	for (i = 0; i < COUNT(errors) && strcmp(errors[i].name, name); i++)
		;
	printf("  %-14s %s%s%s\n", title, name, i < COUNT(errors) ? ": " : "",
	       i < COUNT(errors) ? errors[i].says : "");
}

/* A number, and what of it the guest uses */
static void print_used(json_t *port, const char *title, const char *key, const char *used_key)
{
	json_int_t used = get_number(port, used_key);

	printf("  %-14s %" JSON_INTEGER_FORMAT, title, get_number(port, key));
	if (used && used != get_number(port, key))
		printf(", the guest uses %" JSON_INTEGER_FORMAT, used);
	putchar('\n');
}

/* What the guest was kept from, and how often */
static void print_filter(json_t *port)
{
	json_t *reasons = json_object_get(port, "filtered_out"), *number, *item;
	const char *reason, *separator = "";
	size_t i;

	json_array_foreach(json_object_get(port, "publish"), i, item)
		print_line("published:", json_string_value(item));
	json_array_foreach(json_object_get(port, "allow"), i, item)
		print_line("allowed:", json_string_value(item));
	if (!json_is_object(reasons))
		return;
	fputs("  filtered out:  ", stdout);
	json_object_foreach(reasons, reason, number) {
		if (!json_integer_value(number))
			continue;
		printf("%s%s %" JSON_INTEGER_FORMAT, separator, reason, json_integer_value(number));
		separator = ", ";
	}
	puts(*separator ? "" : "nothing");
}

static void print_rate(json_t *port, const char *key, const char *title)
{
	char text[RATE_TEXT];

	if (!get_number(port, key))
		return;
	rate_format(get_number(port, key), text);
	print_line(title, text);
}

void print_port(json_t *port)
{
	json_t *number;
	const char *key;

	printf("%s\n", get_string(port, "name"));
	print_line("state:", get_string(port, "state"));
	print_error(port, "error", "error:");
	print_error(port, "guest_error", "guest's error:");
	if (json_is_string(json_object_get(port, "problem")))
		print_line("problem:", get_string(port, "problem"));
	print_line("mode:", get_string(port, "mode"));
	print_line("guest's MAC:", get_string(port, "mac"));
	if (json_is_string(json_object_get(port, "guest_mac")))
		print_line("  it uses:", get_string(port, "guest_mac"));
	if (json_is_string(json_object_get(port, "network"))) {
		print_line("network:", get_string(port, "network"));
		fputs("  addresses:     ", stdout);
		print_addresses(port, ", ");
	}
	print_filter(port);
	print_rate(port, "rate_in", "rate in:");
	print_rate(port, "rate_out", "rate out:");
	print_used(port, "queue pairs:", "queues", "session_queues");
	print_line("window:", get_size(port, "window_size"));
	if (json_is_integer(json_object_get(port, "memory")))
		print_line("memory:", get_size(port, "memory"));
	print_used(port, "MTU:", "mtu", "guest_mtu");
	printf("  sessions:      %" JSON_INTEGER_FORMAT "\n", get_number(port, "sessions"));
	print_line("features:", get_string(port, "features"));
	if (*get_string(port, "bridge"))
		print_line("bridge:", get_string(port, "bridge"));
	print_line("socket:", get_string(port, "socket"));
	print_clients(port);
	json_object_foreach(json_object_get(port, "stats"), key, number)
		printf("  %-16s %12" JSON_INTEGER_FORMAT "\n", key, json_integer_value(number));
	print_qemu_args(port, "  ");
}

void print_ports(json_t *ports)
{
	json_t *port;
	size_t i;

	json_array_foreach(ports, i, port) {
		if (i)
			putchar('\n');
		print_port(port);
	}
}

void print_deleted(json_t *result)
{
	printf("Port %s deleted\n", get_string(result, "name"));
}

/* At least so many are said to be many. */
#define MANY	(1LL << 32)

static void print_free(json_t *network, const char *title, const char *key)
{
	json_t *number = json_object_get(network, key);

	if (!number)
		return;
	if (json_integer_value(number) >= MANY)
		print_line(title, "many");
	else
		printf("  %-14s %" JSON_INTEGER_FORMAT "\n", title, json_integer_value(number));
}

void print_network(json_t *network)
{
	json_t *item;
	size_t i;

	printf("%s\n", get_string(network, "name"));
	fputs("  prefixes:      ", stdout);
	print_addresses(network, ", ");
	fputs("  host:          ", stdout);
	print_pair(json_string_value(json_object_get(network, "host_ipv4")),
		   json_string_value(json_object_get(network, "host_ipv6")), ", ");
	print_line("mode:", !json_is_true(json_object_get(network, "isolated")) ?
		   get_string(network, "mode") : "bridged, ports isolated");
	if (json_is_string(json_object_get(network, "dns_domain")))
		print_line("DNS domain:", get_string(network, "dns_domain"));
	if (json_is_string(json_object_get(network, "uplink"))) {
		print_line("uplink:", get_string(network, "uplink"));
		print_line("NAT:", json_is_true(json_object_get(network, "nat")) ? "yes" : "no");
		print_line("NAT66:", json_is_true(json_object_get(network, "nat66")) ? "yes" : "no");
	}
	if (json_is_string(json_object_get(network, "problem")))
		print_line("problem:", get_string(network, "problem"));
	json_array_foreach(json_object_get(network, "exclude"), i, item)
		print_line("excluded:", json_string_value(item));
	print_free(network, "free in IPv4:", "free_ipv4");
	print_free(network, "free in IPv6:", "free_ipv6");
	json_array_foreach(json_object_get(network, "ports"), i, item) {
		printf("  port %-15s %s  ", get_string(item, "name"), get_string(item, "mac"));
		print_addresses(item, "  ");
	}
}

void print_networks(json_t *networks)
{
	json_t *network;
	size_t i;

	json_array_foreach(networks, i, network) {
		if (i)
			putchar('\n');
		print_network(network);
	}
}

void print_network_list(json_t *networks)
{
	json_t *network;
	size_t i;

	printf("%-15s %5s  %s\n", "NAME", "PORTS", "PREFIXES");
	json_array_foreach(networks, i, network) {
		printf("%-15s %5zu  ", get_string(network, "name"),
		       json_array_size(json_object_get(network, "ports")));
		print_addresses(network, "  ");
	}
}

void print_network_deleted(json_t *result)
{
	printf("Network %s deleted\n", get_string(result, "name"));
}
