// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: the transport, a memfd and eventfds shared with QEMU
 *
 * The guest rings through KVM's ioeventfd, which ends in the wait queue of an
 * eventfd; the host rings by signalling another, which KVM's irqfd makes an
 * interrupt. Only the contexts of the eventfds are held here, not their files:
 * when the last file of the session's kick is closed, the virtual machine is
 * gone, and its wait queue says so.
 */
#include <linux/cred.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/log2.h>
#include <linux/netlink.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "pveth_host.h"

/**
 * pvh_ring_doorbell() - ring the guest
 * @call: the doorbell
 *
 * Context: Any.
 */
void pvh_ring_doorbell(struct eventfd_ctx *call)
{
	eventfd_signal(call);
}

/* The guest rang, or the last file is closed. Called with the wait queue's lock
 * held and interrupts off.
 */
static int pvh_doorbell_wake(wait_queue_entry_t *wait, unsigned int mode,
			     int sync, void *key)
{
	struct pvh_doorbell *bell = container_of(wait, struct pvh_doorbell,
						 wait);
	struct pvh_port *port = bell->att->port;
	__poll_t events = key_to_poll(key);

	if (bell->vector == PVETH_VECTOR_SESSION) {
		if (events & EPOLLHUP)
			WRITE_ONCE(bell->att->closed, true);
		if (events & (EPOLLIN | EPOLLHUP))
			pvh_session_notify(port);
	} else if (events & EPOLLIN) {
		pvh_g2h_kick(&port->queues[bell->vector - PVETH_VECTOR_QUEUE]);
	}
	return 0;
}

static void pvh_doorbell_queue(struct file *file, wait_queue_head_t *head,
			       poll_table *poll)
{
	struct pvh_doorbell *bell = container_of(poll, struct pvh_doorbell,
						 poll);

	add_wait_queue(head, &bell->wait);
}

/**
 * pvh_attachment_listen() - hear the guest's doorbells
 * @att: the attachment
 * @port: who is to hear them; has as many queue pairs as there are doorbells
 */
void pvh_attachment_listen(struct pvh_attachment *att, struct pvh_port *port)
{
	struct pvh_doorbell *bell;
	u32 i;

	att->port = port;
	for (i = 0; i < att->vectors; i++) {
		bell = &att->doorbells[i];
		init_waitqueue_func_entry(&bell->wait, pvh_doorbell_wake);
		init_poll_funcptr(&bell->poll, pvh_doorbell_queue);
		vfs_poll(bell->kick_file, &bell->poll);
		/* If it was the last reference, the wait queue hears of it. */
		fput(bell->kick_file);
		bell->kick_file = NULL;
	}
}

static struct eventfd_ctx *pvh_eventfd_get(int fd, struct file **file)
{
	struct eventfd_ctx *ctx;

	*file = fget(fd);
	if (!*file)
		return ERR_PTR(-EBADF);
	ctx = eventfd_ctx_fileget(*file);
	if (IS_ERR(ctx)) {
		fput(*file);
		*file = NULL;
	}
	return ctx;
}

static int pvh_doorbell_get(struct pvh_doorbell *bell, int kick_fd, int call_fd,
			    struct netlink_ext_ack *extack)
{
	struct eventfd_ctx *kick, *call;

	kick = pvh_eventfd_get(kick_fd, &bell->kick_file);
	if (IS_ERR(kick)) {
		NL_SET_ERR_MSG(extack, "a kick-fd is not an open eventfd");
		return PTR_ERR(kick);
	}
	call = eventfd_ctx_fdget(call_fd);
	if (IS_ERR(call)) {
		NL_SET_ERR_MSG(extack, "a call-fd is not an open eventfd");
		eventfd_ctx_put(kick);
		fput(bell->kick_file);
		return PTR_ERR(call);
	}
	bell->kick = kick;
	bell->call = call;
	return 0;
}

static void pvh_doorbell_put(struct pvh_doorbell *bell)
{
	u64 count;

	if (bell->kick_file)
		fput(bell->kick_file);
	else
		eventfd_ctx_remove_wait_queue(bell->kick, &bell->wait, &count);
	eventfd_ctx_put(bell->kick);
	eventfd_ctx_put(bell->call);
}

/* As AF_XDP does with its umem, since the pages may stay for as long. */
static int pvh_account(struct pvh_attachment *att,
		       struct netlink_ext_ack *extack)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct user_struct *user;
	long old, new;

	if (capable(CAP_IPC_LOCK))
		return 0;

	user = get_uid(current_user());
	old = atomic_long_read(&user->locked_vm);
	do {
		new = old + att->pages_count;
		if (new > limit) {
			free_uid(user);
			NL_SET_ERR_MSG(extack,
				       "the memory exceeds the limit of locked memory (RLIMIT_MEMLOCK)");
			return -ENOBUFS;
		}
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &old, new));
	att->user = user;
	return 0;
}

static void pvh_unaccount(struct pvh_attachment *att)
{
	if (!att->user)
		return;
	atomic_long_sub(att->pages_count, &att->user->locked_vm);
	free_uid(att->user);
}

static int pvh_check_request(const struct pvh_attach_request *request,
			     struct netlink_ext_ack *extack)
{
	const struct pvh_span *window = &request->window;
	const struct pvh_span *region = request->region;
	const struct pvh_span *other;
	u32 i;

	if (window->bytes < PVH_MIN_WINDOW || window->bytes > PVH_MAX_WINDOW ||
	    !is_power_of_2(window->bytes)) {
		NL_SET_ERR_MSG(extack,
			       "memory-len must be a power of two from 64 KiB to 4 GiB");
		return -EINVAL;
	}
	if (!PAGE_ALIGNED(window->addr)) {
		NL_SET_ERR_MSG(extack,
			       "memory-addr must be aligned to a page");
		return -EINVAL;
	}
	/* Pages of the guest are used through the kernel's mapping of all RAM. */
	if (request->regions && !IS_ENABLED(CONFIG_64BIT)) {
		NL_SET_ERR_MSG(extack, "direct mode needs a 64-bit kernel");
		return -EOPNOTSUPP;
	}
	for (i = 0; i < request->regions; i++, region++) {
		if (!region->bytes || region->bytes > PVH_MAX_REGION ||
		    region->guest_addr + region->bytes < region->bytes ||
		    !PAGE_ALIGNED(region->guest_addr | region->addr |
				  region->bytes)) {
			NL_SET_ERR_MSG(extack,
				       "regions must be aligned to pages, not empty, and no larger than 512 GiB");
			return -EINVAL;
		}
		for (other = request->region; other < region; other++)
			if (region->guest_addr <
			    other->guest_addr + other->bytes &&
			    other->guest_addr <
			    region->guest_addr + region->bytes) {
				NL_SET_ERR_MSG(extack,
					       "regions must not overlap");
				return -EINVAL;
			}
	}
	return 0;
}

/* Pin what is to be shared, and map the window. */
static int pvh_share(struct pvh_attachment *att,
		     const struct pvh_attach_request *request,
		     struct netlink_ext_ack *extack)
{
	struct pvh_region *window = &att->window.regions[0];
	int err;
	u32 i;

	err = pvh_memory_add(&att->window, &request->window, extack);
	if (err)
		return err;
	att->window.floor = PVETH_MEMORY_OFFSET;
	window->virt = vmap(window->pages, window->bytes >> PAGE_SHIFT, VM_MAP,
			    PAGE_KERNEL);
	if (!window->virt) {
		err = -ENOMEM;
		goto err_release;
	}
	for (i = 0; i < request->regions; i++) {
		err = pvh_memory_add(&att->direct, &request->region[i], extack);
		if (err)
			goto err_release;
	}
	return 0;

err_release:
	pvh_memory_release(&att->direct);
	pvh_memory_release(&att->window);
	return err;
}

/**
 * pvh_attachment_create() - get hold of a window, its doorbells and, for direct
 *	mode, the guest's RAM
 * @request: what and where they are, of any value
 * @extack: receives what is wrong with them
 *
 * The pages are pinned, and accounted to the current user unless it may lock
 * any amount of memory.
 *
 * Context: Process context, without RTNL: there may be a lot of them.
 * Return: the attachment, to be given to pvh_attachment_destroy(), or an
 * ERR_PTR().
 */
struct pvh_attachment *
pvh_attachment_create(const struct pvh_attach_request *request,
		      struct netlink_ext_ack *extack)
{
	struct pvh_attachment *att;
	int err;
	u32 i;

	err = pvh_check_request(request, extack);
	if (err)
		return ERR_PTR(err);

	att = kzalloc(struct_size(att, doorbells, request->vectors),
		      GFP_KERNEL_ACCOUNT);
	if (!att)
		return ERR_PTR(-ENOMEM);
	att->vectors = request->vectors;
	att->pages_count = request->window.bytes >> PAGE_SHIFT;
	for (i = 0; i < request->regions; i++)
		att->pages_count += request->region[i].bytes >> PAGE_SHIFT;

	for (i = 0; i < att->vectors; i++) {
		att->doorbells[i].att = att;
		att->doorbells[i].vector = i;
		err = pvh_doorbell_get(&att->doorbells[i],
				       request->kick_fds[i],
				       request->call_fds[i], extack);
		if (err)
			goto err_put;
	}

	err = pvh_account(att, extack);
	if (err)
		goto err_put;
	err = pvh_share(att, request, extack);
	if (err)
		goto err_unaccount;
	return att;

err_unaccount:
	pvh_unaccount(att);
err_put:
	while (i--)
		pvh_doorbell_put(&att->doorbells[i]);
	kfree(att);
	return ERR_PTR(err);
}

/**
 * pvh_attachment_deafen() - hear no doorbells any more, and ring none
 * @att: the attachment; no session uses it any more
 */
void pvh_attachment_deafen(struct pvh_attachment *att)
{
	while (att->vectors)
		pvh_doorbell_put(&att->doorbells[--att->vectors]);
}

/**
 * pvh_attachment_destroy() - let go of what a port shares with a guest
 * @att: the attachment; no session uses it any more
 *
 * Context: Process context, without RTNL: there may be a lot of pages.
 */
void pvh_attachment_destroy(struct pvh_attachment *att)
{
	pvh_attachment_deafen(att);
	pvh_memory_release(&att->direct);
	pvh_memory_release(&att->window);
	pvh_unaccount(att);
	kfree(att);
}
