// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel for tests of pvethd, in place of its netlink.c, rtnl.c, genl.c and, with
 * fake_network.c and fake_nft.c, tc.c, setting.c and nft.c; and a disk, fake_disk.c
 *
 * The test says on stdin what happens to the kernel, a command in each line,
 * and gets an answer in a line of stdout:
 *
 *	link NAME KIND QUEUES	an interface is made
 *	unlink NAME		an interface is deleted
 *	mtu NAME N		it has this MTU
 *	address NAME ADDRESS/LENGTH	it has this address
 *	rename NAME NEW		an interface has another name
 *	away NAME		an interface leaves the network namespace, and is back at once
 *	broke NAME ERROR	its guest broke the protocol
 *	detach NAME		its guest is gone, as the kernel would have noticed
 *	fail CALL ERRNO		from now on attach, add, get, route, limit or nft fails, or
 *				file or directory, fsync(2) of one; 0: no more
 *	disk			what became of files since the last time: what was synced,
 *				renamed and removed
 *	swap N			N attempts to attach find memory that is not there any more
 *	quiet ON		1: nothing is reported; 0: it is again
 *	changed			report that anything may have changed
 *	unload			the module is unloaded, and with it all its interfaces
 *	load			the module is loaded
 *	show NAME		"IFINDEX MTU QUEUES ATTACHED", or "none"
 *	regions NAME		"ADDRESS+SIZE" in the guest for each part of its RAM
 *	master NAME		name of the bridge that it is in, or "none", and "isolated"
 *	down NAME		it is down, and has lost its routes
 *	up NAME			it is up
 *	mac NAME HEX		it has this MAC address
 *	mac-of NAME		its MAC address, in hex
 *	frames NAME N		so many frames of 1000 bytes came from the guest, and half
 *				as many to it were dropped
 *	network NAME		"ADDRESS/LENGTH" for each of its addresses, "TO<FROM" for
 *				its routes, and "SETTING=VALUE" for what was set
 *	rates NAME		"OUT IN": bits per second that it is limited to
 *	excess NAME OUT+IN	so many packets were more than that
 *	blocked			prefixes that are unreachable
 *	rules CHAIN		what a chain of nftables has, each rule followed by ";", or
 *				"none" if there is no chain
 *	flush CHAIN		it is deleted, as by "nft flush ruleset"
 *	lose CHAIN		it is deleted, and all that is reported is that reports were lost
 *	count N			counters of nftables are N, N + 1 and so on
 *	kicks NAME		counts of the doorbells that the guest rang
 *	call NAME VECTOR	ring the guest
 *	write NAME TEXT		write into the window
 *	read NAME LENGTH	read from it
 *
 * It keeps no file that it is given: doorbells work while pvethd has them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_kernel.h"
#include "kernel.h"

#define MAX_LINKS	256
#define PAGE_BYTES	4096

static struct fake_link links[MAX_LINKS];
static unsigned int last_ifindex = 100;
static bool loaded = true;
static bool quiet;
static unsigned int swaps;
static int fail_attach, fail_add, fail_get;
static struct event *command_event, *report_event;

struct fake_link *fake_link_named(const char *name)
{
	struct fake_link *link;

	for (link = links; link < links + MAX_LINKS; link++)
		if (link->info.ifindex && !strcmp(link->name, name))
			return link;
	return NULL;
}

struct fake_link *fake_link_next(struct fake_link *link)
{
	link = link ? link + 1 : links;
	while (link < links + MAX_LINKS && !link->info.ifindex)
		link++;
	return link < links + MAX_LINKS ? link : NULL;
}

struct fake_link *fake_link_of(unsigned int ifindex)
{
	struct fake_link *link;

	for (link = links; link < links + MAX_LINKS; link++)
		if (link->info.ifindex == ifindex)
			return link;
	return NULL;
}

int fail(int error, struct error *err)
{
	error_set(err, "the test says so (%s)", strerror(error));
	return -error;
}

/* As from the kernel, reports come when the daemon is back in its event loop. */
#define REPORT_CHANGED	EV_READ
#define REPORT_LOADED	EV_WRITE
#define REPORT_LINKS	EV_TIMEOUT

/* Links that have changed, or are gone, and are to be reported */
static struct {
	unsigned int ifindex;
	char name[IFNAMSIZ];
	enum { LINK_NEW, LINK_GONE, LINK_SESSION } what;
} changed[MAX_LINKS];
static unsigned int changed_count;

static void report_links(void)
{
	unsigned int i;

	/* What is done about one may change others, which are reported in their turn. */
	for (i = 0; i < changed_count; i++) {
		if (changed[i].what == LINK_SESSION) {
			ports_session_changed(changed[i].ifindex);
			continue;
		}
		if (changed[i].what == LINK_GONE)
			ports_interface_gone(changed[i].ifindex);
		ports_interface_changed(changed[i].ifindex, changed[i].name);
	}
	changed_count = 0;
}

static void report_now(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	if (what & REPORT_LOADED)
		ports_module_loaded();
	if (what & REPORT_LINKS)
		report_links();
	if (what & REPORT_CHANGED)
		ports_refresh();
}

static void report(short what)
{
	if (!quiet)
		event_active(report_event, what, 0);
}

static void report_link(const struct fake_link *link, int what)
{
	if (quiet)
		return;
	if (changed_count == MAX_LINKS)
		abort();
	changed[changed_count].ifindex = link->info.ifindex;
	changed[changed_count].what = what;
	strcpy(changed[changed_count++].name, link->name);
	report(REPORT_LINKS);
}

static void detach(struct fake_link *link)
{
	if (link->attached)
		munmap(link->window, link->guest.window_size);
	link->attached = false;
}

static void make_link(const char *name, const char *kind, unsigned int queues, unsigned int mtu)
{
	struct fake_link *link = fake_link_of(0);

	if (!link)
		abort();
	memset(link, 0, sizeof(*link));
	snprintf(link->name, sizeof(link->name), "%s", name);
	snprintf(link->info.kind, sizeof(link->info.kind), "%s", kind);
	link->info.ifindex = ++last_ifindex;
	link->info.up = true;
	link->info.queues = queues;
	link->info.mtu = mtu;
	report_link(link, LINK_NEW);
}

static void delete_link(struct fake_link *link)
{
	detach(link);
	report_link(link, LINK_GONE);
	link->info.ifindex = 0;
	fake_nft_unlink(link->name);
}

/* What is set for it here stays here. */
static void move_link(struct fake_link *link)
{
	report_link(link, LINK_GONE);
	report_link(link, LINK_NEW);
	link->rate_in = 0;
	link->rate_out = 0;
	fake_nft_unlink(link->name);
}

bool kernel_has_ports(void)
{
	return loaded;
}

int link_get(const char *name, struct link_info *info, struct error *err)
{
	struct fake_link *link = fake_link_named(name);

	if (fail_get)
		return fail(fail_get, err);
	if (!link)
		return fail(ENODEV, err);
	*info = link->info;
	return 0;
}

int link_get_index(unsigned int ifindex, struct link_info *info, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	if (!link)
		return fail(ENODEV, err);
	*info = link->info;
	return 0;
}

int link_add(const struct port_config *config, struct error *err)
{
	if (fail_add || !loaded)
		return fail(fail_add ? fail_add : EOPNOTSUPP, err);
	make_link(config->name, PVETH_KIND, config->queues, config->mtu ? config->mtu : 1500);
	return 0;
}

int link_set(unsigned int ifindex, uint32_t mtu, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	if (!link)
		return fail(ENODEV, err);
	if (mtu)
		link->info.mtu = mtu;
	link->info.up = true;
	return 0;
}

int link_set_master(unsigned int ifindex, unsigned int master, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex), *bridge = fake_link_of(master);

	if (!link || !bridge)
		return fail(ENODEV, err);
	if (strcmp(bridge->info.kind, "bridge"))
		return fail(EOPNOTSUPP, err);
	link->info.master = master;
	return 0;
}

int link_set_isolated(unsigned int ifindex, bool on, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	if (!link || !link->info.master)
		return fail(ENODEV, err);
	link->info.isolated = on;
	return 0;
}

int bridge_add(const char *name, const uint8_t *mac, struct error *err)
{
	struct fake_link *link;

	if (fail_add)
		return fail(fail_add, err);
	make_link(name, BRIDGE_KIND, 1, 1500);
	link = fake_link_named(name);
	memcpy(link->info.mac, mac, sizeof(link->info.mac));
	link->info.up = false;
	return 0;
}

int link_del(unsigned int ifindex, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	if (!link)
		return fail(ENODEV, err);
	delete_link(link);
	return 0;
}

void remember(char *list, size_t size, const char *word)
{
	char *at = strstr(list, word);
	size_t len = strlen(word), end = strlen(list);

	if (at && (at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
		return;
	if (end + len + 2 > size)
		abort();
	sprintf(list + end, "%s%s", end ? " " : "", word);
}

int port_status_get(unsigned int ifindex, struct port_status *status, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);

	memset(status, 0, sizeof(*status));
	if (!link || strcmp(link->info.kind, PVETH_KIND))
		return fail(ENODEV, err);
	status->state = link->attached ? PVETH_PORT_STATE_READY : PVETH_PORT_STATE_DETACHED;
	if (link->error) {
		status->state = PVETH_PORT_STATE_ERROR;
		status->error = link->error;
		status->queue_pairs = 1;
		status->guest_mtu = 1400;
	}
	status->stats[PVETH_A_PORT_STATS_G2H_FRAMES] = 12 + link->frames;
	status->stats[PVETH_A_PORT_STATS_G2H_BYTES] = 1000 * link->frames;
	status->stats[PVETH_A_PORT_STATS_H2G_DROPPED] = link->frames / 2;
	return 0;
}

/* The kernel takes what is there, and no more. */
static bool is_there(void *memory, uint64_t size)
{
	unsigned char pages[size / PAGE_BYTES + 1];
	uint64_t i;

	if (mincore(memory, size, pages))
		return false;
	for (i = 0; i < size / PAGE_BYTES && pages[i] & 1; i++)
		;
	return i == size / PAGE_BYTES;
}

int port_attach(unsigned int ifindex, const uint8_t *mac, const struct guest *guest,
		const void *window, const struct ram *ram, struct error *err)
{
	struct fake_link *link = fake_link_of(ifindex);
	unsigned int i;

	if (!link || strcmp(link->info.kind, PVETH_KIND))
		return fail(ENODEV, err);
	if (fail_attach)
		return fail(fail_attach, err);
	if (link->attached)
		return fail(EBUSY, err);
	if (guest->vectors != PVETH_VECTOR_QUEUE + link->info.queues)
		return fail(EINVAL, err);
	if (!is_there((void *)(uintptr_t)window, guest->window_size))
		return fail(EFAULT, err);
	if (swaps && swaps--)
		return fail(EFAULT, err);
	/* As pinned pages, it outlives the mapping that it came from. */
	link->window = mmap(NULL, guest->window_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    guest->memory_fd, 0);
	if (link->window == MAP_FAILED || memcmp(link->window, window, PAGE_BYTES))
		return fail(EFAULT, err);
	memcpy(link->mac, mac, sizeof(link->mac));
	link->guest = *guest;
	/* What is in each part is where it is for the guest. */
	link->regions[0] = '\0';
	for (i = 0; i < ram->count; i++) {
		memcpy(ram->regions[i].addr, &ram->regions[i].guest_addr, sizeof(uint64_t));
		sprintf(strchr(link->regions, '\0'), " %" PRIx64 "+%" PRIx64,
			ram->regions[i].guest_addr, ram->regions[i].size);
	}
	link->attached = true;
	report(REPORT_CHANGED);
	return 0;
}

static void kicks(const struct fake_link *link)
{
	uint64_t count;
	unsigned int i;

	for (i = 0; i < link->guest.vectors; i++) {
		if (read(link->guest.kick_fd[i], &count, sizeof(count)) < 0)
			count = 0;
		printf("%s%d", i ? " " : "", (int)count);
	}
	puts("");
}

static void set_failure(const char *call, int error)
{
	if (!strcmp(call, "attach"))
		fail_attach = error;
	else if (!strcmp(call, "add"))
		fail_add = error;
	else if (!strcmp(call, "route"))
		fake_route_fail(error);
	else if (!strcmp(call, "limit"))
		fake_limit_fail(error);
	else if (!strcmp(call, "nft"))
		fake_nft_fail(error);
	else if (!strcmp(call, "file") || !strcmp(call, "directory"))
		fake_disk_fail(call[0] == 'd', error);
	else
		fail_get = error;
}

static void set_loaded(bool on)
{
	struct fake_link *link;

	loaded = on;
	if (on) {
		report(REPORT_LOADED);
		return;
	}
	for (link = links; link < links + MAX_LINKS; link++)
		if (link->info.ifindex && !strcmp(link->info.kind, PVETH_KIND))
			delete_link(link);
}

/* Commands that name an interface. Returns false if it is none of them. */
static bool link_command(const char *command, struct fake_link *link, const char *arg)
{
	const uint64_t one = 1;
	unsigned int i;

	if (!strcmp(command, "unlink")) {
		delete_link(link);
	} else if (!strcmp(command, "mtu")) {
		link->info.mtu = atoi(arg);
		report_link(link, LINK_NEW);
	} else if (!strcmp(command, "address")) {
		remember(link->addresses, sizeof(link->addresses), arg);
	} else if (!strcmp(command, "rename")) {
		if (sscanf(arg, "%15s", link->name) != 1)
			abort();
		report_link(link, LINK_NEW);
	} else if (!strcmp(command, "away")) {
		move_link(link);
	} else if (!strcmp(command, "detach")) {
		detach(link);
		report_link(link, LINK_SESSION);
	} else if (!strcmp(command, "broke")) {
		link->error = atoi(arg);
		report_link(link, LINK_SESSION);
	} else if (!strcmp(command, "show")) {
		printf("%u %u %u %d\n", link->info.ifindex, link->info.mtu, link->info.queues,
		       link->attached);
		return true;
	} else if (!strcmp(command, "master")) {
		printf("%s%s\n", link->info.master ? fake_link_of(link->info.master)->name : "none",
		       link->info.isolated ? " isolated" : "");
		return true;
	} else if (!strcmp(command, "down") || !strcmp(command, "up")) {
		link->info.up = command[0] == 'u';
		if (!link->info.up)
			link->routes[0] = '\0';
		report_link(link, LINK_NEW);
	} else if (!strcmp(command, "frames")) {
		link->frames = atoi(arg);
	} else if (!strcmp(command, "mac")) {
		for (i = 0; i < sizeof(link->info.mac); i++)
			if (sscanf(arg + 2 * i, "%2hhx", &link->info.mac[i]) != 1)
				abort();
		report_link(link, LINK_NEW);
	} else if (!strcmp(command, "mac-of")) {
		for (i = 0; i < sizeof(link->info.mac); i++)
			printf("%02x", link->info.mac[i]);
		puts("");
		return true;
	} else if (!strcmp(command, "network")) {
		printf("%s %s %s\n", link->addresses, link->routes, link->settings);
		return true;
	} else if (!strcmp(command, "rates")) {
		printf("%" PRIu64 " %" PRIu64 "\n", link->rate_out, link->rate_in);
		return true;
	} else if (!strcmp(command, "excess")) {
		if (sscanf(arg, "%" SCNu64 "+%" SCNu64, &link->drops_out, &link->drops_in) != 2)
			abort();
	} else if (!strcmp(command, "regions")) {
		puts(link->regions + !!link->regions[0]);
		return true;
	} else if (!strcmp(command, "kicks")) {
		kicks(link);
		return true;
	} else if (!strcmp(command, "call")) {
		if (write(link->guest.call_fd[atoi(arg)], &one, sizeof(one)) != sizeof(one))
			perror("call");
	} else if (!strcmp(command, "write")) {
		strcpy(link->window, arg);
	} else if (!strcmp(command, "read")) {
		printf("%.*s\n", atoi(arg), (char *)link->window);
		return true;
	} else {
		return false;
	}
	puts("ok");
	return true;
}

static void run_command(const char *line)
{
	char command[32] = "", first[64] = "", second[64] = "";
	struct fake_link *link;
	int third = 0;

	if (sscanf(line, "%31s %63s %63s %d", command, first, second, &third) < 1)
		return;
	link = fake_link_named(first);
	if (link && link_command(command, link, second))
		return;
	if (!strcmp(command, "link")) {
		make_link(first, second, third, 1400);
	} else if (!strcmp(command, "fail")) {
		set_failure(first, atoi(second));
	} else if (!strcmp(command, "blocked")) {
		puts(fake_route_blocked());
		return;
	} else if (!strcmp(command, "disk")) {
		puts(fake_disk_told());
		return;
	} else if (!strcmp(command, "rules")) {
		puts(fake_nft_rules(first));
		return;
	} else if (!strcmp(command, "flush")) {
		fake_nft_flush(first);
	} else if (!strcmp(command, "lose")) {
		fake_nft_lose(first);
	} else if (!strcmp(command, "count")) {
		fake_nft_count(atoi(first));
	} else if (!strcmp(command, "swap")) {
		swaps = atoi(first);
	} else if (!strcmp(command, "quiet")) {
		quiet = atoi(first);
	} else if (!strcmp(command, "changed")) {
		report(REPORT_CHANGED);
	} else if (!strcmp(command, "load") || !strcmp(command, "unload")) {
		set_loaded(command[0] == 'l');
	} else {
		puts("none");
		return;
	}
	puts("ok");
}

static void run(const char *line)
{
	run_command(line);
	fflush(stdout);
}

static void command_readable(evutil_socket_t fd, short what, void *arg)
{
	char line[256];
	ssize_t n;

	(void)what;
	(void)arg;
	/* The test waits for each answer, so that this is one line. */
	n = read(fd, line, sizeof(line) - 1);
	if (n <= 0) {
		event_del(command_event);
		return;
	}
	line[n] = '\0';
	run(line);
}

/* Linked in place of setsockopt(): the test may want small socket buffers. */
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	const char *small = getenv("FAKE_SNDBUF");
	int bytes;

	if (!small || level != SOL_SOCKET)
		return __real_setsockopt(fd, level, name, value, len);
	if (name == SO_SNDBUFFORCE) {
		errno = EPERM;
		return -1;
	}
	bytes = atoi(small);
	return __real_setsockopt(fd, level, name, &bytes, sizeof(bytes));
}

int kernel_open(struct event_base *base, struct error *err)
{
	const char *initial = getenv("FAKE_KERNEL");

	report_event = event_new(base, -1, 0, report_now, NULL);
	if (initial)
		run(initial);
	command_event = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, command_readable, NULL);
	if (fake_nft_open(base) || !report_event || !command_event ||
	    event_add(command_event, NULL))
		return error_set(err, "no commands");
	return 0;
}

void kernel_close(void)
{
	struct fake_link *link;

	event_free(command_event);
	fake_nft_close();
	event_free(report_event);
	for (link = links; link < links + MAX_LINKS; link++)
		if (link->info.ifindex)
			detach(link);
}
