/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pvethd: what its files share
 *
 * main.c       options, becoming a daemon, the event loop
 * port.c       a port: its interface, its socket, its state file
 * interface.c  the interface of a port
 * attach.c     whose guest is attached to it
 * client.c     a QEMU that is connected to a port's socket
 * ram.c        the guest's RAM, for direct mode
 * ivshmem.c    what a guest shares with its port, and the hello to QEMU
 * describe.c   a port in JSON, as users see it
 * control.c    requests from pvethctl
 * network.c    networks, whose addresses ports have
 * lease.c      addresses that ports have of them
 * route.c      a port in a network, as the host's network has it
 * bridge.c     the same, in the bridge of its network
 * filter.c     what the guest of a port may send
 * dnsmasq.c    what it is told: addresses, routers, names
 * service.c    processes of dnsmasq that do that
 * uplink.c     how it gets out, and is reached from there
 * pool.c       addresses to be taken, each by one
 * state.c      state files
 * conf.c       pvethd.conf: networks and ports from the start
 * config.c     what a port is configured to be, and JSON
 * option.c     what users say of ports and networks
 * parse.c      words of users into values
 * address.c    the same for IP addresses
 * text.c       texts that are written piece by piece
 * netlink.c    netlink sockets
 * rtnl.c       links, addresses, routes
 * genl.c       the kernel's pveth family
 * nft.c        nftables
 * tc.c         traffic control
 * setting.c    /proc/sys/net
 * log.c        messages
 *
 * ctl.c, print.c, top.c, option.c, parse.c and address.c are pvethctl.
 *
 * A function that can fail takes a struct error last, returns a negative value,
 * and has then said there what is wrong.
 */
#ifndef _PVETHD_H
#define _PVETHD_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>
#include <jansson.h>

#include <linux/pveth.h>

#include "address.h"
#include "error.h"

/* Peer IDs of ivshmem. Each window has these two peers and no other. */
#define PVETHD_PEER_HOST	0
#define PVETHD_PEER_GUEST	1

#define PVETHD_MAX_VECTORS	(PVETH_VECTOR_QUEUE + PVETH_MAX_QUEUE_PAIRS)

/* What QEMU and everybody else may wait for at once: see client.c, control.c */
#define PVETHD_MAX_CLIENTS	16

enum family_index {
	FAMILY_IPV4,
	FAMILY_IPV6,
	FAMILIES,
};

/* What a filter does not mind: bits of &struct port_config.allow */
enum allow {
	ALLOW_ALL = 1 << 0,		/* there is no filter */
	ALLOW_VLAN = 1 << 1,		/* frames with VLAN tags, whatever is in them */
	ALLOW_LINK_LOCAL = 1 << 2,	/* any number of link-local IPv6 addresses */
};

/* Why a filter drops a frame: pvethctl(8) */
enum filter_reason {
	FILTER_MAC,
	FILTER_VLAN,
	FILTER_ARP,
	FILTER_IPV4,
	FILTER_IPV6,
	FILTER_NDP,
	FILTER_DHCP,
	FILTER_RA,
	FILTER_OTHER,
	FILTER_REASONS,
};

/**
 * struct publish - a port of the uplink that is one of the guest's
 * @host: there
 * @guest: port of the guest
 * @udp: of UDP, or else of TCP
 */
struct publish {
	uint16_t host;
	uint16_t guest;
	bool udp;
};

#define MAX_PUBLISH	64

/**
 * struct port_config - what a port is configured to be
 * @name: of the port and of its interface
 * @has_mac: @mac is known; until port_add() it may not be
 * @mac: the guest's MAC address
 * @network: the network that it is in, or empty
 * @address: the guest's addresses there; until port_add(), those that are wanted
 * @allow: what it may send besides: enum allow
 * @publish: its ports that are reached at the network's uplink
 * @publish_count: how many
 * @queues: queue pairs
 * @mtu: MTU of the interface when it is made; 0 if that is to be found out
 * @window_size: bytes of a guest's window
 * @direct: guests may use direct mode
 * @memory: direct mode: bytes of the guest's RAM
 * @memory_dir: direct mode: directory of the file that is the guest's RAM
 * @machine: direct mode: QEMU's machine type, "q35" or "pc"
 * @rate_in: bits per second that go to the guest at most, or 0 if there is no limit
 * @rate_out: the same of those that come from it
 * @bridge: what the interface is put into when it is made, or empty
 * @socket_user: who may connect to the socket, a name or a number, or empty
 * @socket_group: the same
 */
struct port_config {
	char name[IFNAMSIZ];
	bool has_mac;
	uint8_t mac[6];
	char network[IFNAMSIZ];
	struct address address[FAMILIES];
	unsigned int allow;
	struct publish publish[MAX_PUBLISH];
	unsigned int publish_count;
	unsigned int queues;
	unsigned int mtu;
	uint64_t window_size;
	bool direct;
	uint64_t memory;
	char memory_dir[256];
	char machine[8];
	uint64_t rate_in;
	uint64_t rate_out;
	char bridge[IFNAMSIZ];
	char socket_user[64];
	char socket_group[64];
};

/**
 * struct guest - what a guest shares with its port
 * @vectors: number of doorbells in each direction
 * @window_size: bytes of the window
 * @memory_fd: the window
 * @kick_fd: eventfds that the guest signals, by vector
 * @call_fd: eventfds that interrupt the guest, by vector
 */
struct guest {
	unsigned int vectors;
	uint64_t window_size;
	int memory_fd;
	int kick_fd[PVETHD_MAX_VECTORS];
	int call_fd[PVETHD_MAX_VECTORS];
};

/**
 * struct client - a QEMU that is connected to a port's socket
 * @entry: in &port.clients, in order of arrival
 * @port: the port
 * @fd: the connection
 * @pid: process that connected, for information
 * @closed: the connection ends
 * @send: the hello goes on, since there is room in the connection
 * @send_later: it does, whatever kept it
 * @guest: what it was given, until the hello is sent and the port has it, and
 *	then for as long as it may have to be attached again; NULL before that
 * @hello: messages of the hello that were sent
 * @greeted: the hello is complete
 */
struct client {
	TAILQ_ENTRY(client) entry;
	struct port *port;
	int fd;
	pid_t pid;
	struct event *closed;
	struct event *send;
	struct event *send_later;
	struct guest *guest;
	unsigned int hello;
	bool greeted;
};

TAILQ_HEAD(client_list, client);

/**
 * struct port - a port
 * @entry: in the list of ports
 * @config: what it is configured to be
 * @socket: path of its socket
 * @ifindex: its interface, or 0 if there is none
 * @last_ifindex: the one that it had, which may have another name now; 0 if that is gone
 * @host_mac: its MAC address
 * @mtu: its MTU
 * @up: it is up
 * @wants_link: make its interface when that is possible
 * @wants_bridge: put it into its bridge when that is there
 * @listen_fd: the socket, or -1
 * @accept: a QEMU connects
 * @clients: connected QEMUs
 * @clients_count: how many
 * @attached: the one whose guest is attached to the interface, if it is known
 * @attached_ifindex: which interface that was
 * @filler: allocates the guest's RAM, or NULL
 * @filtered: the filter is in place, or there is to be none
 * @limited_in: &port_config.rate_in is seen to
 * @limited_out: &port_config.rate_out is
 * @filtered_out: frames that it has dropped: filters_count()
 * @retry: tries again what failed
 * @problem: what keeps a guest from being attached, or empty
 * @route_problem: what keeps the host from reaching it, or empty
 */
struct port {
	TAILQ_ENTRY(port) entry;
	struct port_config config;
	char socket[108];
	unsigned int ifindex;
	unsigned int last_ifindex;
	uint8_t host_mac[6];
	unsigned int mtu;
	bool up;
	bool wants_link;
	bool wants_bridge;
	int listen_fd;
	struct event *accept;
	struct client_list clients;
	unsigned int clients_count;
	struct client *attached;
	unsigned int attached_ifindex;
	struct ram_filler *filler;
	bool filtered;
	bool limited_in;
	bool limited_out;
	uint64_t filtered_out[FILTER_REASONS];
	struct event *retry;
	char problem[ERROR_TEXT];
	char route_problem[ERROR_TEXT];
};

/**
 * struct ram_region - a part of the guest's RAM
 * @guest_addr: where the guest's devices have it
 * @addr: where it is mapped here
 * @size: in bytes
 */
struct ram_region {
	uint64_t guest_addr;
	void *addr;
	uint64_t size;
};

/**
 * struct ram - the guest's RAM, mapped; or none
 * @addr: where, or NULL
 * @size: in bytes
 * @count: number of @regions
 * @regions: its parts: below, and above 4 GiB
 */
struct ram {
	void *addr;
	uint64_t size;
	unsigned int count;
	struct ram_region regions[2];
};

/* log.c APIs: */
void log_open(void);
void log_to_syslog(void);
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* config.c APIs: */
int config_from_json(json_t *json, struct port_config *config, struct error *err);
json_t *config_to_json(const struct port_config *config);

/* state.c APIs: */
enum state_kind {
	STATE_PORT,
	STATE_NETWORK,
};

int directory_lock(int fd, const char *dir, const char *option, struct error *err);
int state_open(const char *dir, struct error *err);
int state_lock(const char *dir, struct error *err);
int state_save(enum state_kind kind, const char *name, json_t *json, struct error *err);
int state_remove(enum state_kind kind, const char *name, struct error *err);
bool state_exists(enum state_kind kind, const char *name);
int state_load(enum state_kind kind, int (*found)(json_t *json, struct error *err),
	       void (*lost)(const json_t *json), struct error *err);

/* ivshmem.c APIs: */
enum hello_result {
	HELLO_DONE,
	HELLO_FULL,	/* the socket takes no more now */
	HELLO_LATER,	/* the system has no room for it now */
	HELLO_GONE,	/* the client is gone */
};

struct guest *guest_create(unsigned int queues, uint64_t window_size, struct error *err);
void guest_free(struct guest *guest);
void *guest_map(const struct guest *guest, struct error *err);
void guest_unmap(const struct guest *guest, void *window);
void hello_prepare(int fd);
enum hello_result hello_send(int fd, const struct guest *guest, unsigned int *sent);

/* ram.c APIs: */
int ram_path(const struct port_config *config, char *path, size_t len);
int ram_make(const struct port_config *config, struct error *err);
void ram_remove(const struct port_config *config);
struct ram_filler *ram_fill(struct port *port, void (*done)(struct port *port, int error),
			    struct error *err);
void ram_fill_cancel(struct ram_filler *filler);
void ram_fillers_close(void);
bool ram_needs_filling(const struct port_config *config);
int ram_map(const struct port_config *config, struct ram *ram, struct error *err);
void ram_unmap(struct ram *ram);

/* client.c APIs: */
int socket_owner(const struct port_config *config, uid_t *uid, gid_t *gid, struct error *err);
void clients_accept(struct port *port);
int clients_listen(struct port *port, struct error *err);
void clients_close(struct port *port);
struct client *clients_waiting(const struct port *port);
json_t *clients_to_json(const struct port *port);
void client_greet(struct client *client);
void client_forget_guest(struct client *client);

/* attach.c APIs: */
void port_serve(struct port *port);

struct link_info;

/* interface.c APIs: */
int interface_find(struct port *port, struct error *err);
int interface_make(struct port *port, bool *made, struct error *err);
int interface_delete(const struct port *port, bool *deleted, struct error *err);
int interface_find_bridge(const char *bridge, struct link_info *link, struct error *err);
int interface_join_bridge(struct port *port, struct error *err);
void interface_try_bridge(struct port *port);

/* port.c APIs: */
int ports_open(struct event_base *base, const char *run_dir, struct error *err);
void ports_close(void);
struct event_base *ports_base(void);
struct port *port_next(struct port *port);
struct port *port_find(const char *name);
struct port *port_with_mac(const uint8_t *mac);
struct port *port_with_address(const struct address *address);
struct port *port_of_network(const char *network, const struct port *after);
int port_check(json_t *json, struct event_base *event_base, struct error *err);
struct port *port_add(struct port_config *config, struct error *err);
int port_del(struct port *port, struct error *err);
int port_del_unserved(const char *name, struct error *err);
void port_set_problem(struct port *port, const char *problem);
void port_try_again(struct port *port);
void port_filter_again(struct port *port);
json_t *ports_to_json(void);
void ports_interface_changed(unsigned int ifindex, const char *name);
void ports_interface_gone(unsigned int ifindex);
void ports_session_changed(unsigned int ifindex);
void ports_refresh(void);
void ports_module_loaded(void);

/* filter.c APIs: */
int filter_set(const struct port *port, struct error *err);
void filters_set(void);
void filter_remove(const struct port *port);
void filter_deleted(const char *table, const char *chain);
void filters_changed(void);
void filters_check(void);
void filters_count(void);
json_t *filter_to_json(const struct port *port);

/* describe.c APIs: */
json_t *port_to_json(const struct port *port);

/* control.c APIs: */
int control_open(struct event_base *base, const char *run_dir, struct error *err);
void control_close(void);

#endif /* _PVETHD_H */
