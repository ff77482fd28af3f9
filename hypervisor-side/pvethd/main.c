// SPDX-License-Identifier: GPL-2.0
/*
 * pvethd: options, becoming a daemon, the event loop
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf.h"
#include "kernel.h"
#include "network.h"

#define DEFAULT_RUN_DIR		"/run/pveth"
#define DEFAULT_STATE_DIR	"/var/lib/pveth"
#define DEFAULT_CONFIG		"/etc/pveth/pvethd.conf"

/* Exit status: pvethd(8) */
#define EXIT_USAGE		2

/* A socket's path has at most 107 characters, and "/", a name and ".sock" are
 * to fit behind the directory.
 */
#define MAX_RUN_DIR		(107 - 1 - (IFNAMSIZ - 1) - 5)

static const char usage[] =
"Usage: pvethd [OPTION]...\n"
"Serve pveth ports to QEMU. Goes into the background when it is ready.\n"
"\n"
"  --config FILE      networks and ports that are to be there [" DEFAULT_CONFIG "]\n"
"  --check            check that file, and do nothing else\n"
"  --foreground       stay in the foreground, and write messages to stderr\n"
"  --run-dir DIR      directory of sockets [" DEFAULT_RUN_DIR "]\n"
"  --state-dir DIR    directory of the ports' configuration [" DEFAULT_STATE_DIR "]\n"
"  --help             show this\n"
"  --version          show the version\n"
"\n"
"Exit status: 0 all is well, 1 it failed, 2 the command line is wrong.\n";

struct options {
	const char *config;
	bool check;
	bool foreground;
	const char *run_dir;
	const char *state_dir;
};

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option table[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'C' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 'C':
			options->check = true;
			break;
		case 'f':
			options->foreground = true;
			break;
		case 'r':
			options->run_dir = optarg;
			break;
		case 's':
			options->state_dir = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'v':
			puts("pvethd " PVETHD_VERSION);
			exit(EXIT_SUCCESS);
		default:
			fputs("Try 'pvethd --help'.\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pvethd: '%s' is no option\nTry 'pvethd --help'.\n", argv[optind]);
		exit(EXIT_USAGE);
	}
}

/* What is in it decides who can connect, so that nobody else may write to it.
 * QEMU is told its absolute path.
 */
static int open_run_dir(struct options *options, struct error *err)
{
	static char dir[PATH_MAX];
	struct stat st;

	if (mkdir(options->run_dir, 0755) && errno != EEXIST)
		return error_set(err, "cannot make the directory %s: %s", options->run_dir,
				 strerror(errno));
	if (!realpath(options->run_dir, dir))
		return error_set(err, "cannot find the directory %s: %s", options->run_dir,
				 strerror(errno));
	if (strlen(dir) > MAX_RUN_DIR)
		return error_set(err, "the path %s is too long for sockets: --run-dir takes at most %d characters",
				 dir, MAX_RUN_DIR);
	options->run_dir = dir;
	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, "cannot open the directory %s: it is no directory", dir);
	if (st.st_uid != geteuid() || st.st_mode & 0022)
		return error_set(err, "the directory %s must belong to the user that runs pvethd, and nobody else may write to it",
				 dir);
	return 0;
}

static int lock_run_dir(const char *dir, struct error *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return error_set(err, "cannot open the directory %s: %s", dir, strerror(errno));
	ret = directory_lock(fd, dir, "--run-dir", err);
	close(fd);
	return ret;
}

/* Windows are pinned, and each port takes dozens of files. What is not allowed
 * is reported when it is missed.
 */
static void raise_limits(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void stop(evutil_socket_t signal, short what, void *arg)
{
	(void)signal;
	(void)what;
	event_base_loopbreak(arg);
}

/* As sd_notify(3) does it */
static void tell_systemd(const char *state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	socklen_t len;
	int fd;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	strcpy(addr.sun_path, path);
	len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr, len) < 0)
		log_error("cannot tell systemd that %s: %s", state, strerror(errno));
	close(fd);
}

/* The parent waits until the child says that it is ready, and exits; the child
 * goes on, and gets where to say it. Called without other threads or events.
 */
static int fork_daemon(struct error *err)
{
	char ready;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return error_set(err, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return error_set(err, "cannot fork: %s", strerror(errno));
	if (pid) {
		close(fds[1]);
		/* If it fails, it has said why, on the same stderr. */
		_exit(read(fds[0], &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(fds[0]);
	setsid();
	if (chdir("/"))
		return error_set(err, "cannot enter /: %s", strerror(errno));
	return fds[1];
}

static int leave_terminal(int ready_fd, struct error *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return error_set(err, "cannot use /dev/null: %s", strerror(errno));
	if (write(ready_fd, "", 1) != 1)
		return error_set(err, "nobody waits for this daemon: %s", strerror(errno));
	close(ready_fd);
	log_to_syslog();
	dup2(null, STDERR_FILENO);
	close(null);
	return 0;
}

static const char *config_path(const struct options *options)
{
	return options->config ? options->config : DEFAULT_CONFIG;
}

/* Unless it is asked for there need be no such file. */
static int read_config(const struct options *options, struct conf *conf, struct error *err)
{
	const char *path = config_path(options);

	if (!options->config && access(path, F_OK) && errno == ENOENT) {
		memset(conf, 0, sizeof(*conf));
		return 0;
	}
	return conf_read(path, conf, err);
}

/* What the file says now, and what is tried again: an uplink may come, or a bridge. */
static struct conf conf;
static struct event *apply_event;
/* In seconds, longer each time */
#define APPLY_SOONEST	2
#define APPLY_LATEST	60
static time_t apply_wait;

static void apply(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (conf_apply(&conf))
		return;
	event_add(apply_event, &(struct timeval){ .tv_sec = apply_wait });
	apply_wait = apply_wait < APPLY_LATEST / 2 ? 2 * apply_wait : APPLY_LATEST;
}

static void apply_first(void)
{
	event_del(apply_event);
	apply_wait = APPLY_SOONEST;
	apply(-1, 0, NULL);
}

static void reload(evutil_socket_t signal, short what, void *arg)
{
	struct conf new;
	struct error err;

	(void)signal;
	(void)what;
	if (read_config(arg, &new, &err)) {
		log_error("the configuration stays as it is: %s", err.text);
		conf_free(&new);
		return;
	}
	if (strcmp(new.run_dir, conf.run_dir) || strcmp(new.state_dir, conf.state_dir))
		log_error("other directories are for the next start of pvethd");
	conf_free(&conf);
	conf = new;
	apply_first();
	log_info("the configuration is loaded again");
}

static int serve(struct event_base *base, const struct options *options, int ready_fd,
		 struct error *err)
{
	apply_event = evtimer_new(base, apply, NULL);
	if (!apply_event)
		return error_set(err, "out of memory");
	if (kernel_open(base, err) ||
	    networks_open(err) ||
	    ports_open(base, options->run_dir, err) ||
	    dnsmasq_open(base, options->run_dir, options->foreground, err) ||
	    control_open(base, options->run_dir, err))
		return -1;
	apply_first();
	if (ready_fd >= 0 && leave_terminal(ready_fd, err))
		return -1;
	uplinks_update_again();
	tell_systemd("READY=1");
	log_info("ready");
	event_base_dispatch(base);
	tell_systemd("STOPPING=1");
	log_info("stopping; ports and their guests stay");
	return 0;
}

static struct event *add_signal(struct event_base *base, int signal, event_callback_fn call,
				void *arg, struct error *err)
{
	struct event *event = evsignal_new(base, signal, call, arg);

	if (event && !event_add(event, NULL))
		return event;
	if (event)
		event_free(event);
	error_set(err, "out of memory");
	return NULL;
}

static int run(struct options *options, struct error *err)
{
	struct event *event[3] = {};
	struct event_base *base;
	int ready_fd = -1;
	unsigned int i;
	int ret = -1;

	if (open_run_dir(options, err) || state_open(options->state_dir, err))
		return -1;
	if (!options->foreground) {
		ready_fd = fork_daemon(err);
		if (ready_fd < 0)
			return -1;
	}
	if (lock_run_dir(options->run_dir, err) || state_lock(options->state_dir, err))
		return -1;
	raise_limits();
	base = event_base_new();
	if (!base)
		return error_set(err, "cannot make an event loop");
	event[0] = add_signal(base, SIGTERM, stop, base, err);
	event[1] = add_signal(base, SIGINT, stop, base, err);
	event[2] = add_signal(base, SIGHUP, reload, options, err);
	if (event[0] && event[1] && event[2])
		ret = serve(base, options, ready_fd, err);
	if (apply_event)
		event_free(apply_event);
	control_close();
	dnsmasq_close();
	ports_close();
	networks_close();
	kernel_close();
	for (i = 0; i < COUNT(event); i++)
		if (event[i])
			event_free(event[i]);
	event_base_free(base);
	return ret;
}

static int check(const char *path, struct error *err)
{
	struct event_base *base = event_base_new();
	int ret;

	if (!base)
		return error_set(err, "cannot make an event loop");
	ret = conf_check(&conf, base, err);
	if (ret)
		error_prefix(err, "%s", path);
	else
		printf("%s: nothing is wrong; networks: %zu, ports: %zu\n", path,
		       json_array_size(conf.networks), json_array_size(conf.ports));
	ports_close();
	networks_close();
	event_base_free(base);
	return ret;
}

static int start(struct options *options, struct error *err)
{
	static char path[PATH_MAX], run_dir[PATH_MAX], state_dir[PATH_MAX];
	int ret;

	/* Later this may be another directory. */
	if (options->config && realpath(options->config, path))
		options->config = path;
	ret = read_config(options, &conf, err);
	strcpy(run_dir, conf.run_dir[0] ? conf.run_dir : DEFAULT_RUN_DIR);
	strcpy(state_dir, conf.state_dir[0] ? conf.state_dir : DEFAULT_STATE_DIR);
	if (!options->run_dir)
		options->run_dir = run_dir;
	if (!options->state_dir)
		options->state_dir = state_dir;
	if (!ret)
		ret = options->check ? check(config_path(options), err) : run(options, err);
	conf_free(&conf);
	return ret;
}

int main(int argc, char **argv)
{
	struct options options = {};
	struct error err;

	parse_options(argc, argv, &options);
	log_open();
	/* Sockets are made for nobody else. State files are no secret. */
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	if (!start(&options, &err))
		return EXIT_SUCCESS;
	log_error("%s", err.text);
	return EXIT_FAILURE;
}
