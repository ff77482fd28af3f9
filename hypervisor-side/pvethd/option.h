/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What users say of ports and networks: on pvethctl's command line, and in pvethd.conf
 */
#ifndef _PVETHD_OPTION_H
#define _PVETHD_OPTION_H

#include <jansson.h>

#include "error.h"

/* What has a name, and options */
enum object {
	OBJECT_PORT,
	OBJECT_NETWORK,
	OBJECTS,
};

extern const char * const object_names[OBJECTS];

/**
 * struct option_info - an option
 * @name: its name, without "--"
 * @objects: bits, by enum object: who has it
 * @is_flag: it has no value on a command line, and yes or no in a file
 * @is_list: it may be given several times
 * @read: reads a value; says in @value what is to be sent to pvethd. Not of flags
 */
struct option_info {
	const char *name;
	unsigned int objects;
	bool is_flag;
	bool is_list;
	int (*read)(enum object object, const char *text, json_t **value, struct error *err);
};

/* The last one has no name. */
extern const struct option_info option_infos[];

int option_set(json_t *request, enum object object, const struct option_info *option,
	       const char *text, struct error *err);

#endif /* _PVETHD_OPTION_H */
