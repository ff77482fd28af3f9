/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Texts that are written piece by piece
 */
#ifndef _PVETHD_TEXT_H
#define _PVETHD_TEXT_H

#include <stdio.h>

#include "error.h"

/**
 * struct text - a text
 * @file: where it is written, from text_begin() to text_end()
 * @string: the text, after text_end()
 * @length: its length
 */
struct text {
	FILE *file;
	char *string;
	size_t length;
};

int text_begin(struct text *text, struct error *err);
int text_end(struct text *text, struct error *err);

#endif /* _PVETHD_TEXT_H */
