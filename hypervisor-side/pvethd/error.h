/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Errors to be shown to users, and words of users into values
 */
#ifndef _PVETHD_ERROR_H
#define _PVETHD_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

#define ERROR_TEXT	512

#define MAC_TEXT	18

/* Bits per second that an interface may be limited to */
#define MIN_RATE	64000ULL
#define MAX_RATE	400000000000ULL

#define RATE_TEXT	24

struct error {
	char text[ERROR_TEXT];
};

int error_set(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int parse_name(const char *what, const char *text, struct error *err);
int parse_size(const char *text, uint64_t *bytes, struct error *err);
int parse_rate(const char *text, uint64_t *bits, struct error *err);
void rate_format(uint64_t bits, char *text);
int parse_mac(const char *text, uint8_t *mac, struct error *err);
void mac_format(const uint8_t *mac, char *text);
int parse_publish(const char *text, uint16_t *host, uint16_t *guest, bool *udp,
		  struct error *err);
int parse_number(const char *text, unsigned int min, unsigned int max, unsigned int *value,
		 struct error *err);

#endif /* _PVETHD_ERROR_H */
