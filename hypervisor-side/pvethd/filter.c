// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest of a port may send: what comes from its own addresses, and what is no
 * server's or router's to say
 *
 * In a network all of its addresses are known, and what it may send is what they allow. Where
 * it is in none, its MAC address is, and what it may send is all but what is known to be
 * wrong.
 *
 * A chain of nftables for each port, "port/NAME", sees frames before anything else of
 * the host's network does (nft(8), "netdev", "ingress"), and has another one, "guest/NAME",
 * look at the guest's. They are replaced in one transaction, so that there is no time
 * without, and drop what no rule accepts.
 *
 * Ports share chains of what does not depend on addresses, "common" in networks and "anywhere"
 * else, both with what is for servers and routers to send, "servers", which looks at first
 * fragments in "first", and with what neighbour discovery does not look like, "neighbours".
 * For each reason to drop a frame they share a chain, "drop/REASON", and a set with a counter
 * for each port, "ports/REASON". So a port adds two chains and a set to what nftables' library
 * looks at each time before it does anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "network.h"
#include "text.h"

#define TABLE		"pveth"
#define IN_TABLE	"netdev " TABLE " "
#define PORT		"port/"
#define GUEST		"guest/"
#define COUNTERS	"ports/"
#define LOCAL		"local/"

static const char * const reasons[FILTER_REASONS] = {
	[FILTER_MAC] = "mac",
	[FILTER_VLAN] = "vlan",
	[FILTER_ARP] = "arp",
	[FILTER_IPV4] = "ipv4",
	[FILTER_IPV6] = "ipv6",
	[FILTER_NDP] = "ndp",
	[FILTER_DHCP] = "dhcp",
	[FILTER_RA] = "ra",
	[FILTER_OTHER] = "other",
};

/* Who has no address yet asks for one, and for routers, and may be in groups: RFC 2131,
 * 3376, 3590, 4861.
 */
#define BEFORE_ADDRESS \
	"{ nd-router-solicit, mld-listener-report, mld-listener-done, mld2-listener-report }"

/* One that is followed by others (RFC 791): it may be too short for what is looked at */
#define FIRST_FRAGMENT	"ip frag-off & 0x2000 != 0"
/* RFC 3376 */
#define IGMP_QUERY	"@th,0,8 0x11"
/* In a message of DHCP, behind UDP's header: the relay is not 0 (RFC 2131) */
#define RELAYED		"@th,256,32 != 0"
/* The client's Ethernet address */
#define CLIENT		"@th,288,48"

/* Relays' messages of DHCPv6, behind UDP's header, from whatever port (RFC 8415, 7.3): a server
 * believes them whose client is. And what is too short for them to be seen.
 */
#define RELAYED_6	"@th,64,8 { 12, 13 }"
#define FIRST_FRAGMENT_6	"frag frag-off 0"
/* The first octet of what is behind all headers of IPv6 is there. Where it is not, no rule
 * sees what the fragments will be (RFC 7112).
 */
#define UPPER_LAYER	"@th,0,8 >= 0"

/* Neighbour discovery is not done in fragments (RFC 6980), and has one option, a link-layer
 * address, which the rules of each port compare: with IPv6's header, this many octets. Only who
 * asks from no address has others (RFC 7527).
 */
#define SOLICITS_ROUTERS	"icmpv6 type nd-router-solicit "
#define SOLICITS	"icmpv6 type nd-neighbor-solicit "
#define ADVERTISES	"icmpv6 type nd-neighbor-advert "
#define NEIGHBOURS	"icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } "
#define ASKS_AS_SOMEBODY	"ip6 saddr != :: " SOLICITS
#define MORE_THAN_ROUTERS	"meta length > 56 "
#define MORE_THAN_NEIGHBOURS	"meta length > 72 "

/* Bridges talk by these, and do not forward them: IEEE 802.1Q, table 8-1 */
#define FOR_BRIDGES	"ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00"
/* Of services, before IEEE 802.1ad */
#define OLD_TAGS	"@ll,96,16 { 0x9100, 0x9200, 0x9300 }"
/* Not a type but a length: IEEE 802.2, and a type behind it. What that means, not all agree on. */
#define SNAP		"@ll,96,16 < 0x0600 @ll,112,24 0xaaaa03"

static const char shared_rules[] =
"add chain " IN_TABLE "first\n"
"flush chain " IN_TABLE "first\n"
"add rule " IN_TABLE "first " UPPER_LAYER " return\n"
"add rule " IN_TABLE "first goto drop/other\n"
"add chain " IN_TABLE "servers\n"
"flush chain " IN_TABLE "servers\n"
"add rule " IN_TABLE "servers meta protocol ip udp sport 67 goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip udp dport 68 goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip udp dport 67 " FIRST_FRAGMENT " goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip udp dport 67 " RELAYED " goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip6 udp sport 547 goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip6 udp dport 546 goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip6 udp dport 547 " FIRST_FRAGMENT_6 " goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip6 udp dport 547 " RELAYED_6 " goto drop/dhcp\n"
"add rule " IN_TABLE "servers meta protocol ip6 " FIRST_FRAGMENT_6 " jump first\n"
"add rule " IN_TABLE "servers meta protocol ip icmp type { redirect, router-advertisement } goto drop/ra\n"
"add rule " IN_TABLE "servers meta protocol ip meta l4proto igmp " IGMP_QUERY " goto drop/ra\n"
"add rule " IN_TABLE "servers meta protocol ip6 icmpv6 type { nd-router-advert, nd-redirect, mld-listener-query } goto drop/ra\n"
"add chain " IN_TABLE "neighbours\n"
"flush chain " IN_TABLE "neighbours\n"
"add rule " IN_TABLE "neighbours " NEIGHBOURS FIRST_FRAGMENT_6 " goto drop/ndp\n"
"add rule " IN_TABLE "neighbours " SOLICITS_ROUTERS MORE_THAN_ROUTERS "goto drop/ndp\n"
"add rule " IN_TABLE "neighbours " ASKS_AS_SOMEBODY MORE_THAN_NEIGHBOURS "goto drop/ndp\n"
"add rule " IN_TABLE "neighbours " ADVERTISES MORE_THAN_NEIGHBOURS "goto drop/ndp\n"
"add chain " IN_TABLE "anywhere\n"
"flush chain " IN_TABLE "anywhere\n"
"add rule " IN_TABLE "anywhere " FOR_BRIDGES " goto drop/other\n"
"add rule " IN_TABLE "anywhere " SNAP " goto drop/other\n"
"add rule " IN_TABLE "anywhere " OLD_TAGS " goto drop/vlan\n"
"add rule " IN_TABLE "anywhere jump servers\n"
"add rule " IN_TABLE "anywhere jump neighbours\n"
"add chain " IN_TABLE "common\n"
"flush chain " IN_TABLE "common\n"
"add rule " IN_TABLE "common jump servers\n"
"add rule " IN_TABLE "common jump neighbours\n"
"add rule " IN_TABLE "common meta protocol != { ip, arp, ip6 } goto drop/other\n"
"add rule " IN_TABLE "common ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept\n"
"add rule " IN_TABLE "common ip saddr 0.0.0.0 ip protocol igmp accept\n"
"add rule " IN_TABLE "common ip6 saddr :: icmpv6 type " BEFORE_ADDRESS " accept\n";

/* What ports share is there, until something fails, or is deleted. */
static bool prepared;

static bool has_filter(const struct port_config *config)
{
	return !(config->allow & ALLOW_ALL);
}

static void __attribute__((format(printf, 3, 4)))
add_rule(FILE *file, const struct port_config *config, const char *rule, ...)
{
	va_list ap;

	fprintf(file, "add rule " IN_TABLE GUEST "%s ", config->name);
	va_start(ap, rule);
	vfprintf(file, rule, ap);
	va_end(ap);
	fputc('\n', file);
}

/* fe80::/64 and the modified EUI-64 of the MAC address: RFC 4291, appendix A */
static struct address link_local(const uint8_t *mac)
{
	struct address address = { .family = AF_INET6, .number = 0xfe80 };
	const uint8_t eui64[] = { mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };
	size_t i;

	address.number <<= 48;
	for (i = 0; i < COUNT(eui64); i++)
		address.number = address.number << 8 | eui64[i];
	return address;
}

static void write_ethernet(FILE *file, const struct port_config *config, const char *mac)
{
	/* IEEE 802.1Q: the tags of customers and of services */
	static const char * const tags[] = { "0x8100", "0x88a8" };
	size_t i;

	/* What the host sends to a group, and hears itself, has no Ethernet header. */
	fprintf(file, "add rule " IN_TABLE PORT "%s ether saddr %s goto " GUEST "%s\n"
		"add rule " IN_TABLE PORT "%s ether saddr != %s goto drop/mac\n"
		"add rule " IN_TABLE PORT "%s accept\n", config->name, mac, config->name,
		config->name, mac, config->name);
	for (i = 0; i < COUNT(tags); i++) {
		if (!(config->allow & ALLOW_VLAN)) {
			add_rule(file, config, "@ll,96,16 %s goto drop/vlan", tags[i]);
			continue;
		}
		/* VLAN 0 is none: what is in it is for the host. */
		add_rule(file, config, "@ll,96,16 %s @ll,116,12 0 goto drop/vlan", tags[i]);
		add_rule(file, config, "@ll,96,16 %s accept", tags[i]);
	}
}

#define ARP_FROM	"arp htype 1 arp hlen 6 arp plen 4 arp saddr ether"

static void write_ipv4(FILE *file, const struct port_config *config, const char *mac)
{
	char text[ADDRESS_TEXT];

	if (address_format(&config->address[FAMILY_IPV4], text)) {
		add_rule(file, config, "ip saddr %s accept", text);
		add_rule(file, config, ARP_FROM " %s arp saddr ip %s accept", mac, text);
		/* A probe: does anybody have the address that I am to have? (RFC 5227) */
		add_rule(file, config,
			 "arp operation request " ARP_FROM " %s arp saddr ip 0.0.0.0 arp daddr ip %s accept",
			 mac, text);
	}
	add_rule(file, config, "meta protocol ip goto drop/ipv4");
	add_rule(file, config, "meta protocol arp goto drop/arp");
}

/* The source of a packet, the target of neighbour discovery (RFC 4861), and their first
 * halves, are compared with numbers: so a set can have both.
 */
#define SOURCE		"@nh,64,128 "
#define LOCAL_SOURCE	"meta protocol ip6 @nh,64,64 "
#define TARGET		"@th,64,128 "
#define LOCAL_TARGET	"@th,64,64 "
#define LOCAL_HALF	"0xfe80000000000000 "
#define NUMBER		"typeof " TARGET
/* Is the address that I am to have a duplicate? (RFC 4862) */
#define PROBES		"ip6 saddr :: " SOLICITS
/* Type and length of the first option, and the Ethernet address in it */
#define OPTION		"@th,192,16"
#define LINK_LAYER	"@th,208,48"
/* That of a solicitation of routers */
#define ROUTERS_OPTION	"@th,64,16"
#define ROUTERS_LINK_LAYER	"@th,80,48"

#define NUMBER_TEXT	35

static const char *number_of(const struct address *address, char *text)
{
	snprintf(text, NUMBER_TEXT, "0x%016" PRIx64 "%016" PRIx64,
		 (uint64_t)(address->number >> 64), (uint64_t)address->number);
	return text;
}

/* A guest has the link-local address that its MAC address makes, and may have another
 * one, as RFC 7217 wants it: the first that it uses or asks for, for as long as it does
 * (RFC 6620). It may not have many, which would fill the host's table of neighbours, nor
 * one that another guest's MAC address makes.
 */
#define LOCAL_SET	"{ " NUMBER "; size 1; flags dynamic, timeout; timeout 10m; gc-interval 10s; }"

static void write_link_local(FILE *file, const struct port_config *config,
			     const struct address *host)
{
	const struct address own = link_local(config->mac);
	char mine[NUMBER_TEXT], number[NUMBER_TEXT];
	char kept[sizeof("@" LOCAL) + IFNAMSIZ];

	snprintf(kept, sizeof(kept), "@" LOCAL "%s", config->name);
	number_of(&own, mine);
	number_of(host, number);
	add_rule(file, config, LOCAL_SOURCE LOCAL_HALF SOURCE "%s goto drop/ipv6", number);
	add_rule(file, config, LOCAL_SOURCE LOCAL_HALF SOURCE "!= %s " SOURCE "@guests goto drop/ipv6",
		 mine);
	add_rule(file, config, ADVERTISES TARGET "%s goto drop/ndp", number);
	add_rule(file, config, PROBES TARGET "%s goto drop/ipv6", number);
	add_rule(file, config, ADVERTISES TARGET "!= %s " TARGET "@guests goto drop/ndp", mine);
	add_rule(file, config, PROBES TARGET "!= %s " TARGET "@guests goto drop/ipv6", mine);
	add_rule(file, config, PROBES TARGET "%s accept", mine);
	if (config->allow & ALLOW_LINK_LOCAL) {
		add_rule(file, config, PROBES LOCAL_TARGET LOCAL_HALF "accept");
		return;
	}
	add_rule(file, config, LOCAL_SOURCE LOCAL_HALF SOURCE "!= %s update %s { " SOURCE "}",
		 mine, kept);
	add_rule(file, config,
		 ADVERTISES LOCAL_TARGET LOCAL_HALF TARGET "!= %s " TARGET "!= %s goto drop/ndp",
		 mine, kept);
	add_rule(file, config, PROBES LOCAL_TARGET LOCAL_HALF "update %s { " TARGET "} accept",
		 kept);
}

static void write_ipv6(FILE *file, const struct port_config *config,
		       const struct address *host)
{
	const struct address local = link_local(config->mac);
	const struct address *own = &config->address[FAMILY_IPV6];
	char text[ADDRESS_TEXT], number[NUMBER_TEXT];

	write_link_local(file, config, host);
	if (address_format(own, text)) {
		number_of(own, number);
		add_rule(file, config, ADVERTISES LOCAL_TARGET "!= " LOCAL_HALF TARGET
			 "!= %s goto drop/ndp", number);
		add_rule(file, config, "ip6 saddr %s accept", text);
		add_rule(file, config, PROBES TARGET "%s accept", number);
	} else {
		add_rule(file, config, ADVERTISES LOCAL_TARGET "!= " LOCAL_HALF "goto drop/ndp");
	}
	address_format(&local, text);
	add_rule(file, config, "ip6 saddr %s accept", text);
	if (config->allow & ALLOW_LINK_LOCAL)
		add_rule(file, config, "ip6 saddr fe80::/64 accept");
	else
		add_rule(file, config, SOURCE "@" LOCAL "%s accept", config->name);
	add_rule(file, config, "meta protocol ip6 goto drop/ipv6");
}

/* Of sets that ports share: its counters, and its link-local address */
static void write_elements(FILE *file, const struct port_config *config, const char *verb)
{
	const struct address local = link_local(config->mac);
	char number[NUMBER_TEXT];
	size_t i;

	for (i = 0; i < COUNT(reasons); i++)
		fprintf(file, "%s element " IN_TABLE COUNTERS "%s { \"%s\" }\n", verb, reasons[i],
			config->name);
	fprintf(file, "%s element " IN_TABLE "guests { %s }\n", verb, number_of(&local, number));
}

/* The bridge keeps the ports from each other, but not from going through the host. */
static void write_isolation(FILE *file, const struct port_config *config)
{
	static const char * const families[FAMILIES] = { "ip", "ip6" };
	char prefix[PREFIX_TEXT], host[ADDRESS_TEXT];
	const struct network *network;
	struct error ignored;
	unsigned int i;

	network = network_find(config->network, &ignored);
	for (i = 0; network && network->isolated && i < FAMILIES; i++) {
		if (!address_format(&network->host[i], host))
			continue;
		prefix_format(&network->pools[i].prefix, prefix);
		add_rule(file, config, "%s daddr %s %s daddr != %s goto drop/other", families[i],
			 prefix, families[i], host);
	}
}

/* The host's, where the guest is */
static struct address host_link_local(const struct port *port)
{
	const struct network *network;
	struct error ignored;
	uint8_t mac[6];

	network = network_find(port->config.network, &ignored);
	if (!network || !network->bridged)
		return link_local(port->host_mac);
	network_mac(network, mac);
	return link_local(mac);
}

/* Its IP addresses are unknown. */
static void write_anything(FILE *file, const struct port_config *config, const char *mac)
{
	add_rule(file, config, "jump anywhere");
	add_rule(file, config, ARP_FROM " %s accept", mac);
	add_rule(file, config, "meta protocol arp goto drop/arp");
	add_rule(file, config, "accept");
}

static void write_addresses(FILE *file, const struct port *port, const char *mac)
{
	const struct address host = host_link_local(port);
	const struct port_config *config = &port->config;

	write_isolation(file, config);
	add_rule(file, config, "jump common");
	write_ipv4(file, config, mac);
	write_ipv6(file, config, &host);
}

static void write_filter(FILE *file, const struct port *port)
{
	const struct port_config *config = &port->config;
	char mac[MAC_TEXT], number[sizeof("0x") + 2 * sizeof(config->mac)];
	const uint8_t *m = config->mac;

	mac_format(m, mac);
	snprintf(number, sizeof(number), "0x%02x%02x%02x%02x%02x%02x", m[0], m[1], m[2], m[3],
		 m[4], m[5]);
	write_elements(file, config, "add");
	fprintf(file, "add set " IN_TABLE LOCAL "%s " LOCAL_SET "\n"
		"add chain " IN_TABLE GUEST "%s\n"
		"flush chain " IN_TABLE GUEST "%s\n"
		"add chain " IN_TABLE PORT "%s { type filter hook ingress device \"%s\" priority filter; policy drop; }\n"
		"flush chain " IN_TABLE PORT "%s\n", config->name, config->name, config->name,
		config->name, config->name, config->name);
	write_ethernet(file, config, mac);
	/* Neighbour discovery is about this MAC address (RFC 4861, 4.6.1), and DHCP servers go by
	 * the client's.
	 */
	add_rule(file, config, ADVERTISES OPTION " 0x0201 " LINK_LAYER " != %s goto drop/ndp",
		 number);
	add_rule(file, config, SOLICITS OPTION " 0x0101 " LINK_LAYER " != %s goto drop/ndp",
		 number);
	add_rule(file, config, SOLICITS_ROUTERS ROUTERS_OPTION " 0x0101 " ROUTERS_LINK_LAYER
		 " != %s goto drop/ndp", number);
	add_rule(file, config, "meta protocol ip udp dport 67 " CLIENT " != %s goto drop/dhcp",
		 number);
	if (config->network[0])
		write_addresses(file, port, mac);
	else
		write_anything(file, config, mac);
}

/* Kernels differ in whether a chain is still there when its interface is not. */
static void write_removal(FILE *file, const struct port *port)
{
	const struct port_config *config = &port->config;

	fprintf(file, "add chain " IN_TABLE PORT "%s\n"
		"flush chain " IN_TABLE PORT "%s\n"
		"delete chain " IN_TABLE PORT "%s\n"
		"add chain " IN_TABLE GUEST "%s\n"
		"flush chain " IN_TABLE GUEST "%s\n"
		"delete chain " IN_TABLE GUEST "%s\n"
		"add set " IN_TABLE LOCAL "%s " LOCAL_SET "\n"
		"delete set " IN_TABLE LOCAL "%s\n", config->name, config->name, config->name,
		config->name, config->name, config->name, config->name, config->name);
	write_elements(file, config, "add");
	write_elements(file, config, "delete");
}

/* What ports share. Done again, it changes nothing. */
static void write_shared(FILE *file, const struct port *port)
{
	size_t i;

	(void)port;
	fputs("add table netdev " TABLE "\n"
	      "add set " IN_TABLE "guests { " NUMBER "; }\n", file);
	for (i = 0; i < COUNT(reasons); i++)
		fprintf(file, "add set " IN_TABLE COUNTERS "%s { type ifname; counter; }\n"
			"add chain " IN_TABLE "drop/%s\n"
			"flush chain " IN_TABLE "drop/%s\n"
			"add rule " IN_TABLE "drop/%s iifname @" COUNTERS "%s drop\n"
			"add rule " IN_TABLE "drop/%s drop\n", reasons[i], reasons[i],
			reasons[i], reasons[i], reasons[i], reasons[i]);
	fputs(shared_rules, file);
}

static int run(void (*write)(FILE *file, const struct port *port), const struct port *port,
	       struct error *err)
{
	struct text text;
	int ret;

	if (text_begin(&text, err))
		return -1;
	write(text.file, port);
	if (text_end(&text, err))
		return -1;
	ret = nft_run(text.string, err);
	free(text.string);
	if (ret)
		prepared = false;
	return ret;
}

static int prepare(struct error *err)
{
	if (!prepared && run(write_shared, NULL, err))
		return -1;
	prepared = true;
	return 0;
}

/**
 * filter_set() - let a guest send from its own addresses only
 * @port: its port, whose interface is there
 * @err: receives what is wrong
 *
 * Counters go on, if there are any.
 *
 * Return: 0, also if everything is allowed, or -1, and then all is as before.
 */
int filter_set(const struct port *port, struct error *err)
{
	if (!has_filter(&port->config) || (!prepare(err) && !run(write_filter, port, err)))
		return 0;
	error_prefix(err, "cannot filter what the guest sends (with --allow all there is no filter)");
	return -1;
}

static void write_missing(FILE *file, const struct port *unused)
{
	struct port *port;

	(void)unused;
	for (port = port_next(NULL); port; port = port_next(port))
		if (port->ifindex && !port->filtered && has_filter(&port->config))
			write_filter(file, port);
}

/**
 * filters_set() - filter_set() for all ports that have no filter yet, in one transaction
 *
 * If it fails, they have none, and it is for filter_set() to say why.
 */
void filters_set(void)
{
	struct error ignored;
	bool missing = false;
	struct port *port;

	for (port = port_next(NULL); port; port = port_next(port))
		if (port->ifindex && !port->filtered && has_filter(&port->config))
			missing = true;
	if (missing && (prepare(&ignored) || run(write_missing, NULL, &ignored)))
		return;
	for (port = port_next(NULL); port; port = port_next(port))
		port->filtered = port->ifindex;
}

/**
 * filter_remove() - the inverse
 * @port: the port, whose interface is gone
 */
void filter_remove(const struct port *port)
{
	struct error err;

	if (has_filter(&port->config) && (prepare(&err) || run(write_removal, port, &err)))
		log_error("%s: cannot remove its filter: %s", port->config.name, err.text);
}

static void counter_found(const char *name, uint64_t packets, void *data)
{
	const enum filter_reason *reason = data;
	struct port *port = port_find(name);

	if (port)
		port->filtered_out[*reason] = packets;
}

/**
 * filters_count() - bring what the filters of all ports have dropped up to date
 */
void filters_count(void)
{
	enum filter_reason reason;
	struct error err;
	char set[32];

	for (reason = 0; prepared && reason < FILTER_REASONS; reason++) {
		snprintf(set, sizeof(set), COUNTERS "%s", reasons[reason]);
		if (nft_counters(TABLE, set, counter_found, &reason, &err))
			log_error("cannot read the counters of filters: %s", err.text);
	}
}

/**
 * filters_changed() - what filters share may be gone
 */
void filters_changed(void)
{
	prepared = false;
}

/**
 * filter_deleted() - a chain of nftables is gone, whoever deleted it
 * @table: its table, of the family netdev
 * @chain: its name
 */
void filter_deleted(const char *table, const char *chain)
{
	struct port *port;

	/* That of a guest goes with the port's, of which we hear, too. */
	if (strcmp(table, TABLE) || !strncmp(chain, GUEST, strlen(GUEST)))
		return;
	if (strncmp(chain, PORT, strlen(PORT))) {
		filters_changed();
		return;
	}
	port = port_find(chain + strlen(PORT));
	if (port)
		port_filter_again(port);
}

static void chain_found(const char *table, const char *chain, void *data)
{
	json_t *found = data;

	if (!strcmp(table, TABLE) && !strncmp(chain, PORT, strlen(PORT)))
		json_object_set_new(found, chain + strlen(PORT), json_true());
}

/**
 * filters_check() - any chains of nftables may be gone
 *
 * What is there is left alone: to set the filters of many ports is so much to report that
 * this may be why reports were lost.
 */
void filters_check(void)
{
	json_t *found = json_object();
	bool missing = false;
	struct port *port;
	struct error err;

	if (nft_chains(chain_found, found, &err)) {
		log_error("cannot see whether filters are there: %s", err.text);
		missing = true;
	}
	for (port = port_next(NULL); port; port = port_next(port))
		if (port->filtered && has_filter(&port->config) &&
		    !json_object_get(found, port->config.name))
			missing = true;
	json_decref(found);
	if (missing)
		ports_refresh();
}

/**
 * filter_to_json() - what a port's filter has dropped since the port was made
 * @port: the port; filters_count() was called
 *
 * Return: an object, or null if there is no filter.
 */
json_t *filter_to_json(const struct port *port)
{
	json_t *json;
	size_t i;

	if (!has_filter(&port->config))
		return json_null();
	json = json_object();
	for (i = 0; i < COUNT(reasons); i++)
		json_object_set_new(json, reasons[i], json_integer(port->filtered_out[i]));
	return json;
}
