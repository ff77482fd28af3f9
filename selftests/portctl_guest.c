// SPDX-License-Identifier: GPL-2.0
/*
 * portctl: the guest's side of a window, with any contents
 *
 * Steps are words of the command line, each followed by what is not to have its
 * default: FIELD=VALUE. What the host answers is printed, a line for each step.
 *
 *	request		end the session, ask for another
 *	desc		write a descriptor of a frame to the host
 *	publish		hand those over, wait for what becomes of the frame
 *	buf		write a buffer for frames to the guest
 *	post		hand those over
 *	frame		send a frame from the port to the guest, wait for it
 *	ended		wait for the end of the session
 *	page		print what the host says in its page
 *	show		print what the kernel's family says of the port
 *	run COMMAND	run a command in a shell
 *	leave		exit, and let a child process hold the session's kick-fd
 *	hold		wait to be killed
 *	fuzz		do what comes to mind
 *
 * The host must ring for each of its answers; nothing is looked at twice without.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "portctl.h"

#define RING_SIZE	64
#define PAIR_BYTES	8192

/* The memory: rings of 16 queue pairs, then buffers of pair 0. In direct mode it is
 * all in the first region, where a check word comes before it.
 */
#define CHECK		(PVETH_MEMORY_OFFSET / 2)
#define RINGS		PVETH_MEMORY_OFFSET
#define SLOTS		(RINGS + PVETH_MAX_QUEUE_PAIRS * PAIR_BYTES)

#define CHECK_NUMBER	0x0123456789abcdefULL

/* Where the buffers are that the host has, by ID */
static uint64_t buf_addr[RING_SIZE];

/* The memory that is used, unless a step says otherwise */
static uint64_t base(const struct guest *g)
{
	return g->direct ? g->region[0].guest_addr : 0;
}

static bool host_is_ready(const struct guest *g)
{
	return host_state(g) == PVETH_HOST_READY;
}

static bool host_answered(const struct guest *g)
{
	return (host_state(g) == PVETH_HOST_CONNECTED || host_state(g) == PVETH_HOST_ERROR) &&
	       load(&host_page(g)->peer) == g->word;
}

static bool session_ended(const struct guest *g)
{
	return host_state(g) != PVETH_HOST_CONNECTED;
}

static bool frame_done_or_ended(const struct guest *g)
{
	return session_ended(g) || load(&words_of(g, &g->g2h_done)->prod) != g->g2h_done.index;
}

static bool frame_came_or_ended(const struct guest *g)
{
	return session_ended(g) || load(&words_of(g, &g->h2g)->prod) != g->h2g.index;
}

static void set_word(struct guest *g, uint32_t gen, uint32_t state)
{
	g->word = gen << PVETH_SESSION_GEN_SHIFT | state;
	store(&guest_page(g)->session, g->word);
	ring_peer(g, PVETH_VECTOR_SESSION);
}

static uint64_t ring_bytes(size_t entry_size)
{
	return sizeof(struct pveth_ring) + RING_SIZE * entry_size;
}

/* The four rings of each, one behind the other */
static void put_pairs(struct pveth_guest_page *page, uint64_t start)
{
	struct pveth_queue_pair *pair;
	uint64_t addr;
	unsigned int i;

	for (i = 0; i < PVETH_MAX_QUEUE_PAIRS; i++) {
		addr = start + RINGS + i * PAIR_BYTES;
		pair = &page->queue[i];
		pair->g2h = htole64(addr);
		addr += ring_bytes(sizeof(struct pveth_desc));
		pair->g2h_done = htole64(addr);
		addr += ring_bytes(sizeof(struct pveth_done));
		pair->h2g_post = htole64(addr);
		addr += ring_bytes(sizeof(struct pveth_buf));
		pair->h2g = htole64(addr);
		pair->g2h_size = htole32(RING_SIZE);
		pair->h2g_size = htole32(RING_SIZE);
		memset(pair->reserved, 0, sizeof(pair->reserved));
	}
}

/* One at the start of the RAM, one at its end */
static void put_checks(const struct guest *g, struct pveth_guest_page *page, struct fields *f)
{
	const struct region *last = &g->region[g->regions - 1];
	const uint64_t check[PVETH_CHECKS] = {
		base(g) + CHECK,
		last->guest_addr + last->bytes - sizeof(page->check),
	};
	unsigned int i;
	char name[16];

	for (i = 0; i < PVETH_CHECKS; i++) {
		*(__le64 *)at(g, check[i]) = htole64(CHECK_NUMBER);
		snprintf(name, sizeof(name), "check-addr%u", i);
		page->check_addr[i] = htole64(field(f, name, check[i]));
	}
	page->check = htole64(field(f, "check", CHECK_NUMBER));
}

static void put_request(const struct guest *g, uint32_t host_gen, struct fields *f)
{
	struct pveth_guest_page *page = guest_page(g);
	struct pveth_queue_pair *pair = &page->queue[field(f, "pair", 0)];
	const char *mac = field_text(f, "mac");

	if (g->direct)
		put_checks(g, page, f);
	page->host_gen = htole32(field(f, "host-gen", host_gen));
	page->features = htole64(field(f, "features", 0));
	page->queue_pairs = htole16(field(f, "queue-pairs", 1));
	page->reserved0 = htole16(field(f, "reserved0", 0));
	memset(page->reserved1, 0, sizeof(page->reserved1));
	page->reserved1[sizeof(page->reserved1) - 1] = field(f, "reserved1", 0);
	page->mtu = htole32(field(f, "mtu", 1500));
	page->mac = htole64(mac ? parse_mac_word(mac) : 0);
	put_pairs(page, base(g));
	pair->g2h = htole64(field(f, "g2h", le64toh(pair->g2h)));
	pair->g2h_done = htole64(field(f, "g2h-done", le64toh(pair->g2h_done)));
	pair->h2g_post = htole64(field(f, "h2g-post", le64toh(pair->h2g_post)));
	pair->h2g = htole64(field(f, "h2g", le64toh(pair->h2g)));
	pair->g2h_size = htole32(field(f, "g2h-size", RING_SIZE));
	pair->h2g_size = htole32(field(f, "h2g-size", RING_SIZE));
	pair->reserved[2] = htole64(field(f, "pair-reserved", 0));
}

/* As a guest does before it asks */
static void clear_memory(const struct guest *g)
{
	unsigned int i;

	memset((char *)g->window + RINGS, 0, g->window_size - RINGS);
	for (i = 0; g->direct && i < g->regions; i++)
		memset(g->region[i].memory, 0, g->region[i].bytes);
}

static void step_request(struct guest *g, struct fields *f)
{
	uint32_t gen = g->word >> PVETH_SESSION_GEN_SHIFT;
	int wait_ms = field(f, "wait-ms", ANSWER_MS);

	set_word(g, gen, PVETH_GUEST_DOWN);
	if (!wait_until(g, host_is_ready, ANSWER_MS))
		die("request: the host does not get ready");
	g->direct = g->regions && field(f, "features", 0) & 1ULL << PVETH_F_DIRECT;
	clear_memory(g);
	put_request(g, load(&host_page(g)->session) >> PVETH_SESSION_GEN_SHIFT, f);
	start_rings(g);
	set_word(g, gen + 1, PVETH_GUEST_CONNECT);
	if (!wait_until(g, host_answered, wait_ms))
		printf("request: no answer\n");
	else if (host_state(g) == PVETH_HOST_CONNECTED)
		printf("request: connected\n");
	else
		printf("request: refused %s\n", error_name(load(&host_page(g)->error)));
}

static void step_desc(struct guest *g, struct fields *f)
{
	uint32_t index = g->g2h.index + g->g2h.new++;
	uint64_t addr = base(g) + SLOTS + (index % RING_SIZE) * PVETH_MIN_BUF_SIZE;
	struct pveth_desc *desc = entry_of(g, &g->g2h, index, sizeof(*desc));

	put_header(at(g, addr), f);
	put_desc(desc, f, addr, index % RING_SIZE);
}

static void print_end(const struct guest *g, const char *step)
{
	if (host_state(g) == PVETH_HOST_ERROR)
		printf("%s: ended %s\n", step, error_name(load(&host_page(g)->error)));
	else
		printf("%s: ended\n", step);
}

static void step_publish(struct guest *g, struct fields *f)
{
	static const char *const names[] = { "ok", "bad", "dropped" };
	struct pveth_done *done;

	g->g2h.index = field(f, "index", g->g2h.index + g->g2h.new);
	g->g2h.new = 0;
	store(&words_of(g, &g->g2h)->prod, g->g2h.index);
	ring_peer(g, PVETH_VECTOR_QUEUE);
	if (!wait_until(g, frame_done_or_ended, ANSWER_MS))
		die("publish: nothing becomes of the frame");
	if (session_ended(g)) {
		print_end(g, "publish");
		return;
	}
	done = entry_of(g, &g->g2h_done, g->g2h_done.index++, sizeof(*done));
	/* The next one is to be announced as well. */
	store(&words_of(g, &g->g2h_done)->event, g->g2h_done.index);
	printf("publish: id %u %s\n", le16toh(done->id),
	       le16toh(done->status) < 3 ? names[le16toh(done->status)] : "?");
}

static void step_buf(struct guest *g, struct fields *f)
{
	uint32_t index = g->h2g_post.index + g->h2g_post.new++;
	struct pveth_buf *buf = entry_of(g, &g->h2g_post, index, sizeof(*buf));

	*buf = (struct pveth_buf) {
		.addr = htole64(field(f, "addr", base(g) + SLOTS +
					 (RING_SIZE + index % RING_SIZE) * PVETH_MIN_BUF_SIZE)),
		.len = htole32(field(f, "len", PVETH_MIN_BUF_SIZE)),
		.id = htole16(field(f, "id", index % RING_SIZE)),
		.reserved = htole16(field(f, "reserved", 0)),
	};
	buf_addr[le16toh(buf->id) % RING_SIZE] = le64toh(buf->addr);
}

static void step_post(struct guest *g, struct fields *f)
{
	g->h2g_post.index = field(f, "index", g->h2g_post.index + g->h2g_post.new);
	g->h2g_post.new = 0;
	store(&words_of(g, &g->h2g_post)->prod, g->h2g_post.index);
	ring_peer(g, PVETH_VECTOR_QUEUE);
}

/* The host says CONNECTED just before it takes frames. */
static void wait_for_carrier(const char *port)
{
	char path[64], carrier = 0;
	int ms = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier", port);
	for (; carrier != '1'; ms++, usleep(1000)) {
		file = fopen(path, "r");
		if (!file || ms == ANSWER_MS)
			die("frame: port %s has no carrier", port);
		if (fread(&carrier, 1, 1, file) != 1)
			die("frame: port %s is down", port);
		fclose(file);
	}
}

/* Straight to the driver: no queueing discipline keeps or drops it. */
static void send_frame(const char *port, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = if_nametoindex(port),
	};
	int sock = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_802_EX1));
	const int on = 1;

	if (sock < 0 ||
	    setsockopt(sock, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) ||
	    sendto(sock, frame, len, 0, (void *)&to, sizeof(to)) < 0)
		die("frame: cannot send: %s", strerror(errno));
	close(sock);
}

/* It comes in one buffer. */
static void step_frame(struct guest *g, struct fields *f)
{
	size_t len = field(f, "len", FRAME_LEN), i;
	struct pveth_desc *desc;
	uint8_t frame[2048];

	if (len > sizeof(frame))
		die("frame: at most %zu bytes", sizeof(frame));
	for (i = 0; i < len; i++)
		frame[i] = i;
	memset(frame, 0xff, ETH_ALEN);
	frame[2 * ETH_ALEN] = ETH_P_802_EX1 >> 8;
	frame[2 * ETH_ALEN + 1] = ETH_P_802_EX1 & 0xff;

	wait_for_carrier(g->port);
	store(&words_of(g, &g->h2g)->event, g->h2g.index);
	send_frame(g->port, frame, len);
	if (!wait_until(g, frame_came_or_ended, ANSWER_MS))
		die("frame: it does not come");
	if (session_ended(g)) {
		print_end(g, "frame");
		return;
	}
	desc = entry_of(g, &g->h2g, g->h2g.index++, sizeof(*desc));
	if (le32toh(desc->len) != len ||
	    memcmp(at(g, buf_addr[le16toh(desc->id) % RING_SIZE]), frame, len))
		die("frame: another one came");
	printf("frame: id %u length %u\n", le16toh(desc->id), le32toh(desc->len));
}

static void step_ended(struct guest *g, struct fields *f)
{
	(void)f;
	if (!wait_until(g, session_ended, ANSWER_MS))
		die("ended: the session goes on");
	print_end(g, "ended");
}

static void step_page(struct guest *g, struct fields *f)
{
	static const char *const states[] = { "down", "ready", "connected", "error" };
	const struct pveth_host_page *page = host_page(g);
	uint64_t mac = htole64(page->mac);
	const uint8_t *m = (void *)&mac;

	(void)f;
	printf("page: version=%u.%u peer=%u queue-pairs=%u window-size=%" PRIu64
	       " features=0x%" PRIx64 " state=%s link=%u mtu=%u mac=%02x:%02x:%02x:%02x:%02x:%02x\n",
	       le16toh(page->version_major), le16toh(page->version_minor),
	       le16toh(page->host_peer), le16toh(page->max_queue_pairs),
	       le64toh(page->window_size), le64toh(page->features),
	       host_state(g) < 4 ? states[host_state(g)] : "?", load(&page->link),
	       load(&page->mtu), m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void step_show(struct guest *g, struct fields *f)
{
	struct attributes attrs = {};

	(void)f;
	attributes_default(&attrs, PVETH_A_PORT_IFNAME, g->port, strlen(g->port) + 1);
	if (family_request(PVETH_CMD_PORT_GET, &attrs))
		exit(EXIT_FAILURE);
}

static void step_leave(struct guest *g, struct fields *f)
{
	pid_t pid = fork();

	(void)f;
	if (pid < 0)
		die("cannot fork: %s", strerror(errno));
	if (pid) {
		printf("leave: %d\n", pid);
		exit(EXIT_SUCCESS);
	}
	/* As standard input, and no other file */
	if (dup2(g->kick_fd[PVETH_VECTOR_SESSION], STDIN_FILENO))
		_exit(EXIT_FAILURE);
	close_range(STDOUT_FILENO, ~0U, 0);
	pause();
	_exit(EXIT_SUCCESS);
}

static void step_hold(struct guest *g, struct fields *f)
{
	(void)g;
	(void)f;
	puts("holding");
	fflush(stdout);
	pause();
}

/* Frames that the host takes, if no field is spoilt */
static void fuzz_frame(struct guest *g)
{
	uint32_t i, count = 1 + any(4), id = any(RING_SIZE);
	struct fields none = {};
	struct pveth_desc *desc;
	uint64_t addr;

	for (i = 0; i < count; i++) {
		addr = base(g) + SLOTS + any(RING_SIZE) * PVETH_MIN_BUF_SIZE;
		desc = entry_of(g, &g->g2h, g->g2h.index++, sizeof(*desc));
		put_header(at(g, addr), &none);
		put_desc(desc, &none, addr, i ? 0 : id);
		desc->len = htole32(1 + any(PVETH_MIN_BUF_SIZE));
		desc->hdr.num_buffers = htole16(i ? 0 : count);
	}
	g->g2h_done.index++;
}

static bool frames_are_done_or_ended(const struct guest *g)
{
	return session_ended(g) || load(&words_of(g, &g->g2h_done)->prod) == g->g2h_done.index;
}

/* The ring is empty afterwards, unless what was spoilt has no answer. */
static void fuzz_publish(struct guest *g)
{
	const int enough_ms = 20;

	store(&words_of(g, &g->g2h_done)->event, g->g2h_done.index - 1);
	store(&words_of(g, &g->g2h)->prod, g->g2h.index);
	ring_peer(g, PVETH_VECTOR_QUEUE);
	wait_until(g, frames_are_done_or_ended, enough_ms);
}

/* As many as there is room for: all that came back */
static void fuzz_post(struct guest *g, bool spoil)
{
	uint32_t came = load(&words_of(g, &g->h2g)->prod);
	struct pveth_buf *buf;

	while (g->h2g_post.index - came < RING_SIZE) {
		buf = entry_of(g, &g->h2g_post, g->h2g_post.index, sizeof(*buf));
		*buf = (struct pveth_buf) {
			.addr = htole64(base(g) + SLOTS +
					(RING_SIZE + g->h2g_post.index % RING_SIZE) *
					PVETH_MIN_BUF_SIZE),
			.len = htole32(PVETH_MIN_BUF_SIZE),
			.id = htole16(g->h2g_post.index % RING_SIZE),
		};
		g->h2g_post.index++;
	}
	buf = entry_of(g, &g->h2g_post, g->h2g_post.index - 1, sizeof(*buf));
	switch (spoil ? any(4) : 4) {
	case 0:
		buf->addr = htole64(any_number());
		break;
	case 1:
		buf->len = htole32(any_number());
		break;
	case 2:
		buf->id = htole16(any_number());
		break;
	case 3:
		buf->reserved = htole16(any_number());
		break;
	}
	store(&words_of(g, &g->h2g_post)->prod, g->h2g_post.index);
	ring_peer(g, PVETH_VECTOR_QUEUE);
}

static void fuzz_page(struct guest *g)
{
	struct pveth_guest_page *page = guest_page(g);

	switch (any(4)) {
	case 0:
		page->mtu = htole32(any_number());
		break;
	case 1:
		page->mac = htole64(any_number());
		break;
	case 2:
		page->error = htole32(any_number());
		break;
	case 3:
		page->queue[0].g2h = htole64(any_number());
		break;
	}
	ring_peer(g, PVETH_VECTOR_SESSION);
}

/* One request of eight is spoilt in one field, and is answered or not. */
static void fuzz_request(struct guest *g)
{
	static const char *const names[] = {
		"host-gen", "features", "queue-pairs", "reserved0", "reserved1", "pair-reserved",
		"g2h", "g2h-done", "h2g-post", "h2g", "g2h-size", "h2g-size", "check",
		"check-addr0", "check-addr1",
	};
	uint32_t gen = g->word >> PVETH_SESSION_GEN_SHIFT;
	char spoilt[64], *words[] = { spoilt, NULL };
	struct fields f = { .words = words };
	/* A host that is late with the one before may take no notice of one. */
	static unsigned int unanswered;
	const int no_answer_ms = 100;

	set_word(g, gen, PVETH_GUEST_DOWN);
	if (!wait_until(g, host_is_ready, ANSWER_MS))
		die("fuzz: the host does not get ready");
	g->direct = g->regions && any(2);
	clear_memory(g);
	if (!any(8)) {
		snprintf(spoilt, sizeof(spoilt), "%s=%" PRIu64,
			 names[any(sizeof(names) / sizeof(*names))], any_number());
		f.count = 1;
	}
	put_request(g, load(&host_page(g)->session) >> PVETH_SESSION_GEN_SHIFT, &f);
	if (g->direct)
		guest_page(g)->features |= htole64(1ULL << PVETH_F_DIRECT);
	start_rings(g);
	set_word(g, gen + 1, PVETH_GUEST_CONNECT);
	if (wait_until(g, host_answered, f.count ? no_answer_ms : ANSWER_MS))
		unanswered = 0;
	else if (!f.count && unanswered++)
		die("fuzz: no answer to good requests");
}

static void fuzz_once(struct guest *g)
{
	switch (any(64)) {
	case 0:
		fuzz_frame(g);
		spoil_desc(entry_of(g, &g->g2h, g->g2h.index - 1, sizeof(struct pveth_desc)));
		fuzz_publish(g);
		break;
	case 1:
		fuzz_frame(g);
		store(&words_of(g, &g->g2h)->prod, g->g2h.index);
		flip_desc(g, &g->g2h);
		break;
	case 2:
		fuzz_post(g, true);
		break;
	case 3:
		spoil_index(g);
		break;
	case 4:
		scribble(g);
		break;
	case 5:
		set_word(g, any_number(), any(5));
		break;
	case 6 ... 9:
		fuzz_page(g);
		break;
	case 10:
		fuzz_request(g);
		break;
	case 11 ... 30:
		fuzz_post(g, false);
		break;
	default:
		fuzz_frame(g);
		fuzz_publish(g);
	}
}

static void step_fuzz(struct guest *g, struct fields *f)
{
	uint64_t from = field(f, "from", 0), count = field(f, "count", 1000), i;
	uint64_t seed = field(f, "seed", 1);

	for (i = from; i < from + count; i++) {
		any_from(seed, i);
		while (session_ended(g))
			fuzz_request(g);
		fuzz_once(g);
	}
	printf("fuzz: %" PRIu64 " steps\n", count);
}

static const struct step steps[] = {
	{ "request", step_request },
	{ "desc", step_desc },
	{ "publish", step_publish },
	{ "buf", step_buf },
	{ "post", step_post },
	{ "frame", step_frame },
	{ "ended", step_ended },
	{ "page", step_page },
	{ "show", step_show },
	{ "leave", step_leave },
	{ "hold", step_hold },
	{ "fuzz", step_fuzz },
	{}
};

/* Ends with the words. */
void guest_steps(struct guest *guest, char **words)
{
	run_steps(guest, steps, words);
}
