// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: how eager the threads are that poll
 *
 * A doorbell wakes up a thread. Where it is to run on the CPU of the guest that
 * rang, there are two ways. At once (SCHED_NORMAL): then a guest that waits for an
 * answer has it before it has gone to sleep, but one that is about to send more is
 * interrupted for each frame, which costs more than all else. Or when the guest
 * waits or has had its share (SCHED_BATCH): then there is a batch.
 *
 * So a thread is patient while it finds batches. Once it has found single frames
 * for a while it is eager, and now and then it tries again. On a CPU of its own it
 * runs at once in either case.
 */
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/workqueue.h>
#include <uapi/linux/sched/types.h>

#include "pveth_host.h"

/* After so many single frames in a row patience is over; a batch doubles what is left, */
#define PVH_PATIENCE		16U

/* for so many times that the thread is woken up. */
#define PVH_EAGERNESS		256U

/* Then so many single frames are enough to be eager again. */
#define PVH_TRIAL		2U

static unsigned int pvh_thread_policy(bool eager)
{
	return eager ? SCHED_NORMAL : SCHED_BATCH;
}

static void pvh_thread_work(struct work_struct *work)
{
	struct pvh_thread *thread = container_of(work, struct pvh_thread, work);
	struct task_struct *task = xchg(&thread->task, NULL);
	bool eager = READ_ONCE(thread->eager);
	struct sched_attr attr = {
		.size		= sizeof(attr),
		.sched_policy	= pvh_thread_policy(eager),
	};

	if (!task)
		return;
	/* An administrator's choice of another policy stays, and his nice value. */
	attr.sched_nice = task_nice(task);
	if (READ_ONCE(task->policy) == pvh_thread_policy(!eager))
		sched_setattr_nocheck(task, &attr);
	put_task_struct(task);
}

/**
 * pvh_thread_init() - before a queue pair is polled
 * @thread: what is to be known of whoever polls it
 */
void pvh_thread_init(struct pvh_thread *thread)
{
	/* As threads are when they are made */
	thread->eager = true;
	thread->credit = PVH_PATIENCE;
	INIT_WORK(&thread->work, pvh_thread_work);
}

/**
 * pvh_thread_uninit() - when a queue pair is polled no more
 * @thread: what is known of who did
 *
 * Context: Process context.
 */
void pvh_thread_uninit(struct pvh_thread *thread)
{
	cancel_work_sync(&thread->work);
	if (thread->task)
		put_task_struct(thread->task);
}

/* A policy is changed in process context. The thread may be gone by then: there is
 * another one each time that dev->threaded is turned on.
 */
static void pvh_thread_change(struct pvh_thread *thread)
{
	struct task_struct *before;

	before = xchg(&thread->task, get_task_struct(current));
	if (before)
		put_task_struct(before);
	schedule_work(&thread->work);
}

static void pvh_thread_count(struct pvh_thread *thread, u32 found)
{
	if (!thread->eager && found > 1) {
		thread->credit = min(2 * thread->credit, PVH_PATIENCE);
		return;
	}
	if (--thread->credit)
		return;
	thread->credit = thread->eager ? PVH_TRIAL : PVH_EAGERNESS;
	WRITE_ONCE(thread->eager, !thread->eager);
	pvh_thread_change(thread);
}

/**
 * pvh_thread_polled() - what a poll has found
 * @thread: what is known of the thread
 * @napi: the NAPI instance; only what its own thread finds counts
 * @work: frames
 * @last: there are no more
 *
 * Context: NAPI.
 */
void pvh_thread_polled(struct pvh_thread *thread,
		       const struct napi_struct *napi, u32 work, bool last)
{
	unsigned int policy;

	if (current != READ_ONCE(napi->thread))
		return;
	thread->found += work;
	if (!last || !thread->found)
		return;
	policy = READ_ONCE(current->policy);
	if (policy == pvh_thread_policy(thread->eager))
		pvh_thread_count(thread, thread->found);
	else if (policy == pvh_thread_policy(!thread->eager))
		/* The change is under way, or it is a new thread. */
		pvh_thread_change(thread);
	thread->found = 0;
}
