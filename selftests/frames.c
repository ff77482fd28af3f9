// SPDX-License-Identifier: GPL-2.0
/*
 * frames: send numbered Ethernet frames, or receive them and check every byte
 *
 * Both ends are given the same sizes, tags, destination and count, and so know
 * each frame before it comes:
 *
 *	octets 0 to 5	destination
 *	octets 6 to 11	source: 02, the ID of the stream, the frame's number
 *	then		VLAN tags, ethertype 0x88b5 (for experiments)
 *	the rest	a pattern that depends on number and place
 *
 * The number is in the address, so that frames of 14 octets have one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_FRAME	(128 * 1024)
#define MAX_TAGS	4
#define MAX_DESTINATIONS 8
#define MAX_COMPLAINTS	8
#define ETHERTYPE	0x88b5
#define TAG_LEN		4
#define RECEIVE_BUFFER	(64 << 20)

struct tag {
	uint16_t tpid;
	uint16_t tci;
};

struct destination {
	uint8_t mac[ETH_ALEN];
	int packet_type;	/* that the receiver is to see, or -1 */
};

struct stream {
	const char *interface;
	struct destination dst[MAX_DESTINATIONS];
	unsigned int ndst;
	uint8_t id;
	struct tag tags[MAX_TAGS];
	unsigned int ntags;
	uint32_t *sizes;
	uint32_t nsizes;
	uint32_t count;
	int idle_seconds;
	bool loss_allowed;
};

struct result {
	uint32_t received;
	uint32_t disordered;
	uint32_t corrupt;
	uint32_t mistyped;
};

static const char * const packet_types[] = {
	[PACKET_HOST]		= "host",
	[PACKET_BROADCAST]	= "broadcast",
	[PACKET_MULTICAST]	= "multicast",
	[PACKET_OTHERHOST]	= "otherhost",
};

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NTYPES		ARRAY_SIZE(packet_types)

static const char usage_text[] =
	"usage: frames send|recv [OPTION...] INTERFACE SIZE...\n"
	"  SIZE           of a frame without tags: N, or FIRST-LAST\n"
	"  -n COUNT       frames; sizes are used in turn (default: each once)\n"
	"  -d MAC[=TYPE]  destination, and what the receiver is to see it as: host,\n"
	"                 broadcast, multicast or otherhost; several are used in\n"
	"                 turn (default: ff:ff:ff:ff:ff:ff=broadcast)\n"
	"  -i ID          of the stream, 0 to 255 (default 1)\n"
	"  -t TPID:VID    VLAN tag, hexadecimal type, decimal ID; outermost first\n"
	"recv only, which says \"ready\" when it is:\n"
	"  -w SECONDS     to wait for the next frame (default 20)\n"
	"  -l             lost frames are no failure\n";

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "frames: %s: %s\n", what, why);
	exit(1);
}

static void __attribute__((noreturn)) usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static unsigned long number(const char *s, char **end, unsigned long max)
{
	unsigned long n;

	errno = 0;
	n = strtoul(s, end, 10);
	if (errno || *end == s || n > max)
		die(s, "not a number, or too large");
	return n;
}

static unsigned long whole_number(const char *s, unsigned long max)
{
	unsigned long n;
	char *end;

	n = number(s, &end, max);
	if (*end)
		die(s, "not a number");
	return n;
}

static int parse_packet_type(const char *s)
{
	unsigned int i;

	for (i = 0; i < NTYPES; i++)
		if (!strcmp(s, packet_types[i]))
			return i;
	die(s, "not a packet type");
}

static void parse_destination(const char *s, struct stream *st)
{
	struct destination *dst = &st->dst[st->ndst++];
	uint8_t *mac = dst->mac;
	int end = 0;

	if (st->ndst > MAX_DESTINATIONS)
		die(s, "too many destinations");
	if (sscanf(s, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", &mac[0], &mac[1],
		   &mac[2], &mac[3], &mac[4], &mac[5], &end) != ETH_ALEN ||
	    (s[end] && s[end] != '='))
		die(s, "not a MAC[=TYPE]");
	dst->packet_type = s[end] ? parse_packet_type(s + end + 1) : -1;
}

static void parse_tag(const char *s, struct stream *st)
{
	unsigned int tpid, vid;
	char rest;

	if (st->ntags == MAX_TAGS)
		die(s, "too many tags");
	if (sscanf(s, "%x:%u%c", &tpid, &vid, &rest) != 2 || tpid > 0xffff ||
	    vid > 0xfff)
		die(s, "not a TPID:VID");
	st->tags[st->ntags++] = (struct tag) { tpid, vid };
}

static void parse_size(const char *s, struct stream *st)
{
	uint32_t first, last;
	char *end;

	first = number(s, &end, MAX_FRAME);
	last = *end == '-' ? whole_number(end + 1, MAX_FRAME) : first;
	if ((*end && *end != '-') || last < first)
		die(s, "not N or FIRST-LAST");

	st->sizes = realloc(st->sizes, (st->nsizes + last - first + 1) *
					sizeof(*st->sizes));
	if (!st->sizes)
		die("sizes", strerror(ENOMEM));
	while (first <= last)
		st->sizes[st->nsizes++] = first++;
}

static void parse(int argc, char **argv, struct stream *st)
{
	int option;

	*st = (struct stream) { .id = 1, .idle_seconds = 20 };
	while ((option = getopt(argc, argv, "n:d:i:t:w:l")) != -1) {
		switch (option) {
		case 'n':
			st->count = whole_number(optarg, UINT32_MAX);
			break;
		case 'd':
			parse_destination(optarg, st);
			break;
		case 'i':
			st->id = whole_number(optarg, 255);
			break;
		case 't':
			parse_tag(optarg, st);
			break;
		case 'w':
			st->idle_seconds = whole_number(optarg, 3600);
			break;
		case 'l':
			st->loss_allowed = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind < 2)
		usage();
	st->interface = argv[optind++];
	while (optind < argc)
		parse_size(argv[optind++], st);
	if (!st->count)
		st->count = st->nsizes;
	if (!st->ndst)
		parse_destination("ff:ff:ff:ff:ff:ff=broadcast", st);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

/* Not the same at any two places that a wrong offset could exchange */
static uint32_t pattern(uint32_t n, uint32_t word)
{
	uint32_t x = n * 2654435761u + word * 2246822519u + 374761393u;

	x ^= x >> 15;
	x *= 2246822519u;
	return x ^ x >> 13;
}

/* Make frame number @n. Returns its length, tags included. */
static uint32_t make_frame(const struct stream *st, uint32_t n, uint8_t *frame)
{
	uint32_t size = st->sizes[n % st->nsizes];
	uint32_t be = htonl(n);
	uint8_t *p = frame;
	uint32_t i, word;

	memcpy(p, st->dst[n % st->ndst].mac, ETH_ALEN);
	p += ETH_ALEN;
	*p++ = 2;
	*p++ = st->id;
	memcpy(p, &be, sizeof(be));
	p += sizeof(be);
	for (i = 0; i < st->ntags; i++, p += TAG_LEN) {
		put16(p, st->tags[i].tpid);
		put16(p + 2, st->tags[i].tci);
	}
	put16(p, ETHERTYPE);
	p += 2;
	/* The last word may be written beyond the end: buffers have room. */
	for (i = 0; i + ETH_HLEN < size; i += sizeof(word)) {
		word = pattern(n, i / sizeof(word));
		memcpy(p + i, &word, sizeof(word));
	}
	return size + st->ntags * TAG_LEN;
}

static int open_socket(const struct stream *st, int protocol)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = if_nametoindex(st->interface),
	};
	int fd;

	if (!addr.sll_ifindex)
		die(st->interface, strerror(errno));
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		die("socket", strerror(errno));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("bind", strerror(errno));
	return fd;
}

static int send_frames(const struct stream *st)
{
	const struct timespec a_while = { .tv_nsec = 1000000 };
	static uint8_t frame[MAX_FRAME + 64];
	int fd = open_socket(st, 0);
	uint32_t n, len;

	for (n = 0; n < st->count; n++) {
		len = make_frame(st, n, frame);
		/* The queueing discipline may be full, and says so. */
		while (send(fd, frame, len, 0) < 0) {
			if (errno != ENOBUFS) {
				fprintf(stderr, "frames: send %u octets: %s\n",
					len, strerror(errno));
				return 1;
			}
			nanosleep(&a_while, NULL);
		}
	}
	return 0;
}

/* Receive a frame as it was on the wire: the kernel takes the outer tag out.
 * Returns its length, and its packet type by @type.
 */
static uint32_t receive_frame(int fd, uint8_t *frame, int *type)
{
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = { frame, MAX_FRAME };
	struct tpacket_auxdata aux = {};
	struct sockaddr_ll from;
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t len;

	len = recvmsg(fd, &msg, 0);
	if (len < 0)
		die("recvmsg", strerror(errno));
	*type = from.sll_pkttype;

	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_PACKET &&
		    cmsg->cmsg_type == PACKET_AUXDATA)
			memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
	if (aux.tp_status & TP_STATUS_VLAN_VALID) {
		memmove(frame + 2 * ETH_ALEN + TAG_LEN, frame + 2 * ETH_ALEN,
			len - 2 * ETH_ALEN);
		put16(frame + 2 * ETH_ALEN, aux.tp_vlan_tpid);
		put16(frame + 2 * ETH_ALEN + 2, aux.tp_vlan_tci);
		len += TAG_LEN;
	}
	return len;
}

static bool complain(const struct result *res)
{
	return res->disordered + res->corrupt + res->mistyped <= MAX_COMPLAINTS;
}

static void check_frame(const struct stream *st, uint32_t n,
			const uint8_t *frame, uint32_t len, struct result *res)
{
	static uint8_t expected[MAX_FRAME + 64];
	uint32_t want = make_frame(st, n, expected);
	uint32_t i;

	if (n < st->count && len == want && !memcmp(frame, expected, len))
		return;
	res->corrupt++;
	if (!complain(res))
		return;
	if (len != want) {
		printf("frame %u has %u octets, not %u\n", n, len, want);
		return;
	}
	for (i = 0; i < len - 1 && frame[i] == expected[i]; i++)
		;
	printf("frame %u of %u octets: octet %u is %02x, not %02x\n", n, len, i,
	       frame[i], expected[i]);
}

/* Wait for a frame of the stream. Returns its length, or zero if none came. */
static uint32_t next_frame(const struct stream *st, int fd, uint8_t *frame,
			   int *type)
{
	time_t end = time(NULL) + st->idle_seconds;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	uint32_t len;

	while (time(NULL) <= end) {
		if (poll(&pollfd, 1, 1000) <= 0)
			continue;
		len = receive_frame(fd, frame, type);
		if (*type != PACKET_OUTGOING && len >= ETH_HLEN &&
		    frame[ETH_ALEN] == 2 && frame[ETH_ALEN + 1] == st->id)
			return len;
	}
	return 0;
}

static int receive_frames(const struct stream *st)
{
	static uint8_t frame[MAX_FRAME + 64];
	int fd = open_socket(st, ETH_P_ALL);
	int room = RECEIVE_BUFFER, on = 1;
	struct tpacket_stats stats = {};
	socklen_t stats_len = sizeof(stats);
	struct result res = {};
	uint32_t next = 0;
	uint32_t len, n;
	int type, expected;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)))
		die("setsockopt", strerror(errno));
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");

	while (next < st->count) {
		len = next_frame(st, fd, frame, &type);
		if (!len) {
			printf("no frame for %d seconds\n", st->idle_seconds);
			break;
		}
		memcpy(&n, frame + ETH_ALEN + 2, sizeof(n));
		n = ntohl(n);
		res.received++;
		check_frame(st, n, frame, len, &res);
		if (n < next && ++res.disordered && complain(&res))
			printf("frame %u came after frame %u\n", n, next - 1);
		expected = st->dst[n % st->ndst].packet_type;
		if (expected >= 0 && type != expected && ++res.mistyped &&
		    complain(&res))
			printf("frame %u is of packet type %d, not %s\n", n,
			       type, packet_types[expected]);
		if (n >= next)
			next = n + 1;
	}

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &stats_len))
		die("getsockopt", strerror(errno));
	printf("received %u of %u, disordered %u, corrupt %u, mistyped %u, socket dropped %u\n",
	       res.received, st->count, res.disordered, res.corrupt,
	       res.mistyped, stats.tp_drops);
	return res.disordered || res.corrupt || res.mistyped ||
	       (!st->loss_allowed && res.received != st->count);
}

int main(int argc, char **argv)
{
	struct stream st;

	if (argc < 2)
		usage();
	parse(argc - 1, argv + 1, &st);
	if (!strcmp(argv[1], "send"))
		return send_frames(&st);
	if (!strcmp(argv[1], "recv"))
		return receive_frames(&st);
	usage();
}
