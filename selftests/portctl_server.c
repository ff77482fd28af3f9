// SPDX-License-Identifier: GPL-2.0
/*
 * portctl: windows for QEMU
 *
 * As pvethd hands them out, but with any contents, and behind no port.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "portctl.h"

#define GOOD_MAC	"52:54:00:00:00:01"

static const char *word_value(char **words, const char *name, const char *otherwise)
{
	size_t len = strlen(name);

	for (; *words; words++)
		if (!strncmp(*words, name, len) && (*words)[len] == '=')
			return *words + len + 1;
	return otherwise;
}

static uint64_t word_number(char **words, const char *name, uint64_t otherwise)
{
	const char *value = word_value(words, name, NULL);

	return value ? parse_number(value) : otherwise;
}

/* Make a file that is a window, in which a host of this version waits for a
 * guest, but for what the words say: FIELD=VALUE.
 */
void window_make(const char *file, uint64_t size, char **words)
{
	struct pveth_host_page page = {
		.magic		= htole64(word_number(words, "magic", PVETH_MAGIC)),
		.version_major	= htole16(word_number(words, "major", PVETH_VERSION_MAJOR)),
		.version_minor	= htole16(word_number(words, "minor", PVETH_VERSION_MINOR)),
		.max_queue_pairs = htole16(word_number(words, "queue-pairs", 1)),
		.window_size	= htole64(word_number(words, "window-size", size)),
		.features	= htole64(word_number(words, "features", 0)),
		.session	= htole32(1 << PVETH_SESSION_GEN_SHIFT | PVETH_HOST_READY),
		.link		= htole32(PVETH_LINK_UP),
		.mtu		= htole32(word_number(words, "mtu", 1500)),
		.mac		= htole64(parse_mac_word(word_value(words, "mac", GOOD_MAC))),
	};
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	void *window;

	/* In place: QEMU has it mapped. */
	if (fd < 0 || ftruncate(fd, size))
		die("cannot make %s: %s", file, strerror(errno));
	window = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (window == MAP_FAILED)
		die("cannot map %s: %s", file, strerror(errno));
	memset(window, 0, size);
	memcpy(window, &page, size < sizeof(page) ? size : sizeof(page));
}

static void send_message(int sock, int64_t number, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	uint64_t wire = htole64((uint64_t)number);
	struct iovec iov = { .iov_base = &wire, .iov_len = sizeof(wire) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		die("cannot send to QEMU: %s", strerror(errno));
}

static void map_window(struct guest *guest, int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		die("cannot tell how large the window is: %s", strerror(errno));
	guest->window_size = stat.st_size;
	guest->window = mmap(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (guest->window == MAP_FAILED)
		die("cannot map the window: %s", strerror(errno));
}

/* The guest's RAM, all of it from address 0 on */
static void map_ram(struct guest *guest, const char *path)
{
	struct region *region = &guest->region[0];
	int fd = open(path, O_RDWR);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat))
		die("cannot open the guest's RAM, %s: %s", path, strerror(errno));
	region->bytes = stat.st_size;
	region->memory = mmap(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region->memory == MAP_FAILED)
		die("cannot map the guest's RAM: %s", strerror(errno));
	close(fd);
	guest->regions = 1;
}

/* The protocol of ivshmem: hypervisor-side/pvethd/ivshmem.c explains it. QEMU is served
 * until it goes, or until the host that is played has no more to do; without one, doorbells
 * of the host's side are nobody's.
 */
int window_serve(const char *path, const char *file, unsigned int vectors, bool play,
		 const char *ram)
{
	struct guest guest = {
		.vectors = vectors,
		.ring_fd = guest.call_fd,
		.rung_fd = guest.kick_fd,
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int window = open(file, O_RDWR);
	unsigned int i;
	char byte;
	int sock;

	if (strlen(path) >= sizeof(addr.sun_path))
		die("the path is too long: %s", path);
	strcpy(addr.sun_path, path);
	unlink(path);
	if (window < 0)
		die("cannot open %s: %s", file, strerror(errno));
	if (vectors > PVETH_MAX_FDS)
		die("at most %u vectors", PVETH_MAX_FDS);
	/* Before QEMU comes, which waits for ever for what does not. */
	map_window(&guest, window);
	if (ram)
		map_ram(&guest, ram);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1))
		die("cannot listen on %s: %s", path, strerror(errno));
	sock = accept(listener, NULL, NULL);
	if (sock < 0)
		die("nobody came: %s", strerror(errno));
	send_message(sock, 0, -1);
	send_message(sock, 1, -1);
	send_message(sock, -1, window);
	for (i = 0; i < vectors; i++) {
		guest.kick_fd[i] = eventfd(0, EFD_NONBLOCK);
		send_message(sock, 0, guest.kick_fd[i]);
	}
	for (i = 0; i < vectors; i++) {
		guest.call_fd[i] = eventfd(0, EFD_NONBLOCK);
		send_message(sock, 1, guest.call_fd[i]);
	}
	if (play) {
		host_steps(&guest);
		return EXIT_SUCCESS;
	}
	return read(sock, &byte, 1) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
