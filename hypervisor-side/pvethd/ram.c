// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's RAM, for direct mode: a file that QEMU and the kernel share
 *
 * QEMU connects to the port before it makes the guest's RAM, so the file is
 * ours and QEMU finds it. It is a regular file of a tmpfs or a hugetlbfs.
 *
 * To allocate it takes a while, in which others want to be served: another process
 * does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pvethd.h"

#define GIB	(1ULL << 30)

/* Where PCI has what it maps below 4 GiB, RAM goes on above. How much is below
 * is decided by pc_q35_init() in QEMU's hw/i386/pc_q35.c and pc_init1() in its
 * hw/i386/pc_piix.c.
 */
static uint64_t ram_below_4g(const struct port_config *config)
{
	const uint64_t q35 = 0xb0000000, pc = 0xe0000000;
	uint64_t size = config->memory;

	if (!strcmp(config->machine, "pc"))
		return size < pc ? size : 3 * GIB;
	return size < q35 ? size : 2 * GIB;
}

/**
 * ram_path() - where the file is
 * @config: of the port
 * @path: receives the path
 * @len: room for it
 *
 * Return: 0, or -1 if there is not enough.
 */
int ram_path(const struct port_config *config, char *path, size_t len)
{
	int n = snprintf(path, len, "%s/pveth-%s.ram", config->memory_dir, config->name);

	return n < 0 || (size_t)n >= len ? -1 : 0;
}

/* In /dev/shm anybody may have made it, to read what the guest has in its memory. */
static int ram_check_owner(const struct stat *st, uid_t uid, struct error *err)
{
	if (st->st_uid && st->st_uid != geteuid() && st->st_uid != uid)
		return error_set(err, "it belongs to user %u, who is neither pvethd's nor the socket's: remove it",
				 (unsigned int)st->st_uid);
	if (st->st_mode & 0007)
		return error_set(err, "its mode %03o lets all users in: remove it, or change that",
				 (unsigned int)st->st_mode & 0777);
	if (st->st_nlink > 1)
		return error_set(err, "it has other names, too: remove it");
	return 0;
}

static int ram_prepare(int fd, const struct port_config *config, struct error *err)
{
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (fstat(fd, &st))
		return error_set(err, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, "it is no regular file");
	if (socket_owner(config, &uid, &gid, err) || ram_check_owner(&st, uid, err))
		return -1;
	if ((uint64_t)st.st_size == config->memory)
		return 0;
	if (st.st_size)
		return error_set(err, "it has %" PRIu64 " bytes, not %" PRIu64,
				 (uint64_t)st.st_size, config->memory);
	/* While it is ours: whose it is then may not be for us to change. */
	if (fchmod(fd, gid == (gid_t)-1 ? 0600 : 0660) || fchown(fd, uid, gid) ||
	    ftruncate(fd, config->memory))
		return error_set(err, "%s", strerror(errno));
	return 0;
}

/* Makes it only if @flags say so. The socket's user may have a lease on it, which is not
 * to be waited for.
 */
static int ram_open_path(const struct port_config *config, const char *path, int flags,
			 struct error *err)
{
	int fd;

	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		error_set(err, "%s", strerror(errno));
	else if (!ram_prepare(fd, config, err))
		return fd;
	error_prefix(err, "the guest's memory %s", path);
	if (fd >= 0) {
		close(fd);
		if (flags & O_EXCL)
			unlink(path);
	}
	return -1;
}

/* One that is there is opened without O_CREAT, which fs.protected_regular forbids if
 * it is another's.
 */
static int ram_open(const struct port_config *config, bool is_new, struct error *err)
{
	char path[PATH_MAX];

	if (ram_path(config, path, sizeof(path)))
		return error_set(err, "the path of the guest's memory is too long");
	if (!is_new && !access(path, F_OK))
		return ram_open_path(config, path, 0, err);
	return ram_open_path(config, path, O_CREAT | O_EXCL, err);
}

static bool ram_is_allocated(int fd, const struct port_config *config)
{
	struct stat st;

	/* In units of 512 bytes, whatever the file system's are */
	return !fstat(fd, &st) && (uint64_t)st.st_blocks * 512 >= config->memory;
}

/**
 * ram_make() - make the file
 * @config: of the port; without direct mode nothing is done
 * @err: receives what is wrong
 *
 * Return: 0, or -1 and there is no file that was not there before.
 */
int ram_make(const struct port_config *config, struct error *err)
{
	int fd;

	if (!config->direct)
		return 0;
	fd = ram_open(config, true, err);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/**
 * ram_remove() - remove the file; who has it open or mapped keeps it
 * @config: of the port; without direct mode nothing is done
 */
void ram_remove(const struct port_config *config)
{
	char path[PATH_MAX];

	if (config->direct && !ram_path(config, path, sizeof(path)))
		unlink(path);
}

/**
 * struct ram_filler - a process that allocates the file
 * @entry: in the list of them
 * @port: whose it is, or NULL if that is not interested any more
 * @pid: the process
 * @pipe_fd: a pipe that is closed at its other end when the process ends
 * @ended: so it has
 * @done: is told of it
 */
struct ram_filler {
	LIST_ENTRY(ram_filler) entry;
	struct port *port;
	pid_t pid;
	int pipe_fd;
	struct event *ended;
	void (*done)(struct port *port, int error);
};

static LIST_HEAD(, ram_filler) fillers = LIST_HEAD_INITIALIZER(fillers);

/* The child has nothing of what others wait to be closed, and no signals to handle.
 * It ends with @parent, or with an errno.
 */
static void __attribute__((noreturn))
fill(int fd, int pipe_fd, uint64_t bytes, pid_t parent)
{
	enum { FILE_FD = STDERR_FILENO + 1, PIPE_FD, FIRST_FREE_FD };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(ECHILD);
	/* One of the two may be where the other is to go. */
	fd = fcntl(fd, F_DUPFD, FIRST_FREE_FD);
	pipe_fd = fcntl(pipe_fd, F_DUPFD, FIRST_FREE_FD);
	if (fd < 0 || pipe_fd < 0 || dup2(fd, FILE_FD) < 0 || dup2(pipe_fd, PIPE_FD) < 0)
		_exit(errno);
	close_range(FIRST_FREE_FD, ~0U, 0);
	_exit(posix_fallocate(FILE_FD, 0, bytes));
}

static int filler_end(struct ram_filler *filler)
{
	int status, error = EINTR;

	if (waitpid(filler->pid, &status, 0) == filler->pid && WIFEXITED(status))
		error = WEXITSTATUS(status);
	LIST_REMOVE(filler, entry);
	event_free(filler->ended);
	close(filler->pipe_fd);
	free(filler);
	return error;
}

static void filler_ended(evutil_socket_t fd, short what, void *arg)
{
	struct ram_filler *filler = arg;
	struct port *port = filler->port;
	void (*done)(struct port *port, int error) = filler->done;
	int error = filler_end(filler);

	(void)fd;
	(void)what;
	if (port)
		done(port, error);
}

/* @pipe_fds is closed by the caller if this fails. */
static int filler_start(struct ram_filler *filler, int fd, const int *pipe_fds,
			uint64_t bytes)
{
	pid_t parent = getpid();
	sigset_t all, before;

	filler->pipe_fd = pipe_fds[0];
	filler->ended = event_new(ports_base(), filler->pipe_fd, EV_READ, filler_ended, filler);
	if (!filler->ended || event_add(filler->ended, NULL)) {
		errno = ENOMEM;
		goto fail;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	filler->pid = fork();
	if (!filler->pid)
		fill(fd, pipe_fds[1], bytes, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (filler->pid > 0) {
		LIST_INSERT_HEAD(&fillers, filler, entry);
		return 0;
	}

fail:
	if (filler->ended)
		event_free(filler->ended);
	return -1;
}

/**
 * ram_fill() - begin to allocate the file, which ram_map() does not do
 * @port: in direct mode
 * @done: called from the event loop when it is done, with 0 or an errno
 * @err: receives what is wrong
 *
 * A file that is gone, as after a reboot, is made again.
 *
 * Return: the process that does it, gone when @done is called, or NULL.
 */
struct ram_filler *ram_fill(struct port *port, void (*done)(struct port *port, int error),
			    struct error *err)
{
	struct ram_filler *filler;
	int fd, pipe_fds[2];

	fd = ram_open(&port->config, false, err);
	if (fd < 0)
		return NULL;
	filler = calloc(1, sizeof(*filler));
	if (!filler || pipe2(pipe_fds, O_CLOEXEC))
		goto fail;
	filler->port = port;
	filler->done = done;
	if (filler_start(filler, fd, pipe_fds, port->config.memory)) {
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		goto fail;
	}
	close(pipe_fds[1]);
	close(fd);
	return filler;

fail:
	error_set(err, "cannot start to allocate the guest's memory: %s", strerror(errno));
	free(filler);
	close(fd);
	return NULL;
}

/**
 * ram_fill_cancel() - allocate no more, and tell nobody
 * @filler: the process, or NULL
 */
void ram_fill_cancel(struct ram_filler *filler)
{
	if (!filler)
		return;
	/* It has to give back first what it has. */
	kill(filler->pid, SIGKILL);
	filler->port = NULL;
}

/**
 * ram_fillers_close() - wait for all that were cancelled
 */
void ram_fillers_close(void)
{
	while (!LIST_EMPTY(&fillers))
		filler_end(LIST_FIRST(&fillers));
}

/**
 * ram_needs_filling() - is ram_fill() to be called before ram_map()?
 * @config: of the port, in direct mode
 *
 * Return: false as well if something is wrong, which ram_map() will say.
 */
bool ram_needs_filling(const struct port_config *config)
{
	struct error ignored;
	bool needs;
	int fd;

	fd = ram_open(config, false, &ignored);
	if (fd < 0)
		return false;
	needs = !ram_is_allocated(fd, config);
	close(fd);
	return needs;
}

/**
 * ram_map() - get at the guest's RAM, as its devices see it
 * @config: of the port; without direct mode there is none
 * @ram: receives it, for ram_unmap()
 * @err: receives what is wrong
 *
 * Return: 0, or -1.
 */
int ram_map(const struct port_config *config, struct ram *ram, struct error *err)
{
	uint64_t below = ram_below_4g(config);
	int fd;

	memset(ram, 0, sizeof(*ram));
	if (!config->direct)
		return 0;
	fd = ram_open(config, false, err);
	if (fd < 0)
		return -1;
	/* Who may write to it can make holes in it, too, and again. */
	if (!ram_is_allocated(fd, config)) {
		close(fd);
		return error_set(err, "the guest's memory in %s is not there as a whole",
				 config->memory_dir);
	}
	ram->addr = mmap(NULL, config->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (ram->addr == MAP_FAILED) {
		ram->addr = NULL;
		return error_set(err, "cannot get the guest's memory from %s: %s",
				 config->memory_dir, strerror(errno));
	}
	ram->size = config->memory;
	ram->regions[ram->count++] = (struct ram_region) { 0, ram->addr, below };
	if (ram->size > below)
		ram->regions[ram->count++] = (struct ram_region) {
			4 * GIB, (char *)ram->addr + below, ram->size - below
		};
	return 0;
}

void ram_unmap(struct ram *ram)
{
	if (ram->addr)
		munmap(ram->addr, ram->size);
}
