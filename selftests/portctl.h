/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portctl: what its files share
 *
 * portctl.c          the command line
 * portctl_netlink.c  the kernel's family "pveth", with any attributes
 * portctl_guest.c    the guest's side of a window, with any contents
 * portctl_server.c   windows for QEMU
 */
#ifndef _PORTCTL_H
#define _PORTCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/pveth.h>
#include <linux/pveth_netlink.h>

/* More than any request needs, and more than the kernel takes */
#define MAX_ATTRIBUTES	64

struct attribute {
	uint16_t type;
	uint16_t len;
	uint8_t data[64];
};

/**
 * struct attributes - those of a request, in order
 * @count: how many
 * @list: the attributes
 * @given: by type: the command line says what it is, so that defaults do not
 *	matter
 */
struct attributes {
	unsigned int count;
	struct attribute list[MAX_ATTRIBUTES];
	bool given[UINT8_MAX + 1];
};

/* More than the kernel takes */
#define MAX_REGIONS	(PVETH_MAX_REGIONS + 1)

/**
 * struct region - part of the guest's RAM
 * @guest_addr: its address there
 * @bytes: its size
 * @memory: where it is here, or NULL if it is not
 */
struct region {
	uint64_t guest_addr;
	uint64_t bytes;
	void *memory;
};

/**
 * struct guest - what a guest shares with its port
 * @port: name of the port's interface
 * @window: the window
 * @window_size: its size in bytes
 * @regions: number of @region
 * @region: its RAM
 * @direct: addresses in the session are those of its RAM
 * @vectors: doorbells in each direction
 * @kick_fd: eventfds that the guest signals, by vector
 * @call_fd: eventfds that interrupt the guest, by vector
 * @word: the guest's session word
 */
struct guest {
	const char *port;
	void *window;
	uint64_t window_size;
	unsigned int regions;
	struct region region[MAX_REGIONS];
	bool direct;
	unsigned int vectors;
	int kick_fd[PVETH_MAX_FDS];
	int call_fd[PVETH_MAX_FDS];
	uint32_t word;
};

/* portctl.c APIs: */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t parse_number(const char *text);
uint64_t parse_mac_word(const char *text);

/* portctl_netlink.c APIs: */
uint8_t parse_command(const char *name);
void attributes_default(struct attributes *attrs, uint16_t type, const void *data, uint16_t len);
void attributes_add_word(struct attributes *attrs, const char *word);
void attributes_add_region(struct attributes *attrs, uint64_t guest_addr, uint64_t addr,
			   uint64_t bytes);
uint64_t parse_address(const char *value);
int family_request(uint8_t command, const struct attributes *attrs);
int family_dump(void);
int family_monitor(void);
const char *error_name(uint32_t error);

/* portctl_guest.c APIs: */
void guest_steps(struct guest *guest, char **words);

/* portctl_server.c APIs: */
void window_make(const char *file, uint64_t size, char **words);
int window_serve(const char *path, const char *file, unsigned int vectors);

#endif /* _PORTCTL_H */
