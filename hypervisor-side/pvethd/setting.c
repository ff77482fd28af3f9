// SPDX-License-Identifier: GPL-2.0
/*
 * Settings of the kernel's network: /proc/sys/net
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

#define SYSCTL		"/proc/sys/net/"
#define FORWARDING	SYSCTL "ipv6/conf/all/forwarding"
#define ACCEPT_RA	SYSCTL "ipv6/conf/%s/accept_ra"

/* Longer than any path here */
#define MAX_PATH	128

static int write_setting(const char *path, char value, struct error *err)
{
	int fd, error = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, &value, 1) != 1)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error)
		error_set(err, "cannot set %s to %c: %s", path, value, strerror(error));
	return -error;
}

/* The first character of what is set, or 0 if there is no such setting */
static char read_setting(const char *path)
{
	char value = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value;
}

int setting_set(int family, const char *interface, const char *name, bool on,
		struct error *err)
{
	char path[MAX_PATH];

	snprintf(path, sizeof(path), SYSCTL "%s/conf/%s/%s", family == AF_INET ? "ipv4" : "ipv6",
		 interface, name);
	return write_setting(path, on ? '1' : '0', err);
}

bool has_ipv6(const char *interface)
{
	char path[MAX_PATH];

	snprintf(path, sizeof(path), SYSCTL "ipv6/conf/%s", interface);
	return !access(path, F_OK);
}

/* Who listened to routers must be told to go on with that when he becomes one: 2 instead
 * of 1. The interface may have gone meanwhile.
 */
static int keep_routers_at(const char *path, struct error *err)
{
	int ret = 0;

	if (read_setting(path) == '1')
		ret = write_setting(path, '2', err);
	return ret == -ENOENT ? 0 : ret;
}

int keep_routers_of(const char *interface, struct error *err)
{
	char path[MAX_PATH];

	snprintf(path, sizeof(path), ACCEPT_RA, interface);
	return keep_routers_at(path, err);
}

static bool is_interface(const char *path)
{
	return !strstr(path, "/conf/all/") && !strstr(path, "/conf/default/");
}

static int keep_routers(struct error *err)
{
	char pattern[MAX_PATH];
	glob_t found;
	int ret = 0;
	size_t i;

	snprintf(pattern, sizeof(pattern), ACCEPT_RA, "*");
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (i = 0; i < found.gl_pathc && !ret; i++)
		if (is_interface(found.gl_pathv[i]))
			ret = keep_routers_at(found.gl_pathv[i], err);
	globfree(&found);
	return ret;
}

int forward_ipv6(struct error *err)
{
	int ret;

	if (read_setting(FORWARDING) == '1')
		return 0;
	ret = keep_routers(err);
	return ret ? ret : write_setting(FORWARDING, '1', err);
}
