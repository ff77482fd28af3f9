/* SPDX-License-Identifier: GPL-2.0 */
/* What ringtest's main.c defines and calls by other names: see clock.c */
#ifndef _RENAMED_H
#define _RENAMED_H

#include <pthread.h>
#include <sched.h>

int ringtest_main(int argc, char **argv);
int ringtest_setaffinity(pthread_t thread, size_t size, const cpu_set_t *set);
void ringtest_exit(void *value) __attribute__((noreturn));

#endif /* _RENAMED_H */
