// SPDX-License-Identifier: GPL-2.0
/*
 * A disk for tests of pvethd, which is told what is to outlive the machine, and may fail:
 * a part of fake_kernel.c, with the command that shows what it was told. The linker puts
 * these in place of the system calls (--wrap).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fake_kernel.h"

static char told[512];
static int fail_file, fail_directory;

void fake_disk_fail(bool directory, int error)
{
	*(directory ? &fail_directory : &fail_file) = error;
}

const char *fake_disk_told(void)
{
	static char since[sizeof(told)];

	strcpy(since, told);
	told[0] = '\0';
	return since;
}

static void tell(const char *what, const char *of)
{
	size_t len = strlen(told);

	snprintf(told + len, sizeof(told) - len, "%s%s %s", len ? ", " : "", what, of);
}

int __wrap_fsync(int fd)
{
	struct stat stat;
	bool directory;

	if (fstat(fd, &stat))
		return -1;
	directory = S_ISDIR(stat.st_mode);
	tell("sync", directory ? "directory" : "file");
	errno = directory ? fail_directory : fail_file;
	return errno ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int old_dir, const char *old, int new_dir, const char *new)
{
	tell("rename", new);
	return __real_renameat(old_dir, old, new_dir, new);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	tell("remove", name);
	return __real_unlinkat(dir, name, flags);
}
