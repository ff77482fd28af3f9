// SPDX-License-Identifier: GPL-2.0
/*
 * pvethd.conf: networks and ports that are to be there from the start
 *
 * The file is read by libconfuse. Its sections have the options of pvethctl.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <confuse.h>

#include "conf.h"
#include "network.h"
#include "option.h"
#include "text.h"

/* Callbacks have no argument for that. */
static struct conf *reading;
static const char *reading_path;
static struct error *reading_error;
static bool has_error;

/* The last line, which is ours: a section that is still open has no such option. libconfuse
 * itself takes any end for that of a section.
 */
#define END		"end-of-file!"

/* What comes after the first error may come of it. */
static void __attribute__((format(printf, 2, 0)))
report(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[ERROR_TEXT];

	if (has_error)
		return;
	has_error = true;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (strstr(text, END))
		snprintf(text, sizeof(text), "a section has no end: '}' is missing");
	error_set(reading_error, "%s:%d: %s", reading_path, cfg->line, text);
}

/* An option that is given in a section, into what is to be added */
static int take_option(json_t *json, enum object object, const struct option_info *info,
		       cfg_opt_t *opt, struct error *err)
{
	const char *text;
	unsigned int i;

	for (i = 0; i < cfg_opt_size(opt); i++) {
		if (info->is_flag)
			text = cfg_opt_getnbool(opt, i) ? "yes" : "no";
		else
			text = cfg_opt_getnstr(opt, i);
		if (option_set(json, object, info, text, err)) {
			error_prefix(err, "%s", info->name);
			return -1;
		}
	}
	return 0;
}

static json_t *read_section(cfg_t *section, enum object object, struct error *err)
{
	const char *name = cfg_title(section);
	const struct option_info *info;
	json_t *json;

	if (parse_name(object_names[object], name, err))
		return NULL;
	json = json_pack("{s:s}", "name", name);
	for (info = option_infos; json && info->name; info++) {
		if (!(info->objects & 1 << object))
			continue;
		if (take_option(json, object, info, cfg_getopt(section, info->name), err)) {
			json_decref(json);
			return NULL;
		}
	}
	if (!json)
		error_set(err, "out of memory");
	return json;
}

/* A section has ended. */
static int take_section(cfg_t *cfg, cfg_opt_t *opt, enum object object, json_t *array)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct port_config config;
	struct error err;
	json_t *json;

	json = read_section(section, object, &err);
	if (json && object == OBJECT_PORT && config_from_json(json, &config, &err)) {
		json_decref(json);
		json = NULL;
	}
	if (json)
		return json_array_append_new(array, json);
	cfg_error(cfg, "%s %s: %s", object_names[object], cfg_title(section), err.text);
	return -1;
}

static int take_network(cfg_t *cfg, cfg_opt_t *opt)
{
	return take_section(cfg, opt, OBJECT_NETWORK, reading->networks);
}

static int take_port(cfg_t *cfg, cfg_opt_t *opt)
{
	return take_section(cfg, opt, OBJECT_PORT, reading->ports);
}

#define MAX_OPTIONS	64

/* Those of a section, for libconfuse, which copies them */
static void list_options(enum object object, cfg_opt_t *opts)
{
	const struct option_info *info;
	cfg_opt_t *opt = opts;

	for (info = option_infos; info->name; info++) {
		if (!(info->objects & 1 << object))
			continue;
		if (opt == opts + MAX_OPTIONS - 1)
			abort();
		if (info->is_flag)
			*opt++ = (cfg_opt_t)CFG_BOOL(info->name, cfg_false, CFGF_NODEFAULT);
		else if (info->is_list)
			*opt++ = (cfg_opt_t)CFG_STR_LIST(info->name, NULL, CFGF_NODEFAULT);
		else
			*opt++ = (cfg_opt_t)CFG_STR(info->name, NULL, CFGF_NODEFAULT);
	}
	*opt = (cfg_opt_t)CFG_END();
}

static cfg_t *make_parser(void)
{
	const cfg_flag_t section = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	cfg_opt_t network[MAX_OPTIONS], port[MAX_OPTIONS];
	cfg_opt_t opts[] = {
		CFG_STR("run-dir", "", CFGF_NONE),
		CFG_STR("state-dir", "", CFGF_NONE),
		CFG_BOOL(END, cfg_false, CFGF_NONE),
		CFG_SEC("network", network, section),
		CFG_SEC("port", port, section),
		CFG_END(),
	};
	cfg_t *cfg;

	list_options(OBJECT_NETWORK, network);
	list_options(OBJECT_PORT, port);
	cfg = cfg_init(opts, CFGF_NONE);
	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, report);
	cfg_set_validate_func(cfg, "network", take_network);
	cfg_set_validate_func(cfg, "port", take_port);
	return cfg;
}

static int take_dir(cfg_t *cfg, const char *name, char *dir, struct error *err)
{
	const char *text = cfg_getstr(cfg, name);

	if (strlen(text) >= PATH_MAX)
		return error_set(err, "%s is longer than %d characters", name, PATH_MAX - 1);
	if (*text && *text != '/')
		return error_set(err, "%s must be an absolute path, not '%s'", name, text);
	strcpy(dir, text);
	return 0;
}

/* libconfuse ends the process if it cannot read. */
static int read_text(const char *path, struct text *text, struct error *err)
{
	FILE *file = fopen(path, "re");
	char buffer[BUFSIZ];
	int error = errno;
	size_t len;

	if (!file)
		return error_set(err, "cannot read %s: %s", path, strerror(error));
	if (text_begin(text, err)) {
		fclose(file);
		return -1;
	}
	errno = 0;
	while ((len = fread(buffer, 1, sizeof(buffer), file)))
		fwrite(buffer, 1, len, text->file);
	error = ferror(file) ? errno : 0;
	fclose(file);
	fputs("\n" END " = yes\n", text->file);
	if (text_end(text, err))
		return -1;
	if (!error)
		return 0;
	free(text->string);
	return error_set(err, "cannot read %s: %s", path, strerror(error));
}

/* The end of a string or comment that begins at @text, or NULL if it has none */
static char *end_of(char *text)
{
	char *end;

	if (*text == '#' || text[1] == '/')
		return text + strcspn(text, "\n");
	if (*text == '/') {
		end = strstr(text + 2, "*/");
		return end ? end + 2 : NULL;
	}
	for (end = text + 1; *end && *end != *text; end++)
		if (*end == '\\' && end[1])
			end++;
	return *end ? end + 1 : NULL;
}

static bool is_comment(const char *text)
{
	return *text == '#' || (*text == '/' && (text[1] == '/' || text[1] == '*'));
}

/* libconfuse counts the lines of comments twice and thrice, so that it is not to see
 * them. Nor is it to see its own language for options within sections, "port|mtu".
 */
static int strip_comments(struct text *text, const char *path, struct error *err)
{
	unsigned int line = 1;
	bool comment;
	char *p, *end;

	if (strlen(text->string) != text->length)
		return error_set(err, "%s: it has a character that is none (0)", path);
	for (p = text->string; *p; p = end) {
		end = p + 1;
		/* Within a word a slash begins none. */
		comment = is_comment(p) && (*p == '#' || p == text->string ||
					    strchr(" \t\r\n={},\"'", p[-1]));
		if (*p == '|')
			return error_set(err, "%s:%u: '|' is in no word of this file that is not quoted",
					 path, line);
		if (comment || *p == '"' || *p == '\'')
			end = end_of(p);
		if (!end)
			return error_set(err, "%s:%u: what begins here with %c has no end", path,
					 line, *p);
		for (; p < end; p++) {
			if (*p == '\n')
				line++;
			else if (comment)
				*p = ' ';
		}
	}
	return 0;
}

static int parse(cfg_t *cfg, const char *text, struct error *err)
{
	if (cfg_parse_buf(cfg, text))
		return has_error ? -1 : error_set(err, "cannot read %s", reading_path);
	if (take_dir(cfg, "run-dir", reading->run_dir, err) ||
	    take_dir(cfg, "state-dir", reading->state_dir, err)) {
		error_prefix(err, "%s", reading_path);
		return -1;
	}
	return 0;
}

/**
 * conf_read() - read the file
 * @path: where it is
 * @conf: receives what it says; for conf_free(), whether it can be read or not
 * @err: receives what is wrong, and in which line
 *
 * Return: 0, or -1.
 */
int conf_read(const char *path, struct conf *conf, struct error *err)
{
	cfg_t *cfg = make_parser();
	struct text text;
	int ret = -1;

	memset(conf, 0, sizeof(*conf));
	conf->networks = json_array();
	conf->ports = json_array();
	reading = conf;
	reading_path = path;
	reading_error = err;
	has_error = false;
	if (!cfg || !conf->networks || !conf->ports) {
		error_set(err, "out of memory");
	} else if (!read_text(path, &text, err)) {
		ret = strip_comments(&text, path, err);
		if (!ret)
			ret = parse(cfg, text.string, err);
		free(text.string);
	}
	if (cfg)
		cfg_free(cfg);
	return ret;
}

static const char *name_of(json_t *json)
{
	return json_string_value(json_object_get(json, "name"));
}

/* Who asks for addresses is first, or others may be given them. */
static bool asks(json_t *port)
{
	return json_object_get(port, "mac") || json_object_get(port, "ipv4") ||
	       json_object_get(port, "ipv6");
}

static int check_ports(const struct conf *conf, bool asking, struct event_base *event_base,
		       struct error *err)
{
	json_t *json;
	size_t i;

	json_array_foreach(conf->ports, i, json) {
		if (asks(json) == asking && port_check(json, event_base, err)) {
			error_prefix(err, "port %s", name_of(json));
			return -1;
		}
	}
	return 0;
}

/**
 * conf_check() - check that all of it can be together
 * @conf: what the file says
 * @event_base: for port_check()
 * @err: receives what is wrong
 *
 * Neither the kernel nor what there is already is asked. Networks and ports are there
 * afterwards, in memory only.
 *
 * Return: 0, or -1.
 */
int conf_check(const struct conf *conf, struct event_base *event_base, struct error *err)
{
	json_t *json;
	size_t i;

	json_array_foreach(conf->networks, i, json) {
		if (network_check(json, err)) {
			error_prefix(err, "network %s", name_of(json));
			return -1;
		}
	}
	if (check_ports(conf, true, event_base, err))
		return -1;
	return check_ports(conf, false, event_base, err);
}

/* What was said since the file was read, so that it is said once */
static json_t *said;

static void __attribute__((format(printf, 1, 2)))
complain(const char *fmt, ...)
{
	char text[2 * ERROR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!said)
		said = json_object();
	if (json_object_get(said, text))
		return;
	json_object_set_new(said, text, json_true());
	log_error("%s", text);
}

/* What nobody has unless he was given it */
static const char * const given_only[] = {
	"mode", "exclude", "dns_domain", "uplink", "nat", "nat66", "isolated", "network", "memory",
	"allow", "publish", "rate_in", "rate_out", "bridge", "socket_user", "socket_group",
};

static bool is_nothing(json_t *value)
{
	const char *text = json_string_value(value);

	return !value || json_is_false(value) ||
	       (json_is_array(value) && !json_array_size(value)) ||
	       (text && (!*text || !strcmp(text, "routed") || !strcmp(text, "window")));
}

/* Returns what @wanted has otherwise than @present, or NULL. */
static const char *difference(json_t *wanted, json_t *present)
{
	json_t *value, *other;
	const char *key;
	size_t i;

	json_object_foreach(wanted, key, value) {
		other = json_object_get(present, key);
		if (is_nothing(value) ? !is_nothing(other) : !json_equal(value, other))
			return key;
	}
	for (i = 0; i < COUNT(given_only); i++)
		if (!json_object_get(wanted, given_only[i]) &&
		    !is_nothing(json_object_get(present, given_only[i])))
			return given_only[i];
	return NULL;
}

static void compare(const char *what, json_t *wanted, json_t *present)
{
	const char *key = difference(wanted, present);

	if (key)
		complain("the configuration file has another '%s' for %s %s than it was made with: delete it with pvethctl, and reload pvethd",
			 key, what, name_of(wanted));
}

/* Returns whether it is there. */
static bool apply_network(json_t *json)
{
	struct network *network;
	json_t *present;
	struct error err;

	network = network_find(name_of(json), &err);
	present = network ? network_to_json(network) : network_add(json, &err);
	if (!present)
		complain("network %s: %s", name_of(json), err.text);
	else if (network)
		compare("network", json, present);
	json_decref(present);
	return present;
}

/* With the values of @json as state files have them */
static json_t *canonical(json_t *json, const struct port_config *config)
{
	json_t *all = config_to_json(config), *wanted = json_object();
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value)
		json_object_set(wanted, key, json_object_get(all, key));
	json_decref(all);
	return wanted;
}

static bool apply_port(json_t *json)
{
	json_t *wanted, *present;
	struct port_config config;
	struct error err;
	struct port *port;

	if (config_from_json(json, &config, &err))
		return true;
	port = port_find(config.name);
	if (!port) {
		port = port_add(&config, &err);
		if (!port)
			complain("port %s: %s", config.name, err.text);
		return port;
	}
	wanted = canonical(json, &config);
	present = config_to_json(&port->config);
	compare("port", wanted, present);
	json_decref(wanted);
	json_decref(present);
	return true;
}

static bool apply_asking(json_t *json)
{
	return asks(json) && apply_port(json);
}

/* Those that are there are wanted no more. */
static void apply_all(json_t *array, bool (*apply)(json_t *json))
{
	size_t i = 0;

	while (i < json_array_size(array)) {
		if (apply(json_array_get(array, i)))
			json_array_remove(array, i);
		else
			i++;
	}
}

/**
 * conf_apply() - make the networks and ports that are not there yet
 * @conf: what the file says; those that could not be made are left in it
 *
 * What keeps one of them from being made is in the log, once; the others are made. One
 * that is there, and is deleted then, stays deleted.
 *
 * Return: whether all are there.
 */
bool conf_apply(struct conf *conf)
{
	apply_all(conf->networks, apply_network);
	apply_all(conf->ports, apply_asking);
	apply_all(conf->ports, apply_port);
	return !json_array_size(conf->networks) && !json_array_size(conf->ports);
}

void conf_free(struct conf *conf)
{
	json_decref(conf->networks);
	json_decref(conf->ports);
	json_decref(said);
	said = NULL;
}
