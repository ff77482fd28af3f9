// SPDX-License-Identifier: GPL-2.0
/*
 * Request and response: how long small messages take there and back, and how
 * many connections can be made one after the other. One octet each way.
 *
 *	rr server			answers UDP and TCP, until it is killed
 *	rr udp|tcp|connect ADDRESS SECONDS
 *
 * The client prints, in microseconds:
 *	count=N seconds=S p50=US p99=US p999=US lost=N
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PORT		5299
#define MAX_SAMPLES	(1 << 20)
/* For an answer; a datagram that has none by then is lost */
#define TIMEOUT_S	1
/* At first, not counted: caches, addresses and the like */
#define WARM_UP		20

static float samples[MAX_SAMPLES];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int make_socket(int type)
{
	int fd = socket(AF_INET, type, 0), one = 1;

	if (fd < 0)
		err(1, "socket");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static int make_server(int type)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
	};
	int fd = make_socket(type);

	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		err(1, "bind");
	return fd;
}

static void serve_udp(void)
{
	int fd = make_server(SOCK_DGRAM);
	struct sockaddr_in from;
	socklen_t len;
	char octet;

	for (;;) {
		len = sizeof(from);
		if (recvfrom(fd, &octet, 1, 0, (struct sockaddr *)&from, &len) == 1)
			sendto(fd, &octet, 1, 0, (struct sockaddr *)&from, len);
	}
}

static void serve_tcp(void)
{
	int fd, one = 1, listener = make_server(SOCK_STREAM);
	char octet;

	if (listen(listener, 16))
		err(1, "listen");
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while (read(fd, &octet, 1) == 1)
			if (write(fd, &octet, 1) != 1)
				break;
		close(fd);
	}
}

static int connected(int type, const char *address)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
	};
	int fd = make_socket(type);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		errx(1, "'%s' is no IPv4 address", address);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "connect");
	return fd;
}

static int there_and_back(int fd)
{
	char octet = 0;

	return write(fd, &octet, 1) == 1 && read(fd, &octet, 1) == 1;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile(int count, double part)
{
	return samples[(int)((count - 1) * part)] * 1e6;
}

static void client(const char *what, const char *address, double seconds)
{
	/* A reset instead of TIME_WAIT, or the ports run out */
	struct linger reset = { .l_onoff = 1 };
	int each = !strcmp(what, "connect"), count = -WARM_UP, lost = 0;
	int type = strcmp(what, "udp") ? SOCK_STREAM : SOCK_DGRAM;
	double start = now(), before, after = start;
	int fd = each ? -1 : connected(type, address);

	while (count < MAX_SAMPLES && (count < 1 || after - start < seconds)) {
		before = now();
		if (!count)
			start = before;
		if (each)
			fd = connected(type, address);
		if (!there_and_back(fd)) {
			if (type == SOCK_STREAM || ++lost > WARM_UP)
				errx(1, "no answer");
			after = now();
			continue;
		}
		if (each) {
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			close(fd);
		}
		after = now();
		if (count >= 0)
			samples[count] = after - before;
		count++;
	}
	qsort(samples, count, sizeof(*samples), compare);
	printf("count=%d seconds=%.6f p50=%.1f p99=%.1f p999=%.1f lost=%d\n",
	       count, after - start, percentile(count, 0.5),
	       percentile(count, 0.99), percentile(count, 0.999), lost);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && !strcmp(argv[1], "server")) {
		if (!fork())
			serve_udp();
		serve_tcp();
	} else if (argc == 4 && (!strcmp(argv[1], "udp") || !strcmp(argv[1], "tcp") ||
				 !strcmp(argv[1], "connect"))) {
		client(argv[1], argv[2], atof(argv[3]));
	} else {
		errx(2, "usage: rr server | rr udp|tcp|connect ADDRESS SECONDS");
	}
	return 0;
}
