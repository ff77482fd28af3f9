// SPDX-License-Identifier: GPL-2.0
/*
 * Ping-pong with the kernel of another machine, with pauses:
 *
 *	pingpong ADDRESS ROUNDS MAX-BURST MAX-PAUSE-US
 *
 * In each round 1 to MAX-BURST echo requests are sent at once, all of them are
 * to be answered, and then there is a pause of up to MAX-PAUSE-US. Who forgets
 * to wake somebody up does not answer before something else is sent. Prints how
 * many answers were lost; a lost one is a failure.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Far more than any answer takes */
#define ANSWER_S	5

static unsigned short sum_of(const void *data, size_t len)
{
	const unsigned short *p = data;
	unsigned int sum = 0;

	for (; len > 1; len -= 2)
		sum += *p++;
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

static void ask(int fd, unsigned short sequence)
{
	struct icmphdr icmp = {
		.type = ICMP_ECHO,
		.un.echo.id = htons(getpid() & 0xffff),
		.un.echo.sequence = htons(sequence),
	};

	icmp.checksum = sum_of(&icmp, sizeof(icmp));
	if (send(fd, &icmp, sizeof(icmp), 0) != sizeof(icmp))
		err(1, "send");
}

/* Returns whether an answer to one of the last @n requests came in time. */
static int answered(int fd, unsigned short last, unsigned int n)
{
	unsigned char packet[1500];
	struct icmphdr *icmp;
	struct iphdr *ip;
	ssize_t len;

	for (;;) {
		len = recv(fd, packet, sizeof(packet), 0);
		if (len < 0 && errno == EAGAIN)
			return 0;
		if (len < 0)
			err(1, "recv");
		ip = (struct iphdr *)packet;
		icmp = (struct icmphdr *)(packet + ip->ihl * 4);
		if (len >= (ssize_t)(ip->ihl * 4 + sizeof(*icmp)) &&
		    icmp->type == ICMP_ECHOREPLY &&
		    icmp->un.echo.id == htons(getpid() & 0xffff) &&
		    (unsigned short)(last - ntohs(icmp->un.echo.sequence)) < n)
			return 1;
	}
}

static void rest(long us)
{
	struct timespec ts = {
		.tv_sec = us / 1000000,
		.tv_nsec = us % 1000000 * 1000,
	};

	nanosleep(&ts, NULL);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct timeval timeout = { .tv_sec = ANSWER_S };
	long rounds, max_burst, max_pause, burst, n, i;
	unsigned short sequence = 0;
	long lost = 0;
	int fd;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		errx(2, "usage: pingpong ADDRESS ROUNDS MAX-BURST MAX-PAUSE-US");
	rounds = atol(argv[2]);
	max_burst = atol(argv[3]);
	max_pause = atol(argv[4]);
	if (rounds < 1 || max_burst < 1 || max_pause < 1)
		errx(2, "numbers are at least 1");

	fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "socket");

	for (n = 0; n < rounds; n++) {
		burst = 1 + random() % max_burst;
		for (i = 0; i < burst; i++)
			ask(fd, ++sequence);
		for (i = 0; i < burst; i++) {
			if (answered(fd, sequence, burst))
				continue;
			lost += burst - i;
			break;
		}
		rest(random() % max_pause);
	}
	printf("%ld rounds, %ld answers lost\n", rounds, lost);
	return lost ? 1 : 0;
}
