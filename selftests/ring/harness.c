// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the cases of the ring test and says in TAP how they went.
 *
 * The harness watches that each case makes progress. Two sides that wait for
 * each other, because a wake-up was lost, are a failure after a few seconds, and
 * the state of the rings is printed.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#define PAGE	((size_t)4096)

static struct {
	u64 entries;
	u64 seed;
	unsigned int stall;
	bool threads;
	const char *filter;
} options = {
	.entries = 20000000,
	.stall = 10,
};

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/**
 * test_fail() - this side found something wrong; does not return
 * @s: the side
 * @format: what
 */
void test_fail(struct test_side *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->report->failure, sizeof(s->report->failure), format, args);
	va_end(args);
	_exit(1);
}

/**
 * test_relax() - wait for the other side without asking it for a doorbell
 */
void test_relax(void)
{
	static __thread unsigned int spins;

	if (++spins % 256 == 0)
		sched_yield();
}

/**
 * test_ring_bell() - ring the other side's doorbell
 * @s: the side
 */
void test_ring_bell(struct test_side *s)
{
	u64 one = 1;

	if (s->test->spin)
		__atomic_fetch_add(&s->common->bell[!s->index][0], 1,
				   __ATOMIC_RELAXED);
	else if (write(s->bell_fd[1], &one, sizeof(one)) != sizeof(one))
		test_fail(s, "eventfd: %s", strerror(errno));
}

/**
 * test_sleep() - wait until this side's doorbell was rung since the last time
 * @s: the side
 */
void test_sleep(struct test_side *s)
{
	u32 *bell = &s->common->bell[s->index][0];
	u64 count;

	s->report->sleeps++;
	WRITE_ONCE(s->report->asleep, 1);
	if (s->test->spin) {
		while (READ_ONCE(*bell) == s->bell_seen)
			test_relax();
		s->bell_seen = READ_ONCE(*bell);
	} else if (read(s->bell_fd[0], &count, sizeof(count)) != sizeof(count)) {
		test_fail(s, "eventfd: %s", strerror(errno));
	}
	WRITE_ONCE(s->report->asleep, 0);
}

/* Map the shared memory of a side, each at another address. What follows its
 * end is not mapped.
 */
static void map_memory(struct test_side *s)
{
	size_t bytes = s->test->bytes(s->test);
	size_t all = PAGE + ((bytes + PAGE - 1) & ~(PAGE - 1));
	size_t before = (s->index + 1) * 64 * PAGE;
	u8 *area;

	area = mmap(NULL, before + all + PAGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || ftruncate(s->memory_fd, all) ||
	    mmap(area + before, all, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, s->memory_fd, 0) == MAP_FAILED)
		die("cannot map the shared memory");
	s->common = (struct test_common *)(area + before);
	s->data = area + before + all - bytes;
}

/* Each side on a processor of its own, or there are few races to be seen */
static void pin_to_cpu(unsigned int index)
{
	cpu_set_t allowed, chosen;
	int cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) ||
	    CPU_COUNT(&allowed) < 2)
		return;
	for (cpu = 0; !CPU_ISSET(cpu, &allowed) || index--; cpu++)
		;
	CPU_ZERO(&chosen);
	CPU_SET(cpu, &chosen);
	sched_setaffinity(0, sizeof(chosen), &chosen);
}

static void *run_side(void *data)
{
	struct test_side *s = data;

	pin_to_cpu(s->index);
	(s->index ? s->test->second : s->test->first)(s);
	WRITE_ONCE(s->report->finished, 1);
	return NULL;
}

/* The jobs of the child processes */
static void unit_job(struct test_side *s)
{
	s->test->unit(s);
	s->report->finished = 1;
}

static void side_job(struct test_side *s)
{
	map_memory(s);
	run_side(s);
}

static void threads_job(struct test_side *s)
{
	pthread_t thread[2];
	int i;

	map_memory(&s[0]);
	s[1].common = s[0].common;
	s[1].data = s[0].data;
	for (i = 0; i < 2; i++) {
		if (pthread_create(&thread[i], NULL, run_side, &s[i]))
			die("cannot create a thread");
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static pid_t start(void (*job)(struct test_side *s), struct test_side *s)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("cannot fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		job(s);
		exit(0);
	}
	return pid;
}

/* Collect what has ended of two children. Returns how many are left. */
static int reap(pid_t *pids, bool *good)
{
	int i, status, left = 0;

	for (i = 0; i < 2; i++) {
		if (!pids[i])
			continue;
		if (waitpid(pids[i], &status, WNOHANG) != pids[i]) {
			left++;
			continue;
		}
		pids[i] = 0;
		if (WIFSIGNALED(status))
			printf("# side %d: killed by signal %d (%s)\n", i,
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			*good = false;
	}
	return left;
}

/* Wait until all has ended, one side failed, or nothing happens any more. */
static bool watch(const struct test_side *sides, pid_t *pids)
{
	const struct timespec second = { .tv_sec = 1 };
	time_t now, since = time(NULL);
	u64 progress, last = 0;
	bool good = true;
	sigset_t chld;
	int i;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (reap(pids, &good) && good) {
		sigtimedwait(&chld, NULL, &second);
		now = time(NULL);
		progress = READ_ONCE(sides[0].report->progress) +
			   READ_ONCE(sides[1].report->progress);
		if (progress != last)
			since = now;
		last = progress;
		if (now - since > options.stall) {
			printf("# stuck: nothing happened for %u s\n",
			       options.stall);
			good = false;
		}
	}
	for (i = 0; i < 2; i++) {
		if (pids[i]) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	}
	return good;
}

/* What a side has to say */
static bool judge_side(const struct test_side *s)
{
	const struct test_report *r = s->report;

	if (r->failure[0])
		printf("# side %u: %s\n", s->index, r->failure);
	else if (!r->finished)
		printf("# side %u: stopped at %llu%s\n", s->index,
		       (unsigned long long)r->progress,
		       r->asleep ? ", asleep" : "");
	return !r->failure[0] && r->finished;
}

static bool judge_doorbells(const struct test_side *sides)
{
	const struct test_report *a = sides[0].report, *b = sides[1].report;
	u64 rings, arms;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(a->count); i++) {
		rings = a->count[i].rings + b->count[i].rings;
		arms = a->count[i].arms + b->count[i].arms;
		if (rings > arms + 1) {
			printf("# ring %u: %llu doorbells, asked for %llu times\n",
			       i, (unsigned long long)rings,
			       (unsigned long long)arms);
			return false;
		}
	}
	if (!a->sleeps && !b->sleeps) {
		printf("# no side ever slept: this was no test of doorbells\n");
		return false;
	}
	return true;
}

static bool run_unit(struct test_side *sides)
{
	pid_t pids[2] = {};
	bool good;

	pids[0] = start(unit_job, &sides[0]);
	good = watch(sides, pids);
	return judge_side(&sides[0]) && good;
}

static bool run_sides(struct test_side *sides)
{
	const struct test_case *test = sides[0].test;
	int memory_fd, bell_fd[2], i;
	struct test_side view;
	pid_t pids[2] = {};
	bool good;

	memory_fd = memfd_create("pveth-ring-test", MFD_CLOEXEC);
	for (i = 0; i < 2; i++)
		bell_fd[i] = eventfd(0, EFD_CLOEXEC);
	if (memory_fd < 0 || bell_fd[0] < 0 || bell_fd[1] < 0)
		die("cannot make a memfd or an eventfd");
	for (i = 0; i < 2; i++) {
		sides[i].memory_fd = memory_fd;
		sides[i].bell_fd[0] = bell_fd[i];
		sides[i].bell_fd[1] = bell_fd[!i];
	}
	view = sides[0];
	map_memory(&view);
	test->prepare(test, view.data);

	if (options.threads) {
		pids[0] = start(threads_job, sides);
	} else {
		for (i = 0; i < 2; i++)
			pids[i] = start(side_job, &sides[i]);
	}
	good = watch(sides, pids);
	for (i = 0; i < 2; i++)
		good = judge_side(&sides[i]) && good;
	if (good)
		good = judge_doorbells(sides);
	else
		test->dump(test, view.data, view.common);

	for (i = 0; i < 2; i++)
		close(bell_fd[i]);
	close(memory_fd);
	return good;
}

/* Run a case; says how it went. */
static bool run_case(const struct test_case *test, unsigned int number)
{
	struct test_side sides[2] = {};
	struct test_report *reports;
	bool good;
	int i;

	reports = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reports == MAP_FAILED)
		die("mmap");
	for (i = 0; i < 2; i++) {
		sides[i].test = test;
		sides[i].index = i;
		sides[i].entries = options.entries * test->share / 100;
		sides[i].seed = options.seed;
		sides[i].random = (options.seed + number) * 2 + i + 1;
		sides[i].report = (void *)((u8 *)reports + i * PAGE);
	}
	good = test->unit ? run_unit(sides) : run_sides(sides);
	printf("%s %u - %s", good ? "ok" : "not ok", number, test->name);
	if (!test->unit)
		printf(" # slept %llu and %llu times",
		       (unsigned long long)sides[0].report->sleeps,
		       (unsigned long long)sides[1].report->sleeps);
	printf("\n");
	munmap(reports, 2 * PAGE);
	return good;
}

/* Go through the cases that are wanted; only count them without @failed. */
static unsigned int run_cases(unsigned int *failed)
{
	static const struct test_case *groups[] = {
		unit_cases, pace_cases, stream_cases, pair_cases,
	};
	const struct test_case *test;
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		for (test = groups[i]; test->name; test++) {
			if (options.filter && !strstr(test->name, options.filter))
				continue;
			n++;
			if (failed && !run_case(test, n))
				++*failed;
		}
	}
	return n;
}

static void usage(FILE *to, const char *name)
{
	fprintf(to,
		"usage: %s [options]\n"
		"  -n, --entries N   entries to send in all (%llu)\n"
		"  -s, --seed N      seed of contents and decisions (from the clock)\n"
		"  -t, --stall S     seconds without progress that are a failure (%u)\n"
		"  -f, --filter TEXT only cases with TEXT in their names\n"
		"  -T, --threads     two threads, not two processes\n",
		name, (unsigned long long)options.entries, options.stall);
}

static u64 number_of(const char *name, const char *text)
{
	char *end;
	u64 n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-') {
		fprintf(stderr, "--%s takes a number, not \"%s\"\n", name, text);
		exit(2);
	}
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "entries", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "stall", required_argument, NULL, 't' },
		{ "filter", required_argument, NULL, 'f' },
		{ "threads", no_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:s:t:f:Th", longs, NULL)) >= 0) {
		switch (c) {
		case 'n':
			options.entries = number_of("entries", optarg);
			break;
		case 's':
			options.seed = number_of("seed", optarg);
			break;
		case 't':
			options.stall = number_of("stall", optarg);
			break;
		case 'f':
			options.filter = optarg;
			break;
		case 'T':
			options.threads = true;
			break;
		case 'h':
			usage(stdout, argv[0]);
			exit(0);
		default:
			usage(stderr, argv[0]);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr, argv[0]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned int n, failed = 0;
	sigset_t chld;

	options.seed = time(NULL);
	parse(argc, argv);

	/* For sigtimedwait() */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);

	n = run_cases(NULL);
	if (!n) {
		fprintf(stderr, "no case has \"%s\" in its name\n",
			options.filter);
		return 2;
	}
	printf("TAP version 13\n1..%u\n# seed %llu, entries %llu\n", n,
	       (unsigned long long)options.seed,
	       (unsigned long long)options.entries);
	run_cases(&failed);
	return failed ? 1 : 0;
}
