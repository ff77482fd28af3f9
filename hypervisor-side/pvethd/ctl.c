// SPDX-License-Identifier: GPL-2.0
/*
 * pvethctl: the command line to pvethd
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>
#include <linux/pveth.h>

#include "ctl.h"
#include "error.h"

#define DEFAULT_RUN_DIR	"/run/pveth"

/* Exit status: pvethctl(8) */
#define EXIT_USAGE	2

/* Making an interface may load a module, which may take its time. */
#define PATIENCE	60

static const char usage[] =
"Usage: pvethctl add NAME [OPTION]...   make a port and its interface NAME, and\n"
"                                       print what QEMU or libvirt need for it\n"
"       pvethctl del NAME               give a port up\n"
"       pvethctl list                   one line for each port\n"
"       pvethctl show [NAME]            all that is known of a port, or of all\n"
"\n"
"Options of add:\n"
"  --mac MAC            the guest's MAC address [a random one]\n"
"  --queues N           queue pairs, 1 to 16 [1]\n"
"  --window-size SIZE   memory shared with the guest, a power of two [4M for each\n"
"                       queue pair]\n"
"  --mtu N              MTU of the interface [1500]\n"
"  --bridge BRIDGE      put the interface into this bridge whenever it is made\n"
"  --mode MODE          what the host may touch: window, that and nothing else, or\n"
"                       direct, all of the guest's memory [window]\n"
"  --memory SIZE        direct mode: the size of the guest's memory\n"
"  --memory-dir DIR     direct mode: a tmpfs or hugetlbfs to have it in [/dev/shm]\n"
"  --machine TYPE       direct mode: QEMU's machine type, q35 or pc [q35]\n"
"  --socket-user USER   who may connect to the socket, as QEMU does [root]\n"
"  --socket-group GROUP the same [root]\n"
"\n"
"Options of all:\n"
"  --json               print JSON\n"
"  --run-dir DIR        where pvethd is [" DEFAULT_RUN_DIR "]\n"
"  --help               show this\n"
"  --version            show the version\n"
"\n"
"Exit status: 0 all is well, 1 it failed, 2 the command line is wrong.\n";

static bool json_output;
static const char *run_dir = DEFAULT_RUN_DIR;

static void __attribute__((noreturn, format(printf, 2, 3)))
die(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("pvethctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (status == EXIT_USAGE)
		fputs("Try 'pvethctl --help'.\n", stderr);
	exit(status);
}

/* Talking to pvethd */

static int connect_to_pvethd(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE };
	int fd, n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", run_dir);
	if ((size_t)n >= sizeof(addr.sun_path))
		die(EXIT_USAGE, "the path %s is too long", run_dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die(EXIT_FAILURE, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(EXIT_FAILURE, "cannot reach pvethd at %s: %s%s", addr.sun_path,
		    strerror(errno),
		    errno == EACCES || errno == EPERM ? "; be root" : "; is pvethd running?");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

static void __attribute__((noreturn)) die_of_silence(void)
{
	if (errno == EAGAIN)
		die(EXIT_FAILURE, "pvethd did not answer within %d seconds", PATIENCE);
	die(EXIT_FAILURE, "cannot talk to pvethd: %s", strerror(errno));
}

static void send_text(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	for (; len; text += n, len -= n) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0)
			die_of_silence();
	}
}

static size_t receive(void *buffer, size_t len, void *arg)
{
	ssize_t n = recv(*(int *)arg, buffer, len, 0);

	if (n < 0)
		die_of_silence();
	return n;
}

/* Returns what pvethd answered. Does not return if that was an error. */
static json_t *ask(json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	int fd = connect_to_pvethd();
	json_t *reply, *result;
	json_error_t jerr;
	const char *error;

	if (!text)
		die(EXIT_FAILURE, "an argument is not valid UTF-8");
	send_text(fd, text);
	send_text(fd, "\n");
	free(text);
	json_decref(request);
	reply = json_load_callback(receive, &fd, 0, &jerr);
	close(fd);
	if (!reply)
		die(EXIT_FAILURE, "pvethd gave no valid answer: %s", jerr.text);
	error = json_string_value(json_object_get(reply, "error"));
	if (error)
		die(EXIT_FAILURE, "%s", error);
	result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	if (!result)
		die(EXIT_FAILURE, "pvethd gave no valid answer");
	return result;
}

/* Commands */

enum {
	OPTION_HELP = 256,
	OPTION_VERSION,
	OPTION_JSON,
	OPTION_RUN_DIR,
	/* Those of add follow. */
	OPTION_MAC,
	OPTION_QUEUES,
	OPTION_WINDOW_SIZE,
	OPTION_MTU,
	OPTION_MODE,
	OPTION_MEMORY,
	OPTION_MEMORY_DIR,
	OPTION_MACHINE,
	OPTION_BRIDGE,
	OPTION_SOCKET_USER,
	OPTION_SOCKET_GROUP,
};

static const struct option options[] = {
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "run-dir", required_argument, NULL, OPTION_RUN_DIR },
	{ "mac", required_argument, NULL, OPTION_MAC },
	{ "queues", required_argument, NULL, OPTION_QUEUES },
	{ "window-size", required_argument, NULL, OPTION_WINDOW_SIZE },
	{ "mtu", required_argument, NULL, OPTION_MTU },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "memory-dir", required_argument, NULL, OPTION_MEMORY_DIR },
	{ "machine", required_argument, NULL, OPTION_MACHINE },
	{ "bridge", required_argument, NULL, OPTION_BRIDGE },
	{ "socket-user", required_argument, NULL, OPTION_SOCKET_USER },
	{ "socket-group", required_argument, NULL, OPTION_SOCKET_GROUP },
	{ NULL, 0, NULL, 0 },
};

/* Puts an option of add into its request. */
static void add_option(json_t *request, int option, const char *value)
{
	const char *name = "";
	unsigned int number;
	struct error err;
	uint64_t bytes;
	uint8_t mac[6];
	int ret = 0;

	switch (option) {
	case OPTION_MAC:
		name = "--mac";
		ret = parse_mac(value, mac, &err);
		json_object_set_new(request, "mac", json_string(value));
		break;
	case OPTION_QUEUES:
		name = "--queues";
		ret = parse_number(value, 1, PVETH_MAX_QUEUE_PAIRS, &number, &err);
		json_object_set_new(request, "queues", json_integer(number));
		break;
	case OPTION_WINDOW_SIZE:
		name = "--window-size";
		ret = parse_size(value, &bytes, &err);
		json_object_set_new(request, "window_size", json_integer(bytes));
		break;
	case OPTION_MTU:
		name = "--mtu";
		ret = parse_number(value, PVETH_MIN_MTU, PVETH_MAX_MTU, &number, &err);
		json_object_set_new(request, "mtu", json_integer(number));
		break;
	case OPTION_MODE:
		json_object_set_new(request, "mode", json_string(value));
		break;
	case OPTION_MEMORY:
		name = "--memory";
		ret = parse_size(value, &bytes, &err);
		json_object_set_new(request, "memory", json_integer(bytes));
		break;
	case OPTION_MEMORY_DIR:
		json_object_set_new(request, "memory_dir", json_string(value));
		break;
	case OPTION_MACHINE:
		json_object_set_new(request, "machine", json_string(value));
		break;
	case OPTION_BRIDGE:
		json_object_set_new(request, "bridge", json_string(value));
		break;
	case OPTION_SOCKET_USER:
		json_object_set_new(request, "socket_user", json_string(value));
		break;
	case OPTION_SOCKET_GROUP:
		json_object_set_new(request, "socket_group", json_string(value));
		break;
	}
	if (ret)
		die(EXIT_USAGE, "%s: %s", name, err.text);
}

static void parse_options(int argc, char **argv, json_t *request, bool *of_add)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPTION_HELP:
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case OPTION_VERSION:
			puts("pvethctl " PVETHD_VERSION);
			exit(EXIT_SUCCESS);
		case OPTION_JSON:
			json_output = true;
			break;
		case OPTION_RUN_DIR:
			run_dir = optarg;
			break;
		case '?':
			fputs("Try 'pvethctl --help'.\n", stderr);
			exit(EXIT_USAGE);
		default:
			*of_add = true;
			add_option(request, c, optarg);
		}
	}
}

static void set_name(json_t *request, const char *name)
{
	struct error err;

	if (parse_name(name, &err))
		die(EXIT_USAGE, "%s", err.text);
	json_object_set_new(request, "name", json_string(name));
}

/* A command has a name of a port if it is given one; @print gets the result. */
static const struct command {
	const char *name;
	bool needs_port;
	bool takes_port;
	void (*print)(json_t *result);
} commands[] = {
	{ "add", true, true, print_added },
	{ "del", true, true, print_deleted },
	{ "list", false, false, print_list },
	{ "show", false, true, print_ports },
};

static const struct command *find_command(const char *name)
{
	const struct command *command;

	for (command = commands; command < commands + sizeof(commands) / sizeof(*commands);
	     command++)
		if (!strcmp(name, command->name))
			return command;
	die(EXIT_USAGE, "there is no command '%s': use add, del, list or show", name);
}

int main(int argc, char **argv)
{
	json_t *request = json_object(), *result;
	const struct command *command;
	const char *request_name;
	bool of_add = false;
	int words;

	parse_options(argc, argv, request, &of_add);
	words = argc - optind;
	argv += optind;
	if (!words)
		die(EXIT_USAGE, "a command is missing: use add, del, list or show");
	command = find_command(argv[0]);
	if (of_add && command->print != print_added)
		die(EXIT_USAGE, "'%s' has no such option", command->name);
	if (words < 2 && command->needs_port)
		die(EXIT_USAGE, "'%s' needs the name of a port", command->name);
	if (words > 1 + command->takes_port)
		die(EXIT_USAGE, "'%s' is too much for '%s'", argv[1 + command->takes_port],
		    command->name);

	request_name = command->name;
	if (words > 1)
		set_name(request, argv[1]);
	else if (command->takes_port)
		request_name = "list";
	json_object_set_new(request, "command", json_string(request_name));
	result = ask(request);

	if (json_output)
		print_json(result);
	else if (command->print == print_ports && words > 1)
		print_port(result);
	else
		command->print(result);
	json_decref(result);
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_FAILURE, "cannot write: %s", strerror(errno));
	return EXIT_SUCCESS;
}
