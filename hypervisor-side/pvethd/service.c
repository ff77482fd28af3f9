// SPDX-License-Identifier: GPL-2.0
/*
 * Processes of dnsmasq, each of which gives guests something
 *
 * They outlive pvethd, and the next one goes on with them. Their files are in one
 * directory: for each, NAME.conf, which says what else it reads, and NAME.pid.
 */
#include <errno.h>
#include <linux/capability.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network.h"
#include "service.h"

#define PROGRAM		"dnsmasq"
#define CONF_OPTION	"--conf-file="

/* To end, when it is told to */
static const struct timeval patience = { .tv_sec = 5 };

static struct event_base *base;
static char dir[PATH_MAX];
/* Log to stderr, as pvethd does */
static bool foreground;

/**
 * services_open() - say where services are
 * @event_base: where their events go
 * @path: the directory of their files
 * @to_stderr: what they say goes to stderr, and not to syslog
 */
void services_open(struct event_base *event_base, const char *path, bool to_stderr)
{
	base = event_base;
	foreground = to_stderr;
	snprintf(dir, sizeof(dir), "%s", path);
}

/**
 * service_path() - where a file is
 * @name: its name
 * @suffix: the end of its name
 *
 * Return: its path, until three others were asked for.
 */
const char *service_path(const char *name, const char *suffix)
{
	static char paths[4][PATH_MAX + 32];
	static unsigned int next;
	char *path = paths[next++ % COUNT(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s%s", dir, name, suffix);
	return path;
}

/* As it does itself, but before anybody may look for it */
static void write_pid(const struct service *service, pid_t pid)
{
	FILE *file = fopen(service_path(service->name, ".pid"), "we");

	if (!file)
		return;
	fprintf(file, "%d\n", (int)pid);
	fclose(file);
}

/* What pvethd may have as a user that is not root, and dnsmasq, which has its packets from
 * guests, has no use for. Bits of @lowered are those that it had.
 */
static const int own_capabilities[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_IPC_LOCK };

static unsigned int lower_capabilities(void)
{
	unsigned int lowered = 0;
	size_t i;

	for (i = 0; i < COUNT(own_capabilities); i++) {
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, own_capabilities[i], 0, 0) != 1)
			continue;
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, own_capabilities[i], 0, 0);
		lowered |= 1 << i;
	}
	return lowered;
}

static void raise_capabilities(unsigned int lowered)
{
	size_t i;

	for (i = 0; i < COUNT(own_capabilities); i++)
		if (lowered & 1 << i)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, own_capabilities[i], 0, 0);
}

/* Returns when it runs, and has none of our files. */
static int spawn(const struct service *service, pid_t *pid)
{
	char conf[PATH_MAX + 64], pid_file[PATH_MAX + 64];
	char * const args[] = { (char *)PROGRAM, (char *)"--keep-in-foreground", conf, pid_file,
			 foreground ? (char *)"--log-facility=-" : NULL, NULL };
	void (*on_hangup)(int signal);
	posix_spawnattr_t attributes;
	sigset_t defaults, hangup, mask;
	unsigned int lowered;
	int error;

	snprintf(conf, sizeof(conf), CONF_OPTION "%s", service_path(service->name, ".conf"));
	snprintf(pid_file, sizeof(pid_file), "--pid-file=%s", service_path(service->name, ".pid"));
	error = posix_spawnattr_init(&attributes);
	if (error)
		return error;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETSID);
	/* Who asks it to read files anew before it can is not to end it. Our own signal is
	 * kept meanwhile.
	 */
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, &mask);
	posix_spawnattr_setsigmask(&attributes, &mask);
	on_hangup = signal(SIGHUP, SIG_IGN);
	lowered = lower_capabilities();
	error = posix_spawnp(pid, PROGRAM, NULL, &attributes, args, environ);
	raise_capabilities(lowered);
	signal(SIGHUP, on_hangup);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	posix_spawnattr_destroy(&attributes);
	return error;
}

/**
 * service_forget() - leave the process alone
 * @service: the service
 */
void service_forget(struct service *service)
{
	if (service->ended)
		event_free(service->ended);
	service->ended = NULL;
	if (service->pid)
		close(service->pidfd);
	service->pid = 0;
	service->stops = false;
}

static void service_ended(evutil_socket_t fd, short what, void *arg);

/* The process is there, whoever started it. */
static int service_watch(struct service *service, pid_t pid, struct error *err)
{
	int pidfd = pidfd_open(pid, 0);

	if (pidfd < 0)
		return error_set(err, "cannot watch " PROGRAM ": %s", strerror(errno));
	service->pid = pid;
	service->pidfd = pidfd;
	service->ended = event_new(base, pidfd, EV_READ, service_ended, service);
	if (service->ended && !event_add(service->ended, NULL))
		return 0;
	service_forget(service);
	return error_set(err, "out of memory");
}

/* What it reads as it starts, for service_is_stale(). Files are replaced, and not written. */
static void keep_conf(const struct service *service)
{
	const char *conf = service_path(service->name, ".conf");
	const char *running = service_path(service->name, ".running");

	unlink(running);
	if (link(conf, running))
		log_error("cannot make %s: %s", running, strerror(errno));
}

static int service_start(struct service *service, struct error *err)
{
	pid_t pid;
	int error;

	service->starts_anew = false;
	if (service->prepare && service->prepare(err))
		return -1;
	keep_conf(service);
	error = spawn(service, &pid);
	if (error)
		return error_set(err, "guests of networks get no %s: cannot run " PROGRAM ": %s",
				 service->gives, strerror(error));
	write_pid(service, pid);
	if (!service_watch(service, pid, err))
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}

static void service_restart(struct service *service)
{
	struct error err;

	if (service_start(service, &err))
		dnsmasq_failed(err.text);
}

static void service_ended(evutil_socket_t fd, short what, void *arg)
{
	struct service *service = arg;
	bool stops = service->stops, anew = service->starts_anew;
	struct error err;

	(void)fd;
	if (what & EV_TIMEOUT) {
		pidfd_send_signal(service->pidfd, SIGKILL, NULL, 0);
		event_add(service->ended, &patience);
		return;
	}
	/* One of an earlier pvethd is not our child. */
	waitpid(service->pid, NULL, WNOHANG);
	service_forget(service);
	if (anew) {
		service_restart(service);
	} else if (!stops) {
		error_set(&err, "guests of networks get no %s: " PROGRAM " ended, and says in the log why",
			  service->gives);
		dnsmasq_failed(err.text);
	}
}

/**
 * service_stop() - have the process end, if there is one
 * @service: the service
 */
void service_stop(struct service *service)
{
	service->starts_anew = false;
	if (!service->pid || service->stops)
		return;
	service->stops = true;
	pidfd_send_signal(service->pidfd, SIGTERM, NULL, 0);
	event_add(service->ended, &patience);
}

/**
 * service_update() - have the process know what its files say; start it, if there is none
 * @service: the service
 * @restart: it is to start anew for that
 * @reload: it is to read some of them again
 */
void service_update(struct service *service, bool restart, bool reload)
{
	if (!service->pid) {
		service_restart(service);
	} else if (restart || service->stops) {
		service_stop(service);
		service->starts_anew = true;
	} else if (reload) {
		pidfd_send_signal(service->pidfd, SIGHUP, NULL, 0);
	}
}

/* Its arguments, each with a NUL, have our file. */
static bool is_ours(const struct service *service, pid_t pid)
{
	char path[64], wanted[PATH_MAX + 64], *argument = NULL;
	bool found = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	snprintf(wanted, sizeof(wanted), CONF_OPTION "%s", service_path(service->name, ".conf"));
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && getdelim(&argument, &size, '\0', file) > 0)
		found = !strcmp(argument, wanted);
	free(argument);
	fclose(file);
	return found;
}

/**
 * service_adopt() - go on with the process of an earlier pvethd, if there is one
 * @service: the service
 *
 * Its PID may be another's now.
 */
void service_adopt(struct service *service)
{
	FILE *file = fopen(service_path(service->name, ".pid"), "re");
	struct error ignored;
	int pid, found;

	if (!file)
		return;
	found = fscanf(file, "%d", &pid);
	fclose(file);
	if (found != 1 || pid <= 0 || service_watch(service, pid, &ignored))
		return;
	/* As long as it is watched, the PID is its own. */
	if (!is_ours(service, pid))
		service_forget(service);
}

/**
 * service_is_stale() - did the process start with other files than there are now?
 * @service: the service
 *
 * Whoever wrote them may have ended before he could start it anew.
 */
bool service_is_stale(const struct service *service)
{
	struct stat conf, running;

	return service->pid && (stat(service_path(service->name, ".conf"), &conf) ||
				stat(service_path(service->name, ".running"), &running) ||
				conf.st_dev != running.st_dev || conf.st_ino != running.st_ino);
}
