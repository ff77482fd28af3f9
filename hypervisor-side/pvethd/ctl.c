// SPDX-License-Identifier: GPL-2.0
/*
 * pvethctl: the command line to pvethd
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include "ctl.h"
#include "option.h"

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
"       pvethctl top [OPTION]...        what ports do now, until it is stopped\n"
"       pvethctl network add NAME [OPTION]...\n"
"                                       make a network that ports get addresses of\n"
"       pvethctl network del NAME       give up a network that has no ports\n"
"       pvethctl network list           one line for each network\n"
"       pvethctl network show [NAME]    all that is known of a network, or of all\n"
"\n"
"Options of add:\n"
"  --network NETWORK    give the guest addresses of this network, and routes\n"
"  --ipv4 ADDRESS       the one that it is to have [one that is free]\n"
"  --ipv6 ADDRESS       the same\n"
"  --allow WHAT         let the guest send vlan (tagged frames), link-local (in a\n"
"                       network: from any such IPv6 address), or all; may be given\n"
"                       several times [what pvethd(8) says]\n"
"  --publish HOST:GUEST/PROTOCOL\n"
"                       reach this port of the guest at the network's uplink, as in\n"
"                       8080:80/tcp; may be given several times\n"
"  --mac MAC            the guest's MAC address [random, or the network's choice]\n"
"  --rate-in RATE       what goes to the guest at most, as in 100mbit [no limit]\n"
"  --rate-out RATE      what comes from it at most [no limit]\n"
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
"  --socket-user USER   who may connect to the socket, as QEMU does [pvethd's]\n"
"  --socket-group GROUP the same [pvethd's]\n"
"\n"
"Options of network add, of which --ipv4, --ipv6 or both are needed:\n"
"  --ipv4 PREFIX        the network's IPv4 addresses, as in 10.1.0.0/24\n"
"  --ipv6 PREFIX        the network's IPv6 addresses, as in fd00:1::/64\n"
"  --mode MODE          how guests reach each other: routed, through the host, or bridged,\n"
"                       through a bridge of the network's name [routed]\n"
"  --isolated           in a bridge: they do not\n"
"  --uplink INTERFACE   the way out of the network; forward what comes in there\n"
"  --nat                translate IPv4 addresses on the way out\n"
"  --nat66              translate IPv6 addresses as well\n"
"  --dns-domain DOMAIN  the ports' names are in this domain as well\n"
"  --exclude RANGE      addresses that no port gets, as in 10.1.0.2-10.1.0.9; may be\n"
"                       given several times\n"
"\n"
"Options of show:\n"
"  --get FIELD          print this field of what --json shows, and nothing else\n"
"\n"
"Options of top:\n"
"  --interval SECONDS   how often, 1 to 3600 [1]\n"
"  --count N            stop after so many times\n"
"\n"
"Options of all:\n"
"  --json               print JSON\n"
"  --run-dir DIR        where pvethd is [" DEFAULT_RUN_DIR "]\n"
"  --help               show this\n"
"  --version            show the version\n"
"\n"
"Exit status: 0 all is well, 1 it failed, 2 the command line is wrong.\n";

static bool json_output;
/* What to print of an object instead of all */
static const char *only_field;
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
	/* That of show follows, those of top, */
	OPTION_GET,
	OPTION_INTERVAL,
	OPTION_COUNT,
	/* and those of whatever is added: option_infos. */
	OPTION_INFOS,
};

static const struct option own_options[] = {
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "run-dir", required_argument, NULL, OPTION_RUN_DIR },
	{ "get", required_argument, NULL, OPTION_GET },
	{ "interval", required_argument, NULL, OPTION_INTERVAL },
	{ "count", required_argument, NULL, OPTION_COUNT },
};

/* All of them, for getopt_long() */
static struct option *all_options(void)
{
	const struct option_info *info = option_infos;
	struct option *options, *option;

	while (info->name)
		info++;
	options = calloc(COUNT(own_options) + (info - option_infos) + 1, sizeof(*options));
	if (!options)
		die(EXIT_FAILURE, "out of memory");
	memcpy(options, own_options, sizeof(own_options));
	option = options + COUNT(own_options);
	for (info = option_infos; info->name; info++, option++) {
		option->name = info->name;
		option->has_arg = info->is_flag ? no_argument : required_argument;
		option->val = OPTION_INFOS + (info - option_infos);
	}
	return options;
}

#define TOP	"top"

/* A command has a name if it is given one; @print gets the result, and @print_named
 * if there was a name.
 */
static const struct command {
	const char *name;
	enum object object;
	bool adds;
	bool needs_name;
	bool takes_name;
	void (*print)(json_t *result);
	void (*print_named)(json_t *result);
} commands[] = {
	{ "add", OBJECT_PORT, true, true, true, NULL, print_added },
	{ "del", OBJECT_PORT, false, true, true, NULL, print_deleted },
	{ "list", OBJECT_PORT, false, false, false, print_list, NULL },
	{ "show", OBJECT_PORT, false, false, true, print_ports, print_port },
	{ TOP, OBJECT_PORT, false, false, false, NULL, NULL },
	{ "network add", OBJECT_NETWORK, true, true, true, NULL, print_network },
	{ "network del", OBJECT_NETWORK, false, true, true, NULL, print_network_deleted },
	{ "network list", OBJECT_NETWORK, false, false, false, print_network_list, NULL },
	{ "network show", OBJECT_NETWORK, false, false, true, print_networks, print_network },
};

static const char * const list_commands[] = { "list", "network list" };

static bool takes_option(const struct command *command, int option)
{
	if (option == OPTION_GET)
		/* That is show. */
		return command->takes_name && !command->needs_name;
	if (option < OPTION_INFOS)
		return !strcmp(command->name, TOP);
	return command->adds &&
	       option_infos[option - OPTION_INFOS].objects & 1 << command->object;
}

/* How often top looks, and how many times; 0 has no end */
static unsigned int top_interval = 1, top_count;

static int top_option(int option, const char *value, struct error *err)
{
	if (option == OPTION_INTERVAL)
		return parse_number(value, 1, 3600, &top_interval, err);
	return parse_number(value, 1, UINT_MAX, &top_count, err);
}

/* Puts an option into a request to add something, or keeps it for show or top. */
static void take_option(json_t *request, enum object object, const struct option *option,
			const char *value)
{
	struct error err;
	int ret;

	if (option->val == OPTION_GET) {
		only_field = value;
		return;
	}
	if (option->val < OPTION_INFOS)
		ret = top_option(option->val, value, &err);
	else
		ret = option_set(request, object, &option_infos[option->val - OPTION_INFOS],
				 value ? value : "yes", &err);
	if (ret)
		die(EXIT_USAGE, "--%s: %s", option->name, err.text);
}

struct given {
	const struct option *option;
	const char *value;
};

/* Returns how many options there are that not every command has. */
static unsigned int parse_options(int argc, char **argv, const struct option *options,
				  struct given *given)
{
	unsigned int count = 0;
	int c, i;

	while ((c = getopt_long(argc, argv, "", options, &i)) != -1) {
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
			given[count].option = &options[i];
			given[count++].value = optarg;
		}
	}
	return count;
}

static void set_name(json_t *request, enum object object, const char *name)
{
	struct error err;

	if (parse_name(object_names[object], name, &err))
		die(EXIT_USAGE, "%s", err.text);
	json_object_set_new(request, "name", json_string(name));
}

/* Takes the words of a command from the front of @words. */
static const struct command *find_command(char ***words)
{
	static const char network[] = "network";
	bool of_network = **words && !strcmp(**words, network);
	const char *choice = of_network ? "network add, network del, network list or network show" :
					  "add, del, list, show, top or network";
	const struct command *command;
	const char *name;

	if (of_network)
		++*words;
	if (!**words)
		die(EXIT_USAGE, "a command is missing: use %s", choice);
	for (command = commands; command < commands + COUNT(commands);
	     command++) {
		if (command->object != (of_network ? OBJECT_NETWORK : OBJECT_PORT))
			continue;
		name = command->name + (of_network ? sizeof(network) : 0);
		if (!strcmp(**words, name)) {
			++*words;
			return command;
		}
	}
	die(EXIT_USAGE, "there is no command '%s%s': use %s", of_network ? "network " : "",
	    **words, choice);
}

static json_t *get_field(json_t *object)
{
	json_t *value = json_object_get(object, only_field);

	if (!value)
		die(EXIT_FAILURE, "there is no field '%s': show --json has all of them",
		    only_field);
	return value;
}

/* Of one object, or of each in an array: of all, or of none if one has it not */
static void print_fields(json_t *result)
{
	json_t *object;
	size_t i;

	if (!json_is_array(result)) {
		print_value(get_field(result));
		return;
	}
	json_array_foreach(result, i, object)
		get_field(object);
	json_array_foreach(result, i, object)
		print_value(get_field(object));
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void top(void)
{
	json_t *before = NULL, *ports;
	double then = 0, time;
	unsigned int i;

	for (i = 0; !top_count || i < top_count; i++) {
		if (i)
			sleep(top_interval);
		ports = ask(json_pack("{s:s}", "command", "list"));
		time = now();
		if (json_output)
			print_json(ports);
		else
			print_top(ports, before, time - then);
		if (fflush(stdout) || ferror(stdout))
			die(EXIT_FAILURE, "cannot write: %s", strerror(errno));
		json_decref(before);
		before = ports;
		then = time;
	}
	json_decref(before);
}

int main(int argc, char **argv)
{
	json_t *request = json_object(), *result;
	const struct command *command;
	unsigned int count, i;
	struct option *options = all_options();
	const struct option *option;
	const char *name, *asks;
	struct given *given;
	char **words;

	given = calloc(argc, sizeof(*given));
	if (!given)
		die(EXIT_FAILURE, "out of memory");
	count = parse_options(argc, argv, options, given);
	words = argv + optind;
	command = find_command(&words);
	for (i = 0; i < count; i++) {
		option = given[i].option;
		if (!takes_option(command, option->val))
			die(EXIT_USAGE, "'%s' has no option --%s", command->name, option->name);
		take_option(request, command->object, option, given[i].value);
	}
	free(given);
	free(options);
	name = *words;
	if (!name && command->needs_name)
		die(EXIT_USAGE, "'%s' needs the name of a %s", command->name,
		    object_names[command->object]);
	if (name && (!command->takes_name || words[1]))
		die(EXIT_USAGE, "'%s' is too much for '%s'", words[command->takes_name],
		    command->name);

	if (!strcmp(command->name, TOP)) {
		json_decref(request);
		top();
		return EXIT_SUCCESS;
	}
	asks = command->name;
	if (name)
		set_name(request, command->object, name);
	else if (command->takes_name)
		asks = list_commands[command->object];
	json_object_set_new(request, "command", json_string(asks));
	result = ask(request);

	if (only_field)
		print_fields(result);
	else if (json_output)
		print_json(result);
	else if (name)
		command->print_named(result);
	else
		command->print(result);
	json_decref(result);
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_FAILURE, "cannot write: %s", strerror(errno));
	return EXIT_SUCCESS;
}
