// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's generic netlink family "pveth":
 * Documentation/netlink/specs/pveth.yaml
 *
 * It is there while the module is. Its number is asked for when it is needed,
 * and forgotten when the kernel says that it is gone.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

#include "netlink.h"

static struct netlink genl;
static struct netlink_monitor monitor;
static uint16_t pveth_id;

/* What the kernel says of the family of a name: its number, and that of its only group */
struct family {
	const char *name;
	uint16_t id;
	uint32_t group;
};

static struct nlmsghdr *genl_request(char *buffer, uint16_t family, uint8_t command,
				     uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *genlh;

	nlh->nlmsg_type = family;
	genlh = mnl_nlmsg_put_extra_header(nlh, sizeof(*genlh));
	genlh->cmd = command;
	genlh->version = version;
	return nlh;
}

static void genl_attributes(const struct nlmsghdr *nlh, const struct nlattr **table,
			    unsigned int max)
{
	netlink_attributes(mnl_nlmsg_get_payload_offset(nlh, sizeof(struct genlmsghdr)),
			   mnl_nlmsg_get_payload_tail(nlh), table, max);
}

static void family_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *table[CTRL_ATTR_MAX + 1], *group[CTRL_ATTR_MCAST_GRP_MAX + 1];
	struct family *family = data;
	const struct nlattr *first;

	genl_attributes(nlh, table, CTRL_ATTR_MAX);
	if (!table[CTRL_ATTR_FAMILY_NAME] ||
	    strcmp(mnl_attr_get_str(table[CTRL_ATTR_FAMILY_NAME]), family->name))
		return;
	if (table[CTRL_ATTR_FAMILY_ID])
		family->id = mnl_attr_get_u16(table[CTRL_ATTR_FAMILY_ID]);
	if (!table[CTRL_ATTR_MCAST_GROUPS])
		return;
	first = mnl_attr_get_payload(table[CTRL_ATTR_MCAST_GROUPS]);
	if (!mnl_attr_ok(first, mnl_attr_get_payload_len(table[CTRL_ATTR_MCAST_GROUPS])))
		return;
	netlink_nested_attributes(first, group, CTRL_ATTR_MCAST_GRP_MAX);
	if (group[CTRL_ATTR_MCAST_GRP_ID])
		family->group = mnl_attr_get_u32(group[CTRL_ATTR_MCAST_GRP_ID]);
}

/* Asking for a family loads its module, asking for all loads none. Returns its number, which
 * is 0 if it is not among all, or a negative errno.
 */
static int find_family(const char *name, bool load, struct error *err)
{
	struct family family = { .name = name };
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;
	int ret;

	nlh = genl_request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	if (load)
		mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, name);
	else
		nlh->nlmsg_flags = NLM_F_DUMP;
	ret = netlink_request(&genl, nlh, family_reply, &family, err);
	if (!ret && family.group)
		ret = netlink_monitor_join(&monitor, family.group, err);
	return ret ? ret : family.id;
}

static int pveth_family(struct error *err)
{
	int ret;

	if (pveth_id)
		return 0;
	ret = find_family(PVETH_FAMILY_NAME, true, err);
	if (ret == -ENOENT)
		error_set(err, "the kernel module pveth_host is not loaded");
	if (ret < 0)
		return ret;
	pveth_id = ret;
	return 0;
}

bool kernel_has_ports(void)
{
	return pveth_id;
}

static uint16_t get_u16(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u16(attr) : 0;
}

static uint32_t get_u32(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

static uint64_t get_u64(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u64(attr) : 0;
}

static void status_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *stats[PVETH_A_PORT_STATS_MAX + 1];
	const struct nlattr *port[PVETH_A_PORT_MAX + 1];
	struct port_status *status = data;
	const struct nlattr *mac;
	unsigned int i;

	genl_attributes(nlh, port, PVETH_A_PORT_MAX);
	status->state = get_u32(port[PVETH_A_PORT_STATE]);
	status->error = get_u32(port[PVETH_A_PORT_ERROR]);
	status->guest_error = get_u32(port[PVETH_A_PORT_GUEST_ERROR]);
	status->queue_pairs = get_u16(port[PVETH_A_PORT_QUEUE_PAIRS]);
	status->features = get_u64(port[PVETH_A_PORT_FEATURES]);
	status->sessions = get_u64(port[PVETH_A_PORT_SESSIONS]);
	status->guest_mtu = get_u32(port[PVETH_A_PORT_GUEST_MTU]);
	mac = port[PVETH_A_PORT_GUEST_CURRENT_MAC];
	if (mac && mnl_attr_get_payload_len(mac) == sizeof(status->guest_current_mac))
		memcpy(status->guest_current_mac, mnl_attr_get_payload(mac),
		       sizeof(status->guest_current_mac));
	if (!port[PVETH_A_PORT_STATS])
		return;
	netlink_nested_attributes(port[PVETH_A_PORT_STATS], stats, PVETH_A_PORT_STATS_MAX);
	for (i = PVETH_A_PORT_STATS_G2H_FRAMES; i <= PVETH_A_PORT_STATS_MAX; i++)
		status->stats[i] = get_u64(stats[i]);
}

int port_status_get(unsigned int ifindex, struct port_status *status, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlmsghdr *nlh;
	int ret;

	memset(status, 0, sizeof(*status));
	ret = pveth_family(err);
	if (ret)
		return ret;
	nlh = genl_request(buffer, pveth_id, PVETH_CMD_PORT_GET, PVETH_FAMILY_VERSION);
	mnl_attr_put_u32(nlh, PVETH_A_PORT_IFINDEX, ifindex);
	return netlink_request(&genl, nlh, status_reply, status, err);
}

int port_attach(unsigned int ifindex, const uint8_t *mac, const struct guest *guest,
		const void *window, const struct ram *ram, struct error *err)
{
	char buffer[NETLINK_MESSAGE];
	struct nlattr *region;
	struct nlmsghdr *nlh;
	unsigned int i;
	int ret;

	ret = pveth_family(err);
	if (ret)
		return ret;
	nlh = genl_request(buffer, pveth_id, PVETH_CMD_ATTACH, PVETH_FAMILY_VERSION);
	mnl_attr_put_u32(nlh, PVETH_A_PORT_IFINDEX, ifindex);
	mnl_attr_put_u64(nlh, PVETH_A_PORT_MEMORY_ADDR, (uintptr_t)window);
	mnl_attr_put_u64(nlh, PVETH_A_PORT_MEMORY_LEN, guest->window_size);
	mnl_attr_put_u16(nlh, PVETH_A_PORT_HOST_PEER, PVETHD_PEER_HOST);
	mnl_attr_put(nlh, PVETH_A_PORT_GUEST_MAC, 6, mac);
	for (i = 0; i < guest->vectors; i++)
		mnl_attr_put_u32(nlh, PVETH_A_PORT_KICK_FD, guest->kick_fd[i]);
	for (i = 0; i < guest->vectors; i++)
		mnl_attr_put_u32(nlh, PVETH_A_PORT_CALL_FD, guest->call_fd[i]);
	for (i = 0; i < ram->count; i++) {
		region = mnl_attr_nest_start(nlh, PVETH_A_PORT_REGION);
		mnl_attr_put_u64(nlh, PVETH_A_PORT_REGION_GUEST_ADDR,
				 ram->regions[i].guest_addr);
		mnl_attr_put_u64(nlh, PVETH_A_PORT_REGION_MEMORY_ADDR,
				 (uintptr_t)ram->regions[i].addr);
		mnl_attr_put_u64(nlh, PVETH_A_PORT_REGION_MEMORY_LEN, ram->regions[i].size);
		mnl_attr_nest_end(nlh, region);
	}
	ret = netlink_request(&genl, nlh, NULL, NULL, err);
	if (ret == -ENOBUFS)
		error_prefix(err, "give pvethd CAP_IPC_LOCK or a larger RLIMIT_MEMLOCK");
	return ret;
}

static void port_notification(const struct nlmsghdr *nlh)
{
	const struct nlattr *port[PVETH_A_PORT_MAX + 1];

	genl_attributes(nlh, port, PVETH_A_PORT_MAX);
	if (port[PVETH_A_PORT_IFINDEX])
		ports_session_changed(mnl_attr_get_u32(port[PVETH_A_PORT_IFINDEX]));
}

/* A family came or went. */
static void control_notification(const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *genlh = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *table[CTRL_ATTR_MAX + 1];
	struct error err;

	genl_attributes(nlh, table, CTRL_ATTR_MAX);
	if (!table[CTRL_ATTR_FAMILY_NAME] ||
	    strcmp(mnl_attr_get_str(table[CTRL_ATTR_FAMILY_NAME]), PVETH_FAMILY_NAME))
		return;
	if (genlh->cmd == CTRL_CMD_DELFAMILY) {
		pveth_id = 0;
	} else if (genlh->cmd == CTRL_CMD_NEWFAMILY) {
		pveth_id = 0;
		if (pveth_family(&err))
			log_error("%s", err.text);
		ports_module_loaded();
	}
}

/* The module may have gone, and come: its family has another number each time. */
static void notifications_lost(void)
{
	int old = pveth_id, now;
	struct error err;

	now = find_family(PVETH_FAMILY_NAME, false, &err);
	if (now < 0) {
		log_error("%s", err.text);
		now = 0;
	}
	pveth_id = now;
	if (now && now != old)
		ports_module_loaded();
	ports_session_changed(0);
}

static void genl_notification(const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type == GENL_ID_CTRL)
		control_notification(nlh);
	else if (pveth_id && nlh->nlmsg_type == pveth_id)
		port_notification(nlh);
}

int genl_open(struct event_base *base, struct error *err)
{
	struct error absent;
	int ret;

	monitor.message = genl_notification;
	monitor.lost = notifications_lost;
	if (netlink_open(&genl, NETLINK_GENERIC, err) ||
	    netlink_monitor_open(&monitor, NETLINK_GENERIC, base, err))
		return -1;
	ret = find_family("nlctrl", true, err);
	if (ret < 0)
		return ret;
	/* Asking for it loads the module. */
	if (pveth_family(&absent))
		log_info("%s", absent.text);
	return 0;
}

void genl_close(void)
{
	netlink_monitor_close(&monitor);
	netlink_close(&genl);
	pveth_id = 0;
}
