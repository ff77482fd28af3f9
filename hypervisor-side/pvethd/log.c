// SPDX-License-Identifier: GPL-2.0
/*
 * Messages: to stderr, or to syslog once there is no stderr any more
 */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "pvethd.h"

static bool to_syslog;

static void libevent_says(int severity, const char *msg)
{
	if (severity >= EVENT_LOG_WARN)
		log_error("libevent: %s", msg);
}

/**
 * log_open() - have messages of libraries, too
 */
void log_open(void)
{
	event_set_log_callback(libevent_says);
}

/**
 * log_to_syslog() - from now on messages go to syslog
 */
void log_to_syslog(void)
{
	openlog("pvethd", LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

static void __attribute__((format(printf, 2, 0)))
log_line(int priority, const char *fmt, va_list ap)
{
	if (to_syslog) {
		vsyslog(priority, fmt, ap);
		return;
	}
	fputs("pvethd: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_INFO, fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_ERR, fmt, ap);
	va_end(ap);
}
