// SPDX-License-Identifier: GPL-2.0
/*
 * pveth host backend: the memory that a guest's descriptors point into
 *
 * It is pinned for as long as the attachment lasts. The window is mapped as a
 * whole. Of the guest's RAM only the rings are; its other pages are reached
 * through the kernel's own mapping, page by page.
 */
#include <linux/netlink.h>
#include <linux/vmalloc.h>

#include "pveth_host.h"

static unsigned long pvh_region_pages(const struct pvh_region *region)
{
	return region->bytes >> PAGE_SHIFT;
}

/* At a time: interrupts are off meanwhile, or nobody else runs */
#define PVH_PIN_PAGES	8192UL

/* Pages that are there: genetlink has its lock held while we are at it, and a fault may be
 * for a process to serve, in its own time.
 */
#define PVH_PIN_FLAGS	(FOLL_WRITE | FOLL_LONGTERM | FOLL_NOFAULT)

static int pvh_region_pin(struct pvh_region *region, unsigned long addr,
			  struct netlink_ext_ack *extack)
{
	unsigned long count = pvh_region_pages(region);
	unsigned long done = 0;
	int n;

	region->pages = kvcalloc(count, sizeof(*region->pages),
				 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!region->pages)
		return -ENOMEM;

	while (done < count) {
		n = pin_user_pages_fast(addr + (done << PAGE_SHIFT),
					min(count - done, PVH_PIN_PAGES),
					PVH_PIN_FLAGS, region->pages + done);
		if (n <= 0) {
			NL_SET_ERR_MSG(extack,
				       "memory-addr and memory-len are not writable shared memory, or not populated");
			unpin_user_pages(region->pages, done);
			kvfree(region->pages);
			return n ?: -EFAULT;
		}
		done += n;
		cond_resched();
	}
	return 0;
}

/**
 * pvh_memory_add() - pin a region
 * @mem: the memory, with less than PVETH_MAX_REGIONS
 * @span: what to pin, aligned to pages
 * @extack: receives what is wrong with it
 *
 * Context: Process context.
 * Return: 0, -EFAULT if not all of it is there and may be written to, or another
 * negative error.
 */
int pvh_memory_add(struct pvh_memory *mem, const struct pvh_span *span,
		   struct netlink_ext_ack *extack)
{
	struct pvh_region *region = &mem->regions[mem->count];
	int err;

	*region = (struct pvh_region) {
		.start	= span->guest_addr,
		.bytes	= span->bytes,
	};
	err = pvh_region_pin(region, span->addr, extack);
	if (!err)
		mem->count++;
	return err;
}

/**
 * pvh_memory_release() - unpin all regions
 * @mem: the memory, which nobody uses any more
 *
 * Context: Process context, may sleep.
 */
void pvh_memory_release(struct pvh_memory *mem)
{
	unsigned long count, done, n;
	struct pvh_region *region;

	while (mem->count) {
		region = &mem->regions[--mem->count];
		vunmap(region->virt);
		count = pvh_region_pages(region);
		for (done = 0; done < count; done += n) {
			n = min(count - done, PVH_PIN_PAGES);
			unpin_user_pages_dirty_lock(region->pages + done, n, true);
			cond_resched();
		}
		kvfree(region->pages);
	}
}

/**
 * pvh_memory_map() - map a piece that is to be contiguous
 * @mem: the memory
 * @addr: its address, known to pvh_memory_find()
 * @bytes: its length
 *
 * Context: Process context.
 * Return: where it is, until pvh_memory_unmap(), or NULL.
 */
void *pvh_memory_map(const struct pvh_memory *mem, u64 addr, u64 bytes)
{
	const struct pvh_region *region = pvh_memory_find(mem, addr, bytes);
	unsigned long first, last;
	u64 offset;
	void *virt;

	if (!region)
		return NULL;
	offset = addr - region->start;
	if (region->virt)
		return region->virt + offset;

	first = offset >> PAGE_SHIFT;
	last = (offset + bytes - 1) >> PAGE_SHIFT;
	virt = vmap(region->pages + first, last - first + 1, VM_MAP,
		    PAGE_KERNEL);
	return virt ? virt + offset_in_page(offset) : NULL;
}

void pvh_memory_unmap(const struct pvh_memory *mem, void *virt)
{
	if (!mem->regions[0].virt)
		vunmap((void *)((unsigned long)virt & PAGE_MASK));
}
