// SPDX-License-Identifier: GPL-2.0
/*
 * State files: the configuration of each port, DIR/NAME.json
 *
 * A file is complete or is not there: it is written under another name, which
 * begins with a dot as no port's name does, and renamed when it is on the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pvethd.h"

#define STATE_VERSION	1
#define STATE_SUFFIX	".json"

/* Room for a dot, a name and the suffix */
#define STATE_NAME	(1 + IFNAMSIZ + sizeof(STATE_SUFFIX))

static int state_fd = -1;

/**
 * state_open() - open the directory of state files, and lock it
 * @dir: its path; it is made if it is missing
 * @err: receives what is wrong
 *
 * The lock is held until the process and those that it forks are gone.
 *
 * Return: 0, or -1.
 */
int state_open(const char *dir, struct error *err)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		return error_set(err, "cannot make the directory %s: %s", dir, strerror(errno));
	state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state_fd < 0)
		return error_set(err, "cannot open the directory %s: %s", dir, strerror(errno));
	if (flock(state_fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return error_set(err, "another pvethd uses %s: stop it first, or use another --state-dir",
					 dir);
		return error_set(err, "cannot lock %s: %s", dir, strerror(errno));
	}
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

/**
 * state_save() - write the state file of a port
 * @config: its configuration
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int state_save(const struct port_config *config, struct error *err)
{
	json_t *json = config_to_json(config);
	char file[STATE_NAME];
	char *text = NULL;
	int ret = -1;

	if (json && !json_object_set_new(json, "version", json_integer(STATE_VERSION)))
		text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	if (!text)
		return error_set(err, "out of memory");

	snprintf(file, sizeof(file), ".%s" STATE_SUFFIX, config->name);
	if (write_file(file, text, strlen(text)))
		error_set(err, "cannot write the state file %s: %s", file + 1, strerror(errno));
	else
		ret = 0;
	free(text);
	return ret;
}

/**
 * state_remove() - remove the state file of a port
 * @name: the port's name
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int state_remove(const char *name, struct error *err)
{
	char file[STATE_NAME];

	snprintf(file, sizeof(file), "%s" STATE_SUFFIX, name);
	if ((unlinkat(state_fd, file, 0) && errno != ENOENT) || fsync(state_fd))
		return error_set(err, "cannot remove the state file %s: %s", file,
				 strerror(errno));
	return 0;
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

static int load_file(const char *file, struct port_config *config, struct error *err)
{
	size_t len = strlen(file) - strlen(STATE_SUFFIX);
	json_t *json, *version;
	int ret;

	json = read_json(file, err);
	if (!json)
		return -1;
	version = json_object_get(json, "version");
	if (json_integer_value(version) != STATE_VERSION) {
		ret = error_set(err, "it is not of version %d", STATE_VERSION);
	} else {
		json_object_del(json, "version");
		if (!json_object_get(json, "mac"))
			ret = error_set(err, "it has no \"mac\"");
		else
			ret = config_from_json(json, config, err);
	}
	if (!ret && (strlen(config->name) != len || strncmp(config->name, file, len)))
		ret = error_set(err, "it is of a port with another name, %s", config->name);
	json_decref(json);
	return ret;
}

/**
 * state_load() - read all state files
 * @found: called with each configuration
 * @err: receives what is wrong
 *
 * A file that cannot be used is logged and left alone.
 *
 * Return: 0, or -1 if the directory cannot be read.
 */
int state_load(void (*found)(const struct port_config *config), struct error *err)
{
	struct port_config config;
	struct dirent *d;
	char *suffix;
	DIR *dir;
	int fd;

	fd = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return error_set(err, "cannot read the state files: %s", strerror(errno));

	while ((d = readdir(dir))) {
		suffix = strrchr(d->d_name, '.');
		if (!suffix || strcmp(suffix, STATE_SUFFIX))
			continue;
		if (d->d_name[0] == '.') {
			unlinkat(state_fd, d->d_name, 0);
			continue;
		}
		if (load_file(d->d_name, &config, err))
			log_error("state file %s is not usable, and its port not served: %s",
				  d->d_name, err->text);
		else
			found(&config);
	}
	closedir(dir);
	return 0;
}
