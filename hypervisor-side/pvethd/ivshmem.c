// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest shares with its port, and the hello that hands it to QEMU
 *
 * QEMU's ivshmem-doorbell device is a client of the "ivshmem server", which is
 * this daemon (docs/specs/ivshmem-spec.rst of QEMU). All messages go to QEMU,
 * and each is a number of 8 bytes, little-endian, with or without a file:
 *
 *	0			version of the protocol
 *	PVETHD_PEER_GUEST	QEMU's own ID
 *	-1		+ file	the window
 *	PVETHD_PEER_HOST + file	for each vector, an eventfd that the guest rings
 *	PVETHD_PEER_GUEST + file	for each vector, an eventfd that interrupts it
 *
 * QEMU takes the first three before anything else happens in it, and waits for
 * them for as long as the connection is silent, or closed: a hello must exist
 * as a whole before it begins, and then go to its end. Own eventfds before the
 * window crash QEMU. It takes the file that came with the first of the bytes
 * that it reads, so that each message has a sendmsg() of its own.
 *
 * Nothing follows the hello. A message that a peer has left makes QEMU free that
 * peer's eventfds twice, sooner or later; the window says the same. For the same
 * reason, and because a second hello would be read as news of peers, a
 * connection is never used again.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pvethd.h"

#define IVSHMEM_VERSION		0
#define IVSHMEM_MEMORY		(-1)

#define HELLO_HEAD		3	/* version, ID, window */

/* More than the messages of a hello take, with what the kernel adds to each */
#define HELLO_SNDBUF		(256 << 10)

static void close_all(int *fds, unsigned int n)
{
	while (n--)
		if (fds[n] >= 0)
			close(fds[n]);
}

static int open_memory(const struct guest *guest)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fd, saved;

	fd = memfd_create("pveth", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, guest->window_size) || fcntl(fd, F_ADD_SEALS, seals)) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/**
 * guest_create() - make a window and doorbells
 * @queues: number of queue pairs
 * @window_size: bytes of the window, a power of two
 * @err: receives what is wrong
 *
 * Return: the guest, to be given to guest_free(), or NULL.
 */
struct guest *guest_create(unsigned int queues, uint64_t window_size, struct error *err)
{
	struct guest *guest;
	unsigned int i;

	guest = malloc(sizeof(*guest));
	if (!guest) {
		error_set(err, "out of memory");
		return NULL;
	}
	guest->vectors = PVETH_VECTOR_QUEUE + queues;
	guest->window_size = window_size;
	guest->memory_fd = open_memory(guest);
	if (guest->memory_fd < 0) {
		error_set(err, "cannot make the window: %s", strerror(errno));
		free(guest);
		return NULL;
	}
	for (i = 0; i < guest->vectors; i++) {
		guest->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		guest->call_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (guest->kick_fd[i] < 0 || guest->call_fd[i] < 0) {
			error_set(err, "cannot make an eventfd: %s", strerror(errno));
			guest->vectors = i + 1;
			guest_free(guest);
			return NULL;
		}
	}
	return guest;
}

/**
 * guest_free() - let go of a guest
 * @guest: the guest, or NULL
 *
 * QEMU and the kernel keep what they were given.
 */
void guest_free(struct guest *guest)
{
	if (!guest)
		return;
	close_all(guest->kick_fd, guest->vectors);
	close_all(guest->call_fd, guest->vectors);
	close(guest->memory_fd);
	free(guest);
}

/**
 * guest_map() - map the window, for the kernel to find its pages
 * @guest: the guest
 * @err: receives what is wrong
 *
 * Return: the window, to be given to guest_unmap(), or NULL.
 */
void *guest_map(const struct guest *guest, struct error *err)
{
	void *window;

	window = mmap(NULL, guest->window_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      guest->memory_fd, 0);
	if (window == MAP_FAILED) {
		error_set(err, "cannot map the window: %s", strerror(errno));
		return NULL;
	}
	return window;
}

void guest_unmap(const struct guest *guest, void *window)
{
	munmap(window, guest->window_size);
}

/* Message number @n, and the file that goes with it or -1 */
static int64_t hello_message(const struct guest *guest, unsigned int n, int *fd)
{
	*fd = -1;
	switch (n) {
	case 0:
		return IVSHMEM_VERSION;
	case 1:
		return PVETHD_PEER_GUEST;
	case 2:
		*fd = guest->memory_fd;
		return IVSHMEM_MEMORY;
	}
	n -= HELLO_HEAD;
	if (n < guest->vectors) {
		*fd = guest->kick_fd[n];
		return PVETHD_PEER_HOST;
	}
	*fd = guest->call_fd[n - guest->vectors];
	return PVETHD_PEER_GUEST;
}

static ssize_t send_message(int sock, int64_t number, int fd)
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
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/**
 * hello_prepare() - make room for a hello in a connection
 * @sock: the connection, just accepted
 *
 * With it no hello waits for its reader. If the system grants less than asked,
 * hello_send() says HELLO_FULL.
 */
void hello_prepare(int sock)
{
	const int bytes = HELLO_SNDBUF;

	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/**
 * hello_send() - send the hello, or what is left of it
 * @sock: the connection, non-blocking
 * @guest: what the hello hands over
 * @sent: number of messages that were sent, zero at first; goes on
 *
 * Return: HELLO_DONE when all is sent; else why not.
 */
enum hello_result hello_send(int sock, const struct guest *guest, unsigned int *sent)
{
	const unsigned int messages = HELLO_HEAD + 2 * guest->vectors;
	int64_t number;
	int fd;

	while (*sent < messages) {
		number = hello_message(guest, *sent, &fd);
		/* A message of 8 bytes is sent whole, or not at all. */
		if (send_message(sock, number, fd) >= 0) {
			++*sent;
			continue;
		}
		switch (errno) {
		case EINTR:
			continue;
		case EAGAIN:
			return HELLO_FULL;
		case ENOBUFS:
		case ENOMEM:
		case ETOOMANYREFS:
			return HELLO_LATER;
		default:
			return HELLO_GONE;
		}
	}
	return HELLO_DONE;
}
