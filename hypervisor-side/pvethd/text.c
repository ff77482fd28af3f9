// SPDX-License-Identifier: GPL-2.0
/*
 * Texts that are written piece by piece
 */
#include <stdlib.h>

#include "text.h"

/**
 * text_begin() - begin a text
 * @text: the text; its @file is to be written to
 * @err: receives that there is no memory
 *
 * Return: 0, or -1.
 */
int text_begin(struct text *text, struct error *err)
{
	text->string = NULL;
	text->file = open_memstream(&text->string, &text->length);
	return text->file ? 0 : error_set(err, "out of memory");
}

/**
 * text_end() - have the text
 * @text: the text; its @string is to be freed by the caller
 * @err: receives that there was no memory for it
 *
 * Return: 0, or -1, and then there is nothing to be freed.
 */
int text_end(struct text *text, struct error *err)
{
	if (!fclose(text->file))
		return 0;
	free(text->string);
	return error_set(err, "out of memory");
}
