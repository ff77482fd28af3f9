// SPDX-License-Identifier: GPL-2.0
/*
 * portctl: a pveth port as no daemon and no driver would have it
 *
 * For tests: raw access to the kernel's family "pveth", a guest or a host that is
 * played on its side of a window, and windows for QEMU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "portctl.h"

static const char usage[] =
"Usage: portctl COMMAND ...\n"
"\n"
"  get PORT                    print what the kernel says of a port\n"
"  dump [COMMAND]              of all ports; run COMMAND after the first part\n"
"  monitor                     print notifications, until killed\n"
"  request CMD [ATTR=VALUE]... send a request of these attributes only: port-get,\n"
"                              attach, detach, port-set, or a number\n"
"  attach PORT [window=BYTES] [vectors=N] [region=GUEST-ADDR:BYTES[:ADDR]]...\n"
"         [ATTR=VALUE]... [STEP [FIELD=VALUE]...]...\n"
"                              attach a new window, new RAM and new eventfds, with\n"
"                              these attributes changed, and do what a guest would:\n"
"                              portctl_guest.c lists the steps\n"
"  window FILE SIZE [FIELD=VALUE]...\n"
"                              make a file that is a window with a host's page in\n"
"                              it: magic major minor queue-pairs window-size\n"
"                              features mtu mac\n"
"  serve SOCKET FILE VECTORS   be the ivshmem server of one QEMU, until it goes\n"
"  host SOCKET FILE VECTORS [RAM]\n"
"                              likewise, and do what a host would: lines of standard\n"
"                              input have steps, which portctl_host.c lists. RAM is a\n"
"                              file, the guest's memory, for direct mode\n"
"  resources                   print what leaks would change: how many eventfds there\n"
"                              are, and how many pages are pinned\n"
"\n"
"ATTR is a name of Documentation/netlink/specs/pveth.yaml, or a number. VALUE may be\n"
"\"hex:BYTES\", or nothing, for no such attribute. That of kick-fd and call-fd may be\n"
"\"new\", \"pipe\" or \"closed\", that of memory-addr, and ADDR of a region, \"unmapped\",\n"
"\"read-only\", \"absent\" or, memory-addr in attach, \"+BYTES\", within the window.\n"
"\n"
"Exit status: 0 all is well, 1 the kernel refuses, 2 something else is wrong.\n";

#define EXIT_OTHER	2

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("portctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_OTHER);
}

/* The kernel pins what is there. */
static void populate(void *memory, size_t bytes)
{
	if (madvise(memory, bytes, MADV_POPULATE_WRITE))
		die("cannot populate memory: %s", strerror(errno));
}

uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		die("no number: %s", text);
	return n;
}

/* As &pveth_host_page.mac has it. Its octets are in memory in this order, on the
 * machines that pveth runs on.
 */
uint64_t parse_mac_word(const char *text)
{
	unsigned int octet[6];
	uint64_t word = 0;
	int i;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &octet[0], &octet[1], &octet[2], &octet[3],
		   &octet[4], &octet[5]) != 6)
		die("no MAC address: %s", text);
	for (i = 5; i >= 0; i--)
		word = word << 8 | octet[i];
	return word;
}

static void open_guest(struct guest *guest)
{
	unsigned int i;
	int fd;

	fd = memfd_create("portctl", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, guest->window_size))
		die("cannot make a window: %s", strerror(errno));
	/* Behind the window is as much again that cannot be written to. */
	guest->window = mmap(NULL, 2 * guest->window_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	if (guest->window == MAP_FAILED ||
	    mmap(guest->window, guest->window_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("cannot map a window: %s", strerror(errno));
	populate(guest->window, guest->window_size);
	for (i = 0; i < guest->vectors; i++) {
		guest->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		guest->call_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (guest->kick_fd[i] < 0 || guest->call_fd[i] < 0)
			die("cannot make an eventfd: %s", strerror(errno));
	}
}

/* GUEST-ADDR:BYTES, and where that is, if it is not to be made here */
static void add_region(struct guest *guest, struct attributes *attrs, const char *text)
{
	struct region *region = &guest->region[guest->regions++];
	uint64_t addr;
	char *end;

	if (guest->regions > MAX_REGIONS)
		die("more than %u regions", MAX_REGIONS);
	errno = 0;
	region->guest_addr = strtoull(text, &end, 0);
	if (*end != ':')
		die("no region: %s", text);
	region->bytes = strtoull(end + 1, &end, 0);
	if (errno || (*end && *end != ':'))
		die("no region: %s", text);
	if (*end) {
		addr = parse_address(end + 1);
	} else {
		region->memory = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (region->memory == MAP_FAILED)
			die("cannot make a region: %s", strerror(errno));
		populate(region->memory, region->bytes);
		addr = (uintptr_t)region->memory;
	}
	attributes_add_region(attrs, region->guest_addr, addr, region->bytes);
}

static void put_guest(struct attributes *attrs, const struct guest *guest)
{
	uint64_t addr = (uintptr_t)guest->window;
	unsigned int i;
	const uint16_t peer = 0;

	attributes_default(attrs, PVETH_A_PORT_IFNAME, guest->port, strlen(guest->port) + 1);
	attributes_default(attrs, PVETH_A_PORT_MEMORY_ADDR, &addr, sizeof(addr));
	attributes_default(attrs, PVETH_A_PORT_MEMORY_LEN, &guest->window_size,
			   sizeof(guest->window_size));
	attributes_default(attrs, PVETH_A_PORT_HOST_PEER, &peer, sizeof(peer));
	attributes_default(attrs, PVETH_A_PORT_GUEST_MAC, "\x52\x54\0\0\0\1", 6);
	for (i = 0; i < guest->vectors; i++) {
		attributes_default(attrs, PVETH_A_PORT_KICK_FD, &guest->kick_fd[i],
				   sizeof(guest->kick_fd[i]));
		attributes_default(attrs, PVETH_A_PORT_CALL_FD, &guest->call_fd[i],
				   sizeof(guest->call_fd[i]));
	}
}

static int attach(char **words)
{
	struct guest guest = {
		.window_size = 1 << 20,
		.vectors = 2,
		.ring_fd = guest.kick_fd,
		.rung_fd = guest.call_fd,
	};
	struct attributes attrs = {};
	const char *offset = NULL;
	char addr[64];

	guest.port = *words++;
	for (; *words && strchr(*words, '='); words++) {
		if (!strncmp(*words, "window=", 7))
			guest.window_size = parse_number(*words + 7);
		else if (!strncmp(*words, "vectors=", 8))
			guest.vectors = parse_number(*words + 8);
		else if (!strncmp(*words, "memory-addr=+", 13))
			offset = *words + 13;
		else if (!strncmp(*words, "region=", 7) && strncmp(*words + 7, "hex:", 4))
			add_region(&guest, &attrs, *words + 7);
		else
			attributes_add_word(&attrs, *words);
	}
	if (guest.vectors > PVETH_MAX_FDS)
		die("at most %u vectors: more are made by kick-fd=new and call-fd=new",
		    PVETH_MAX_FDS);
	open_guest(&guest);
	if (offset) {
		snprintf(addr, sizeof(addr), "memory-addr=%#" PRIx64,
			 (uintptr_t)guest.window + parse_number(offset));
		attributes_add_word(&attrs, addr);
	}
	put_guest(&attrs, &guest);
	if (family_request(PVETH_CMD_ATTACH, &attrs))
		return EXIT_FAILURE;
	guest_steps(&guest, words);
	return EXIT_SUCCESS;
}

static int request(char **words)
{
	uint8_t command = parse_command(*words++);
	struct attributes attrs = {};

	for (; *words; words++)
		attributes_add_word(&attrs, *words);
	return family_request(command, &attrs) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int get(const char *port)
{
	struct attributes attrs = {};

	attributes_default(&attrs, PVETH_A_PORT_IFNAME, port, strlen(port) + 1);
	return family_request(PVETH_CMD_PORT_GET, &attrs) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The kernel gives each the lowest number that is free. With enough of our own the
 * numbers have no gaps, and the last one tells how many others there are: those
 * that are never given back as well.
 */
static int eventfds_of_others(void)
{
	const int ours = 200;
	char path[64], line[256];
	int i, fd, id = -1;
	FILE *file;

	for (i = 0; i < ours; i++) {
		fd = eventfd(0, 0);
		if (fd < 0)
			die("cannot make an eventfd: %s", strerror(errno));
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "eventfd-id:", 11))
			id = atoi(line + 11);
	if (id < 0)
		die("eventfds have no number here");
	fclose(file);
	return id + 1 - ours;
}

static long pinned_pages(void)
{
	long acquired = -1, released = -1;
	char line[256];
	FILE *file;
	int fd;

	/* Counts of processors are added up from time to time, and now. */
	fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die("cannot refresh the statistics: %s", strerror(errno));
	close(fd);
	file = fopen("/proc/vmstat", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "nr_foll_pin_acquired ", 21))
			acquired = atol(line + 21);
		if (!strncmp(line, "nr_foll_pin_released ", 21))
			released = atol(line + 21);
	}
	if (acquired < 0 || released < 0)
		die("the kernel does not count pinned pages");
	fclose(file);
	return acquired - released;
}

static int resources(void)
{
	printf("eventfds=%d pinned-pages=%ld\n", eventfds_of_others(), pinned_pages());
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "help";

	setlinebuf(stdout);
	if (!strcmp(command, "get") && argc == 3)
		return get(argv[2]);
	if (!strcmp(command, "dump") && argc <= 3)
		return family_dump(argv[2]) ? EXIT_FAILURE : EXIT_SUCCESS;
	if (!strcmp(command, "monitor") && argc == 2)
		return family_monitor();
	if (!strcmp(command, "request") && argc > 2)
		return request(argv + 2);
	if (!strcmp(command, "attach") && argc > 2)
		return attach(argv + 2);
	if (!strcmp(command, "window") && argc > 3) {
		window_make(argv[2], parse_number(argv[3]), argv + 4);
		return EXIT_SUCCESS;
	}
	if (!strcmp(command, "serve") && argc == 5)
		return window_serve(argv[2], argv[3], parse_number(argv[4]), false, NULL);
	if (!strcmp(command, "host") && (argc == 5 || argc == 6))
		return window_serve(argv[2], argv[3], parse_number(argv[4]), true, argv[5]);
	if (!strcmp(command, "resources") && argc == 2)
		return resources();
	fputs(usage, !strcmp(command, "help") ? stdout : stderr);
	return !strcmp(command, "help") ? EXIT_SUCCESS : EXIT_OTHER;
}
