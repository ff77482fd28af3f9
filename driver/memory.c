// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: the memory that descriptors point into
 *
 * In window mode all of it is in the window, which each session lays out anew:
 * a queue pair has its four rings, then its slots. In direct mode the rings,
 * and slots for small frames, are in a block of RAM, large frames stay where
 * the stack has them, and buffers for frames from the host are pages of a pool.
 */
#include <linux/cc_platform.h>
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "pveth.h"

/* Take the next @bytes, and move on. */
static u64 pvg_take(u64 *offset, size_t bytes)
{
	u64 taken = *offset;

	*offset += ALIGN(bytes, PVETH_LINE_SIZE);
	return taken;
}

/* Place the rings of a queue pair. @pair gets their offsets. */
static void pvg_place_rings(const struct pvg_dev *pvg, u64 *offset,
			    struct pveth_queue_pair *pair)
{
	size_t g2h = pvring_bytes(pvg->g2h_size, sizeof(struct pveth_desc));
	size_t done = pvring_bytes(pvg->g2h_size, sizeof(struct pveth_done));
	size_t post = pvring_bytes(pvg->h2g_size, sizeof(struct pveth_buf));
	size_t h2g = pvring_bytes(pvg->h2g_size, sizeof(struct pveth_desc));

	*pair = (struct pveth_queue_pair) {
		.g2h		= cpu_to_le64(pvg_take(offset, g2h)),
		.g2h_done	= cpu_to_le64(pvg_take(offset, done)),
		.h2g_post	= cpu_to_le64(pvg_take(offset, post)),
		.h2g		= cpu_to_le64(pvg_take(offset, h2g)),
		.g2h_size	= cpu_to_le32(pvg->g2h_size),
		.h2g_size	= cpu_to_le32(pvg->h2g_size),
	};
}

/* The rings are at their offsets from @virt here, from @addr for the host. */
static void pvg_set_rings(struct pvg_queue *q, void *virt, u64 addr,
			  struct pveth_queue_pair *pair)
{
	__le64 *offsets[PVETH_RINGS_PER_PAIR] = {
		[PVG_RING_G2H]		= &pair->g2h,
		[PVG_RING_G2H_DONE]	= &pair->g2h_done,
		[PVG_RING_H2G_POST]	= &pair->h2g_post,
		[PVG_RING_H2G]		= &pair->h2g,
	};
	u32 i;

	for (i = 0; i < PVETH_RINGS_PER_PAIR; i++) {
		q->rings[i] = virt + le64_to_cpu(*offsets[i]);
		memset(q->rings[i], 0, sizeof(*q->rings[i]));
		le64_add_cpu(offsets[i], addr);
	}
}

static void pvg_window_layout(struct pvg_queue *q, u64 *offset,
			      struct pveth_queue_pair *pair)
{
	struct pvg_dev *pvg = q->pvg;

	pvg_place_rings(pvg, offset, pair);
	pvg_set_rings(q, pvg->window, 0, pair);

	*offset = ALIGN(*offset, PVG_SLOT_SIZE);
	q->g2h_addr = *offset;
	q->g2h_slots = pvg->window + *offset;
	q->g2h_slot_size = PVG_SLOT_SIZE;
	*offset += (u64)pvg->g2h_size * PVG_SLOT_SIZE;
	q->h2g_addr = *offset;
	q->h2g_slots = pvg->window + *offset;
	q->h2g_buf_size = PVG_SLOT_SIZE;
	*offset += (u64)pvg->h2g_size * PVG_SLOT_SIZE;
}

static int pvg_direct_alloc(struct pvg_queue *q, struct pveth_queue_pair *pair)
{
	const struct page_pool_params params = {
		.flags		= PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV,
		.pool_size	= q->pvg->h2g_size,
		.nid		= dev_to_node(q->pvg->parent),
		.dev		= q->pvg->parent,
		.dma_dir	= DMA_FROM_DEVICE,
		.max_len	= PAGE_SIZE,
	};
	struct pvg_dev *pvg = q->pvg;
	u64 bytes = 0, slots;

	pvg_place_rings(pvg, &bytes, pair);
	slots = pvg_take(&bytes, (size_t)pvg->g2h_size * PVG_SMALL_FRAME);
	q->block = dma_alloc_coherent(pvg->parent, bytes, &q->block_addr,
				      GFP_KERNEL);
	if (!q->block)
		return -ENOMEM;
	q->block_bytes = bytes;
	pvg_set_rings(q, q->block, q->block_addr, pair);
	q->g2h_addr = q->block_addr + slots;
	q->g2h_slots = q->block + slots;
	q->g2h_slot_size = PVG_SMALL_FRAME;
	q->h2g_buf_size = PAGE_SIZE;

	q->pool = page_pool_create(&params);
	if (IS_ERR(q->pool)) {
		q->pool = NULL;
		dma_free_coherent(pvg->parent, q->block_bytes, q->block,
				  q->block_addr);
		q->block = NULL;
		return -ENOMEM;
	}
	return 0;
}

/**
 * pvg_memory_init() - give a queue pair its rings and slots
 * @q: the queue pair
 * @offset: window mode: end of what is in use of the window; is moved on
 * @pair: receives what the host needs to know
 *
 * Return: 0 or -ENOMEM.
 */
int pvg_memory_init(struct pvg_queue *q, u64 *offset,
		    struct pveth_queue_pair *pair)
{
	if (pvg_is_direct(q->pvg))
		return pvg_direct_alloc(q, pair);
	pvg_window_layout(q, offset, pair);
	return 0;
}

/**
 * pvg_memory_uninit() - the opposite of pvg_memory_init()
 * @q: the queue pair, which the host does not use any more
 */
void pvg_memory_uninit(struct pvg_queue *q)
{
	if (!q->block)
		return;
	page_pool_destroy(q->pool);
	q->pool = NULL;
	dma_free_coherent(q->pvg->parent, q->block_bytes, q->block,
			  q->block_addr);
	q->block = NULL;
}

/* At addresses of so many bits: memory below 4 GiB, and any */
static const u8 pvg_check_bits[PVETH_CHECKS] = { 32, 64 };

/**
 * pvg_checks_init() - write down for the host where it finds what
 * @pvg: the device
 * @page: receives the check
 *
 * Return: 0 or -ENOMEM.
 */
int pvg_checks_init(struct pvg_dev *pvg, struct pveth_guest_page *page)
{
	__le64 number = cpu_to_le64(get_random_u64());
	struct pvg_check *check;
	u32 i;

	for (i = 0; i < PVETH_CHECKS; i++) {
		check = &pvg->checks[i];
		dma_set_coherent_mask(pvg->parent,
				      DMA_BIT_MASK(pvg_check_bits[i]));
		check->number = dma_alloc_coherent(pvg->parent,
						   sizeof(number), &check->addr,
						   GFP_KERNEL);
		if (!check->number) {
			/* As it was: pvg_memory_can_be_direct() */
			dma_set_coherent_mask(pvg->parent, DMA_BIT_MASK(64));
			pvg_checks_uninit(pvg);
			return -ENOMEM;
		}
		*check->number = number;
		WRITE_ONCE(page->check_addr[i], cpu_to_le64(check->addr));
	}
	WRITE_ONCE(page->check, number);
	return 0;
}

/**
 * pvg_checks_uninit() - the opposite of pvg_checks_init(), whether that was called or not
 * @pvg: the device
 */
void pvg_checks_uninit(struct pvg_dev *pvg)
{
	struct pveth_guest_page *page = pvg_guest_page(pvg);
	struct pvg_check *check;
	u32 i;

	for (i = 0; i < PVETH_CHECKS; i++) {
		check = &pvg->checks[i];
		if (check->number)
			dma_free_coherent(pvg->parent, sizeof(*check->number),
					  check->number, check->addr);
		check->number = NULL;
		WRITE_ONCE(page->check_addr[i], 0);
	}
	WRITE_ONCE(page->check, 0);
}

/**
 * pvg_memory_can_be_direct() - may the host be given addresses of our RAM?
 * @pvg: the device
 *
 * The host knows the machine's physical addresses. Bounce buffers have some of
 * these; what an IOMMU makes of them, only the IOMMU knows. And it may see all of
 * our memory, unless that is encrypted: then we have no reason to trust it.
 *
 * Return: true if so.
 */
bool pvg_memory_can_be_direct(const struct pvg_dev *pvg)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(pvg->parent);

	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return false;
	if (domain && domain->type != IOMMU_DOMAIN_IDENTITY) {
		dev_info(pvg->parent,
			 "direct mode is not possible behind an IOMMU that translates\n");
		return false;
	}
	return !dma_set_mask_and_coherent(pvg->parent, DMA_BIT_MASK(64));
}
