/* SPDX-License-Identifier: GPL-2.0 */
/*
 * portctl: what its files share
 *
 * portctl.c          the command line
 * portctl_netlink.c  the kernel's family "pveth", with any attributes
 * portctl_steps.c    what the next two have in common
 * portctl_guest.c    the guest's side of a window, with any contents
 * portctl_host.c     the host's side
 * portctl_server.c   windows for QEMU
 */
#ifndef _PORTCTL_H
#define _PORTCTL_H

#include <endian.h>
#include <inttypes.h>
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
 * struct ring - a ring of queue pair 0 in the session
 * @addr: where it is
 * @size: how many entries it has
 * @index: how far it is
 * @new: how many entries are written and not handed over
 */
struct ring {
	uint64_t addr;
	uint32_t size;
	uint32_t index;
	uint32_t new;
};

/**
 * struct guest - what a guest shares with its host; one of both is played
 * @port: name of the port's interface, if the guest is played
 * @window: the window
 * @window_size: its size in bytes
 * @regions: number of @region
 * @region: its RAM
 * @direct: addresses in the session are those of its RAM
 * @vectors: doorbells in each direction
 * @kick_fd: eventfds that the guest signals, by vector
 * @call_fd: eventfds that interrupt the guest, by vector
 * @ring_fd: those of them that we signal
 * @rung_fd: those of them that the peer signals
 * @word: our session word
 * @peer_word: that of the peer in this session
 * @g2h: frames to the host
 * @g2h_done: their completions
 * @h2g_post: buffers for the host
 * @h2g: frames to the guest
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
	const int *ring_fd;
	const int *rung_fd;
	uint32_t word;
	uint32_t peer_word;
	struct ring g2h;
	struct ring g2h_done;
	struct ring h2g_post;
	struct ring h2g;
};

static inline struct pveth_host_page *host_page(const struct guest *g)
{
	return g->window;
}

static inline struct pveth_guest_page *guest_page(const struct guest *g)
{
	return (void *)((char *)g->window + PVETH_GUEST_PAGE_OFFSET);
}

static inline uint32_t load(const __le32 *word)
{
	return le32toh(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static inline void store(__le32 *word, uint32_t value)
{
	__atomic_store_n(word, htole32(value), __ATOMIC_RELEASE);
}

static inline uint32_t host_state(const struct guest *g)
{
	return load(&host_page(g)->session) & PVETH_SESSION_STATE_MASK;
}

/* A peer that is slow may take so long, one that does not answer fails. */
#define ANSWER_MS	60000

#define FRAME_LEN	60

/**
 * struct fields - FIELD=VALUE words of a step
 * @words: the words
 * @count: how many
 * @used: a bit for each that the step asked for
 */
struct fields {
	char **words;
	unsigned int count;
	uint64_t used;
};

/**
 * struct step - something to do for the one that is played
 * @name: its name
 * @run: does it, and prints what the peer answers
 */
struct step {
	const char *name;
	void (*run)(struct guest *g, struct fields *f);
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
int family_dump(const char *command);
int family_monitor(void);
const char *error_name(uint32_t error);

/* portctl_steps.c APIs: */
const char *field_text(struct fields *f, const char *name);
uint64_t field(struct fields *f, const char *name, uint64_t otherwise);
void *at(const struct guest *g, uint64_t addr);
void start_rings(struct guest *g);
void put_header(void *frame, struct fields *f);
void put_desc(struct pveth_desc *desc, struct fields *f, uint64_t addr, uint16_t id);
void ring_peer(const struct guest *g, unsigned int vector);
bool wait_until(const struct guest *g, bool (*condition)(const struct guest *g), int ms);
void any_from(uint64_t seed, uint64_t step);
uint64_t any(uint64_t below);
uint64_t any_number(void);
void spoil_desc(struct pveth_desc *desc);
void flip_desc(struct guest *g, struct ring *ring);
void spoil_index(struct guest *g);
void scribble(struct guest *g);
void run_steps(struct guest *g, const struct step *steps, char **words);

static inline struct pveth_ring *words_of(const struct guest *g, const struct ring *ring)
{
	return at(g, ring->addr);
}

static inline void *entry_of(const struct guest *g, const struct ring *ring, uint32_t index,
			     size_t size)
{
	return (char *)(words_of(g, ring) + 1) + (index % ring->size) * size;
}

/* portctl_guest.c APIs: */
void guest_steps(struct guest *guest, char **words);

/* portctl_host.c APIs: */
void host_steps(struct guest *guest);

/* portctl_server.c APIs: */
void window_make(const char *file, uint64_t size, char **words);
int window_serve(const char *path, const char *file, unsigned int vectors, bool play,
		 const char *ram);

#endif /* _PORTCTL_H */
