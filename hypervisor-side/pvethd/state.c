// SPDX-License-Identifier: GPL-2.0
/*
 * State files: the configuration of each port, DIR/NAME.json, and of each network,
 * DIR/NAME.network
 *
 * A file is complete or is not there: it is written under another name, which
 * begins with a dot as no other name does, and renamed when it is on the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pvethd.h"

#define STATE_VERSION	1

/* Room for a dot, a name and a suffix */
#define STATE_NAME	(1 + IFNAMSIZ + 16)

static const struct {
	const char *suffix;
	const char *consequence;
} kinds[] = {
	[STATE_PORT] = { ".json", "port not served" },
	[STATE_NETWORK] = { ".network", "network not known" },
};

static int state_fd = -1;

/**
 * directory_lock() - have a directory for this process alone
 * @fd: the directory
 * @dir: its path, for messages
 * @option: of the command line, which chooses another
 * @err: receives what is wrong
 *
 * The lock ends with the process. Those that it starts do not have it, not even for a
 * moment, in which this one may end and another one be started.
 *
 * Return: 0, or -1.
 */
int directory_lock(int fd, const char *dir, const char *option, struct error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int lock_fd = openat(fd, "lock", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* Open until the process ends */
	if (lock_fd >= 0 && !fcntl(lock_fd, F_SETLK, &lock))
		return 0;
	if (lock_fd >= 0 && (errno == EACCES || errno == EAGAIN))
		error_set(err, "another pvethd uses %s: stop it first, or use another %s", dir,
			  option);
	else
		error_set(err, "cannot lock %s: %s", dir, strerror(errno));
	if (lock_fd >= 0)
		close(lock_fd);
	return -1;
}

/**
 * state_lock() - have the directory of state files for this process alone
 * @dir: its path, for messages
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int state_lock(const char *dir, struct error *err)
{
	return directory_lock(state_fd, dir, "--state-dir", err);
}

/* Files are on the disk when the directory is, too. */
static int sync_parent(void)
{
	int fd = openat(state_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

/**
 * state_open() - open the directory of state files
 * @dir: its path; it is made if it is missing
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int state_open(const char *dir, struct error *err)
{
	bool made = !mkdir(dir, 0755);

	if (!made && errno != EEXIST)
		return error_set(err, "cannot make the directory %s: %s", dir, strerror(errno));
	state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state_fd < 0)
		return error_set(err, "cannot open the directory %s: %s", dir, strerror(errno));
	if (made && sync_parent())
		return error_set(err, "cannot make the directory %s for good: %s", dir,
				 strerror(errno));
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, data, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		data += n;
		len -= n;
	}
	return fsync(fd);
}

/* @file is the name with a dot before it. */
static int write_file(const char *file, const char *data, size_t len)
{
	const char *temporary = file, *name = file + 1;
	int fd, saved;

	fd = openat(state_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	if (write_all(fd, data, len)) {
		saved = errno;
		close(fd);
		goto fail;
	}
	if (close(fd) || renameat(state_fd, temporary, state_fd, name)) {
		saved = errno;
		goto fail;
	}
	return fsync(state_fd);

fail:
	unlinkat(state_fd, temporary, 0);
	errno = saved;
	return -1;
}

/* "NAME.json", and with a dot before that in @file */
static void name_file(enum state_kind kind, const char *name, char *file)
{
	snprintf(file, STATE_NAME, ".%s%s", name, kinds[kind].suffix);
}

static int save_text(enum state_kind kind, const char *name, json_t *json, struct error *err)
{
	char *text = json_dumps(json, JSON_INDENT(2));
	char file[STATE_NAME];
	int ret = -1;

	if (!text)
		return error_set(err, "out of memory");
	name_file(kind, name, file);
	if (write_file(file, text, strlen(text)))
		error_set(err, "cannot write the state file %s: %s", file + 1, strerror(errno));
	else
		ret = 0;
	free(text);
	return ret;
}

/**
 * state_save() - write a state file
 * @kind: of what
 * @name: its name
 * @json: what it is configured to be, "name" included; gone after this. May be NULL if
 *	there was no memory for it.
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int state_save(enum state_kind kind, const char *name, json_t *json, struct error *err)
{
	int ret;

	if (json_object_set_new(json, "version", json_integer(STATE_VERSION)))
		ret = error_set(err, "out of memory");
	else
		ret = save_text(kind, name, json, err);
	json_decref(json);
	return ret;
}

/**
 * state_remove() - remove a state file
 * @kind: of what
 * @name: its name
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int state_remove(enum state_kind kind, const char *name, struct error *err)
{
	char file[STATE_NAME];

	name_file(kind, name, file);
	if ((unlinkat(state_fd, file + 1, 0) && errno != ENOENT) || fsync(state_fd))
		return error_set(err, "cannot remove the state file %s: %s", file + 1,
				 strerror(errno));
	return 0;
}

/**
 * state_exists() - is there a state file, of use or not?
 * @kind: of what
 * @name: its name
 */
bool state_exists(enum state_kind kind, const char *name)
{
	char file[STATE_NAME];

	name_file(kind, name, file);
	return !faccessat(state_fd, file + 1, F_OK, AT_SYMLINK_NOFOLLOW);
}

static json_t *read_json(const char *file, struct error *err)
{
	json_error_t jerr;
	json_t *json;
	int fd;

	fd = openat(state_fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0) {
		error_set(err, "%s", strerror(errno));
		return NULL;
	}
	json = json_loadfd(fd, JSON_REJECT_DUPLICATES, &jerr);
	if (!json)
		error_set(err, "line %d: %s", jerr.line, jerr.text);
	close(fd);
	return json;
}

static int check_name(json_t *json, const char *file, size_t len, struct error *err)
{
	const char *name = json_string_value(json_object_get(json, "name"));

	if (!name)
		return error_set(err, "it has no \"name\"");
	if (strlen(name) != len || strncmp(name, file, len))
		return error_set(err, "it is of another name, %s", name);
	return 0;
}

static int load_file(const char *file, size_t name_len,
		     int (*found)(json_t *json, struct error *err),
		     void (*lost)(const json_t *json), struct error *err)
{
	json_t *json = read_json(file, err);
	int ret;

	if (!json) {
		lost(NULL);
		return -1;
	}
	if (json_integer_value(json_object_get(json, "version")) != STATE_VERSION) {
		ret = error_set(err, "it is not of version %d", STATE_VERSION);
	} else {
		json_object_del(json, "version");
		ret = check_name(json, file, name_len, err);
		if (!ret)
			ret = found(json, err);
	}
	if (ret)
		lost(json);
	json_decref(json);
	return ret;
}

/**
 * state_load() - read all state files of a kind
 * @kind: of what
 * @found: called with what each was configured to be
 * @lost: called with what a file that cannot be used says, or NULL if that is no JSON
 * @err: receives what is wrong
 *
 * A file that cannot be used is logged and left alone.
 *
 * Return: 0, or -1 if the directory cannot be read.
 */
int state_load(enum state_kind kind, int (*found)(json_t *json, struct error *err),
	       void (*lost)(const json_t *json), struct error *err)
{
	struct dirent *d;
	char *suffix;
	int fd, error;
	DIR *dir;

	fd = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return error_set(err, "cannot read the state files: %s", strerror(errno));

	while (errno = 0, (d = readdir(dir))) {
		suffix = strrchr(d->d_name, '.');
		if (!suffix || strcmp(suffix, kinds[kind].suffix))
			continue;
		if (d->d_name[0] == '.') {
			unlinkat(state_fd, d->d_name, 0);
			continue;
		}
		if (load_file(d->d_name, suffix - d->d_name, found, lost, err))
			log_error("state file %s is not usable, and its %s: %s",
				  d->d_name, kinds[kind].consequence, err->text);
	}
	error = errno;
	closedir(dir);
	/* Whose addresses are in the rest is not known. */
	return error ? error_set(err, "cannot read the state files: %s", strerror(error)) : 0;
}
