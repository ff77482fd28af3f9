// SPDX-License-Identifier: GPL-2.0
/*
 * portctl: the kernel's family "pveth", with any attributes
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "portctl.h"

/* Small, so that a dump takes several messages */
#define BUFFER_SIZE	8192

enum kind { U16, U32, U64, STRING, MAC, FD, ADDRESS, NEST };

struct kind_of_attribute {
	const char *name;
	enum kind kind;
};

static const struct kind_of_attribute kinds[PVETH_A_PORT_MAX + 1] = {
	[PVETH_A_PORT_IFINDEX]		= { "ifindex", U32 },
	[PVETH_A_PORT_IFNAME]		= { "ifname", STRING },
	[PVETH_A_PORT_STATE]		= { "state", U32 },
	[PVETH_A_PORT_ERROR]		= { "error", U32 },
	[PVETH_A_PORT_GUEST_ERROR]	= { "guest-error", U32 },
	[PVETH_A_PORT_MODE]		= { "mode", U32 },
	[PVETH_A_PORT_MEMORY_ADDR]	= { "memory-addr", ADDRESS },
	[PVETH_A_PORT_MEMORY_LEN]	= { "memory-len", U64 },
	[PVETH_A_PORT_HOST_PEER]	= { "host-peer", U16 },
	[PVETH_A_PORT_GUEST_MAC]	= { "guest-mac", MAC },
	[PVETH_A_PORT_KICK_FD]		= { "kick-fd", FD },
	[PVETH_A_PORT_CALL_FD]		= { "call-fd", FD },
	[PVETH_A_PORT_QUEUE_PAIRS]	= { "queue-pairs", U16 },
	[PVETH_A_PORT_FEATURES]		= { "features", U64 },
	[PVETH_A_PORT_SESSIONS]		= { "sessions", U64 },
	[PVETH_A_PORT_GUEST_MTU]	= { "guest-mtu", U32 },
	[PVETH_A_PORT_GUEST_CURRENT_MAC] = { "guest-current-mac", MAC },
	[PVETH_A_PORT_STATS]		= { "stats", NEST },
	[PVETH_A_PORT_REGION]		= { "region", NEST },
};

static const struct kind_of_attribute stat_kinds[PVETH_A_PORT_STATS_MAX + 1] = {
	[PVETH_A_PORT_STATS_G2H_FRAMES]	= { "g2h-frames", U64 },
	[PVETH_A_PORT_STATS_G2H_BYTES]	= { "g2h-bytes", U64 },
	[PVETH_A_PORT_STATS_G2H_BAD]	= { "g2h-bad", U64 },
	[PVETH_A_PORT_STATS_G2H_DROPPED] = { "g2h-dropped", U64 },
	[PVETH_A_PORT_STATS_H2G_FRAMES]	= { "h2g-frames", U64 },
	[PVETH_A_PORT_STATS_H2G_BYTES]	= { "h2g-bytes", U64 },
	[PVETH_A_PORT_STATS_H2G_DROPPED] = { "h2g-dropped", U64 },
	[PVETH_A_PORT_STATS_KICKS]	= { "kicks", U64 },
	[PVETH_A_PORT_STATS_CALLS]	= { "calls", U64 },
	[PVETH_A_PORT_STATS_PROTOCOL_ERRORS] = { "protocol-errors", U64 },
};

static const char *const state_names[] = {
	[PVETH_PORT_STATE_DETACHED]	= "detached",
	[PVETH_PORT_STATE_DOWN]		= "down",
	[PVETH_PORT_STATE_READY]	= "ready",
	[PVETH_PORT_STATE_CONNECTED]	= "connected",
	[PVETH_PORT_STATE_ERROR]	= "error",
};

static const char *const error_names[] = {
	[PVETH_ERR_NONE]	= "none",
	[PVETH_ERR_FEATURES]	= "features",
	[PVETH_ERR_QUEUES]	= "queues",
	[PVETH_ERR_RING_SIZE]	= "ring-size",
	[PVETH_ERR_RING_ADDR]	= "ring-addr",
	[PVETH_ERR_RESERVED]	= "reserved",
	[PVETH_ERR_INDEX]	= "index",
	[PVETH_ERR_FRAME]	= "frame",
	[PVETH_ERR_DESC_ADDR]	= "desc-addr",
	[PVETH_ERR_DESC_LEN]	= "desc-len",
	[PVETH_ERR_DESC_ID]	= "desc-id",
	[PVETH_ERR_OFFLOAD]	= "offload",
	[PVETH_ERR_NO_MEMORY]	= "no-memory",
	[PVETH_ERR_MEMORY]	= "memory",
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

const char *error_name(uint32_t error)
{
	return error < COUNT(error_names) ? error_names[error] : "unknown";
}

uint8_t parse_command(const char *name)
{
	static const char *const names[] = {
		[PVETH_CMD_PORT_GET] = "port-get",
		[PVETH_CMD_PORT_NTF] = "port-ntf",
		[PVETH_CMD_ATTACH] = "attach",
		[PVETH_CMD_DETACH] = "detach",
		[PVETH_CMD_PORT_SET] = "port-set",
	};
	uint8_t i;

	for (i = 1; i < COUNT(names); i++)
		if (!strcmp(name, names[i]))
			return i;
	return parse_number(name);
}

static struct attribute *attributes_new(struct attributes *attrs, uint16_t type)
{
	struct attribute *attr;

	if (attrs->count == MAX_ATTRIBUTES)
		die("too many attributes");
	attr = &attrs->list[attrs->count++];
	attr->type = type;
	return attr;
}

static void attributes_put(struct attributes *attrs, uint16_t type, const void *data, uint16_t len)
{
	struct attribute *attr = attributes_new(attrs, type);

	if (len > sizeof(attr->data))
		die("the value of an attribute is longer than %zu bytes", sizeof(attr->data));
	attr->len = len;
	memcpy(attr->data, data, len);
}

/* An attribute that is sent unless the command line says anything of its type */
void attributes_default(struct attributes *attrs, uint16_t type, const void *data, uint16_t len)
{
	if (!attrs->given[type])
		attributes_put(attrs, type, data, len);
}

static int32_t parse_fd(const char *value)
{
	int fds[2];

	if (!strcmp(value, "new"))
		return eventfd(0, 0);
	if (!strcmp(value, "pipe"))
		return pipe(fds) ? -1 : fds[0];
	if (!strcmp(value, "closed")) {
		/* Not the next number: that would be open soon. */
		fds[0] = fcntl(STDIN_FILENO, F_DUPFD, 100);
		close(fds[0]);
		return fds[0];
	}
	return (int32_t)parse_number(value);
}

uint64_t parse_address(const char *value)
{
	const size_t len = 16 << 20;
	bool readonly = !strcmp(value, "read-only");
	void *memory;
	int fd;

	if (!strcmp(value, "absent")) {
		memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			die("cannot map memory: %s", strerror(errno));
		return (uintptr_t)memory;
	}
	if (!readonly && strcmp(value, "unmapped"))
		return parse_number(value);
	/* Shared, and its file is open for reading only */
	fd = open("/dev/zero", O_RDONLY);
	memory = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("cannot map /dev/zero: %s", strerror(errno));
	if (!readonly)
		munmap(memory, len);
	return (uintptr_t)memory;
}

static void put_hex(struct attributes *attrs, uint16_t type, const char *hex)
{
	struct attribute *attr = attributes_new(attrs, type);

	for (; *hex; hex += 2)
		if (attr->len == sizeof(attr->data) ||
		    sscanf(hex, "%2hhx", &attr->data[attr->len++]) != 1)
			die("no bytes in hexadecimal: %s", hex);
}

static void put_value(struct attributes *attrs, uint16_t type, const char *value)
{
	uint64_t mac, u64;
	uint32_t u32;
	uint16_t u16;

	switch (kinds[type].kind) {
	case U16:
		u16 = parse_number(value);
		attributes_put(attrs, type, &u16, sizeof(u16));
		break;
	case U32:
		u32 = parse_number(value);
		attributes_put(attrs, type, &u32, sizeof(u32));
		break;
	case FD:
		u32 = parse_fd(value);
		attributes_put(attrs, type, &u32, sizeof(u32));
		break;
	case U64:
		u64 = parse_number(value);
		attributes_put(attrs, type, &u64, sizeof(u64));
		break;
	case ADDRESS:
		u64 = parse_address(value);
		attributes_put(attrs, type, &u64, sizeof(u64));
		break;
	case STRING:
		attributes_put(attrs, type, value, strlen(value) + 1);
		break;
	case MAC:
		mac = parse_mac_word(value);
		attributes_put(attrs, type, &mac, 6);
		break;
	case NEST:
		die("say what is in %s in hexadecimal", kinds[type].name);
	}
}

/* NAME=VALUE, NAME=hex:BYTES, NAME= for none. NAME may be a number: then what holds
 * others does not say so.
 */
void attributes_add_word(struct attributes *attrs, const char *word)
{
	const char *value = strchr(word, '=');
	uint16_t type, nested;

	if (!value)
		die("no attribute: %s", word);
	for (type = 1; type <= PVETH_A_PORT_MAX; type++)
		if (kinds[type].name && strlen(kinds[type].name) == (size_t)(value - word) &&
		    !strncmp(kinds[type].name, word, value - word))
			break;
	nested = type <= PVETH_A_PORT_MAX && kinds[type].kind == NEST ? NLA_F_NESTED : 0;
	if (type > PVETH_A_PORT_MAX)
		type = strtoul(word, NULL, 10);
	if (!type || type > UINT8_MAX)
		die("no attribute: %s", word);
	attrs->given[type] = true;
	value++;
	if (!strncmp(value, "hex:", 4))
		put_hex(attrs, type | nested, value + 4);
	else if (*value && type <= PVETH_A_PORT_MAX)
		put_value(attrs, type, value);
	else if (*value)
		die("say what is in attribute %u in hexadecimal", type);
}

/* A nested attribute; it is not printed by any answer. */
void attributes_add_region(struct attributes *attrs, uint64_t guest_addr, uint64_t addr,
			   uint64_t bytes)
{
	struct {
		struct nlattr attr;
		uint64_t value;
	} __attribute__((packed)) nested[] = {
		{ { .nla_type = PVETH_A_PORT_REGION_GUEST_ADDR }, guest_addr },
		{ { .nla_type = PVETH_A_PORT_REGION_MEMORY_ADDR }, addr },
		{ { .nla_type = PVETH_A_PORT_REGION_MEMORY_LEN }, bytes },
	};
	size_t i;

	for (i = 0; i < COUNT(nested); i++)
		nested[i].attr.nla_len = sizeof(nested[i]);
	attributes_put(attrs, PVETH_A_PORT_REGION | NLA_F_NESTED, nested, sizeof(nested));
}

static void print_attribute(const struct kind_of_attribute *kind, const struct nlattr *attr)
{
	const uint8_t *mac;
	uint32_t u32;

	printf(" %s=", kind->name);
	switch (kind->kind) {
	case U16:
		printf("%u", mnl_attr_get_u16(attr));
		break;
	case U32:
		u32 = mnl_attr_get_u32(attr);
		if (kind == &kinds[PVETH_A_PORT_STATE] && u32 < COUNT(state_names))
			printf("%s", state_names[u32]);
		else if (kind == &kinds[PVETH_A_PORT_ERROR] ||
			 kind == &kinds[PVETH_A_PORT_GUEST_ERROR])
			printf("%s", error_name(u32));
		else
			printf("%u", u32);
		break;
	case U64:
		printf("%" PRIu64, mnl_attr_get_u64(attr));
		break;
	case STRING:
		printf("%s", mnl_attr_get_str(attr));
		break;
	case MAC:
		mac = mnl_attr_get_payload(attr);
		printf("%02x:%02x:%02x:%02x:%02x:%02x",
		       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
		break;
	default:
		printf("?");
	}
}

/* All that a message says of a port, in a line */
static void print_port(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr, *stat;
	uint16_t type;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		type = mnl_attr_get_type(attr);
		if (type == PVETH_A_PORT_STATS) {
			mnl_attr_for_each_nested(stat, attr) {
				type = mnl_attr_get_type(stat);
				if (type <= PVETH_A_PORT_STATS_MAX && stat_kinds[type].name)
					print_attribute(&stat_kinds[type], stat);
			}
		} else if (type <= PVETH_A_PORT_MAX && kinds[type].name) {
			print_attribute(&kinds[type], attr);
		}
	}
	putchar('\n');
	fflush(stdout);
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_GENERIC);
	int on = 1;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_setsockopt(nl, NETLINK_EXT_ACK, &on, sizeof(on)))
		die("no netlink: %s", strerror(errno));
	return nl;
}

static struct nlmsghdr *new_request(char *buffer, uint16_t family, uint16_t flags, uint8_t command)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = command;
	genl->version = PVETH_FAMILY_VERSION;
	return nlh;
}

/* Which attribute of the request is at this offset? */
static const char *attribute_at(const struct nlmsghdr *request, uint32_t offset)
{
	const struct nlattr *attr = (const void *)((const char *)request + offset);

	if (offset + sizeof(*attr) > request->nlmsg_len)
		return "no attribute";
	if (mnl_attr_get_type(attr) > PVETH_A_PORT_MAX || !kinds[mnl_attr_get_type(attr)].name)
		return "unknown attribute";
	return kinds[mnl_attr_get_type(attr)].name;
}

/* ERRNO: what the kernel says (attribute) */
static int print_result(const struct nlmsghdr *answer, const struct nlmsghdr *request)
{
	const struct nlmsgerr *result = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;
	unsigned int offset;

	if (!result->error)
		return 0;
	fprintf(stderr, "portctl: %s", strerrorname_np(-result->error));
	if (answer->nlmsg_flags & NLM_F_ACK_TLVS) {
		offset = sizeof(*result);
		if (!(answer->nlmsg_flags & NLM_F_CAPPED))
			offset += result->msg.nlmsg_len - NLMSG_HDRLEN;
		mnl_attr_for_each(attr, answer, offset)
			if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
				fprintf(stderr, ": %s", mnl_attr_get_str(attr));
		mnl_attr_for_each(attr, answer, offset)
			if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS)
				fprintf(stderr, " (%s)",
					attribute_at(request, mnl_attr_get_u32(attr)));
	}
	fputc('\n', stderr);
	return result->error;
}

/* meanwhile: a command to be run after the first part of an answer, or NULL */
static int exchange(struct mnl_socket *nl, const struct nlmsghdr *request,
		    void (*reply)(const struct nlmsghdr *nlh), const char *meanwhile)
{
	static char buffer[BUFFER_SIZE];
	const struct nlmsghdr *nlh;
	ssize_t n;
	int len;

	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		die("cannot ask the kernel: %s", strerror(errno));
	for (;;) {
		n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (n < 0)
			die("no answer of the kernel: %s", strerror(errno));
		len = n;
		for (nlh = (void *)buffer; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
				puts("interrupted");
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return print_result(nlh, request);
			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			reply(nlh);
		}
		if (meanwhile && system(meanwhile))
			die("a command failed");
		meanwhile = NULL;
	}
}

static uint16_t family_id;
static uint32_t family_group;

static void family_reply(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr, *group, *field;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			family_id = mnl_attr_get_u16(attr);
		if (mnl_attr_get_type(attr) != CTRL_ATTR_MCAST_GROUPS)
			continue;
		mnl_attr_for_each_nested(group, attr)
			mnl_attr_for_each_nested(field, group)
				if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_ID)
					family_group = mnl_attr_get_u32(field);
	}
}

static struct mnl_socket *open_family(void)
{
	struct mnl_socket *nl = open_socket();
	struct nlmsghdr *request;
	char buffer[256];

	request = new_request(buffer, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, PVETH_FAMILY_NAME);
	if (exchange(nl, request, family_reply, NULL))
		die("there is no family " PVETH_FAMILY_NAME);
	return nl;
}

/* Prints what the kernel answers. Returns 0 or a negative errno. */
int family_request(uint8_t command, const struct attributes *attrs)
{
	static char buffer[BUFFER_SIZE];
	struct mnl_socket *nl = open_family();
	struct nlmsghdr *request;
	unsigned int i;
	int ret;

	request = new_request(buffer, family_id, NLM_F_ACK, command);
	for (i = 0; i < attrs->count; i++)
		mnl_attr_put(request, attrs->list[i].type, attrs->list[i].len,
			     attrs->list[i].data);
	ret = exchange(nl, request, print_port, NULL);
	mnl_socket_close(nl);
	return ret;
}

/* Likewise for all ports. The command is NULL, or is to be run in between. */
int family_dump(const char *command)
{
	struct mnl_socket *nl = open_family();
	char buffer[256];
	int ret;

	ret = exchange(nl, new_request(buffer, family_id, NLM_F_DUMP, PVETH_CMD_PORT_GET),
		       print_port, command);
	mnl_socket_close(nl);
	return ret;
}

/* Prints notifications for ever. */
int family_monitor(void)
{
	static char buffer[BUFFER_SIZE];
	struct mnl_socket *nl = open_family();
	const struct nlmsghdr *nlh;
	ssize_t n;
	int len;

	if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &family_group,
				  sizeof(family_group)))
		die("cannot join the group: %s", strerror(errno));
	puts("listening");
	fflush(stdout);
	for (;;) {
		n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (n < 0)
			die("no notifications: %s", strerror(errno));
		len = n;
		for (nlh = (void *)buffer; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			print_port(nlh);
	}
}
