// SPDX-License-Identifier: GPL-2.0
/*
 * pveth guest driver: the transport, QEMU's ivshmem-doorbell PCI device
 *
 * BAR 0 has the doorbell, BAR 2 is the window, MSI-X vectors are its
 * interrupts. docs/specs/ivshmem-spec.rst of QEMU describes the device. Its PCI
 * ID belongs to all users of shared memory, so that a window that is not
 * pveth's is left alone without a word.
 */
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "pveth.h"

#define PVG_PCI_DEVICE_IVSHMEM	0x1110
#define PVG_BAR_REGISTERS	0
#define PVG_BAR_WINDOW		2
/* A write of peer << 16 | vector rings the vector at the peer. */
#define PVG_REG_DOORBELL	12
#define PVG_DOORBELL_PEER_SHIFT	16
/* An encrypted guest shares the window with the host all the same. */
#define PVG_MEMREMAP		(MEMREMAP_WB | MEMREMAP_DEC)

/**
 * pvg_ring_doorbell() - ring the host
 * @pvg: the device
 * @vector: PVETH_VECTOR_SESSION, or PVETH_VECTOR_QUEUE plus a queue pair
 *
 * Orders nothing but what iowrite32() does: writes to the window come before.
 */
void pvg_ring_doorbell(struct pvg_dev *pvg, u32 vector)
{
	iowrite32((u32)pvg->host_peer << PVG_DOORBELL_PEER_SHIFT | vector,
		  pvg->doorbell);
}

static irqreturn_t pvg_session_irq(int irq, void *data)
{
	pvg_session_notify(data);
	return IRQ_HANDLED;
}

static irqreturn_t pvg_queue_irq(int irq, void *data)
{
	struct pvg_queue *q = data;

	napi_schedule_irqoff(&q->napi);
	return IRQ_HANDLED;
}

/**
 * pvg_request_irqs() - get the interrupts of the queue pairs
 * @pvg: the device; its name is known by now
 *
 * Return: 0 or a negative error.
 */
int pvg_request_irqs(struct pvg_dev *pvg)
{
	struct pci_dev *pdev = to_pci_dev(pvg->parent);
	struct pvg_queue *q;
	int err;
	u32 i;

	for (i = 0; i < pvg->queue_pairs; i++) {
		q = &pvg->queues[i];
		snprintf(q->irq_name, sizeof(q->irq_name), "%s-%u",
			 pvg->netdev->name, i);
		q->irq = pci_irq_vector(pdev, PVETH_VECTOR_QUEUE + i);
		err = request_irq(q->irq, pvg_queue_irq, 0, q->irq_name, q);
		if (err)
			goto err_free_irqs;
	}
	return 0;

err_free_irqs:
	while (i--)
		free_irq(pvg->queues[i].irq, &pvg->queues[i]);
	return err;
}

/**
 * pvg_free_irqs() - the opposite of pvg_request_irqs()
 * @pvg: the device, which has no session
 */
void pvg_free_irqs(struct pvg_dev *pvg)
{
	u32 i;

	for (i = 0; i < pvg->queue_pairs; i++) {
		irq_update_affinity_hint(pvg->queues[i].irq, NULL);
		free_irq(pvg->queues[i].irq, &pvg->queues[i]);
	}
}

/**
 * pvg_place_irq() - say where a queue pair's interrupt is to be
 * @q: the queue pair, whose interrupt was requested
 * @cpu: the CPU
 *
 * To be followed unless there is a reason not to.
 */
void pvg_place_irq(struct pvg_queue *q, unsigned int cpu)
{
	irq_set_affinity_and_hint(q->irq, cpumask_of(cpu));
}

/* The window is the host's RAM, and is to be cached like RAM. memremap() maps it uncached
 * if the MTRRs say so, as guests' firmware has them say of BARs (pat_x_mtrr_type() in
 * arch/x86/mm/pat/memtype.c). KVM on AMD looks at the guest's page tables, and not at its
 * MTRRs, so that nothing but this mapping would make it uncached. Where the processor looks
 * at both, it stays so.
 */
#ifdef CONFIG_VMAP_PFN
static void *pvg_vmap_window(phys_addr_t start, u64 bytes)
{
	u64 i, count = bytes >> PAGE_SHIFT;
	void *window = NULL;
	unsigned long *pfns;

	/* The size is the host's, and as large as it likes: kvmalloc() warns. */
	if (count > INT_MAX / sizeof(*pfns))
		return NULL;
	pfns = kvmalloc_array(count, sizeof(*pfns), GFP_KERNEL);
	if (!pfns)
		return NULL;
	for (i = 0; i < count; i++) {
		pfns[i] = PHYS_PFN(start) + i;
		/* The kernel may keep track of more than there is RAM, by the
		 * section, and vmap_pfn() takes nothing of that.
		 */
		if (pfn_valid(pfns[i]))
			goto out;
	}
	window = vmap_pfn(pfns, count, pgprot_decrypted(PAGE_KERNEL));
out:
	kvfree(pfns);
	return window;
}
#else
static void *pvg_vmap_window(phys_addr_t start, u64 bytes)
{
	return NULL;
}
#endif

static void *pvg_map_window(phys_addr_t start, u64 bytes, bool *vmapped)
{
	void *window = pvg_vmap_window(start, bytes);

	*vmapped = window;
	return window ?: memremap(start, bytes, PVG_MEMREMAP);
}

static void pvg_unmap_window(void *window, bool vmapped)
{
	if (vmapped)
		vunmap(window);
	else
		memunmap(window);
}

/* The time that a copy from memory takes, the best of a few */
static u64 pvg_time_copy(void *to, const void *from, size_t bytes)
{
	u64 start, ns, best = U64_MAX;
	int i;

	for (i = 0; i < 8; i++) {
		start = ktime_get_ns();
		memcpy(to, from, bytes);
		barrier_data(to);
		ns = ktime_get_ns() - start;
		best = min(best, ns);
	}
	return best;
}

/* Nothing but the time it takes tells what the processor makes of the page tables, the
 * MTRRs and the hypervisor's page tables together. An uncached read takes the time of
 * hundreds of cached ones.
 */
static void pvg_check_memory_type(struct device *dev, const void *window)
{
	const size_t bytes = PVETH_MEMORY_OFFSET;
	const unsigned int uncached_ratio = 16;
	u64 window_ns, ram_ns;
	void *ram, *to;

	ram = kzalloc(bytes, GFP_KERNEL);
	to = kmalloc(bytes, GFP_KERNEL);
	if (ram && to) {
		ram_ns = pvg_time_copy(to, ram, bytes);
		window_ns = pvg_time_copy(to, window, bytes);
		if (window_ns / uncached_ratio > ram_ns)
			dev_warn(dev,
				 "the window is uncached and will be slow (copying %zu bytes takes %llu ns, in RAM %llu ns): the host should use direct mode\n",
				 bytes, window_ns, ram_ns);
	}
	kfree(to);
	kfree(ram);
}

static int pvg_check_page(struct pci_dev *pdev,
			  const struct pveth_host_page *page, u64 bar_size)
{
	u32 major, minor;
	u64 size;

	if (le64_to_cpu(READ_ONCE(page->magic)) != PVETH_MAGIC) {
		dev_dbg(&pdev->dev, "not a pveth window\n");
		return -ENODEV;
	}
	/* To that in the host's pvh_session_attach() */
	virt_rmb();
	size = le64_to_cpu(READ_ONCE(page->window_size));
	major = le16_to_cpu(READ_ONCE(page->version_major));
	minor = le16_to_cpu(READ_ONCE(page->version_minor));
	if (major != PVETH_VERSION_MAJOR) {
		dev_err(&pdev->dev,
			"the host speaks version %u.%u of the pveth ABI, this driver %u.%u\n",
			major, minor, PVETH_VERSION_MAJOR, PVETH_VERSION_MINOR);
		return -ENODEV;
	}
	if (size != bar_size) {
		dev_err(&pdev->dev,
			"the window has %llu bytes, the host says %llu\n",
			bar_size, size);
		return -EINVAL;
	}
	return 0;
}

/* Tells whose window it is. Anybody's may be at this PCI ID, of any size, and only the
 * beginning is mapped for that.
 */
static int pvg_check_window(struct pci_dev *pdev, u64 bar_size)
{
	void *page;
	int err;

	page = memremap(pci_resource_start(pdev, PVG_BAR_WINDOW),
			PVETH_MEMORY_OFFSET, PVG_MEMREMAP);
	if (!page)
		return -ENOMEM;
	err = pvg_check_page(pdev, page, bar_size);
	memunmap(page);
	return err;
}

static int pvg_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	u64 bar_size = pci_resource_len(pdev, PVG_BAR_WINDOW);
	const struct pveth_host_page *page;
	struct net_device *netdev;
	void __iomem *registers;
	int err, vectors;
	struct pvg_dev *pvg;
	u32 offered_pairs;
	bool vmapped;
	void *window;

	if (bar_size <= PVETH_MEMORY_OFFSET) {
		dev_dbg(&pdev->dev, "no window\n");
		return -ENODEV;
	}

	err = pci_enable_device_mem(pdev);
	if (err)
		return err;

	err = pci_request_selected_regions(pdev, BIT(PVG_BAR_REGISTERS) |
					   BIT(PVG_BAR_WINDOW), "pveth");
	if (err)
		goto err_disable;

	err = pvg_check_window(pdev, bar_size);
	if (err)
		goto err_release;

	err = -ENOMEM;
	window = pvg_map_window(pci_resource_start(pdev, PVG_BAR_WINDOW),
				bar_size, &vmapped);
	if (!window)
		goto err_release;

	registers = pci_iomap(pdev, PVG_BAR_REGISTERS, 0);
	if (!registers)
		goto err_unmap_window;

	page = window;
	offered_pairs = le16_to_cpu(READ_ONCE(page->max_queue_pairs));
	if (!offered_pairs || offered_pairs > PVETH_MAX_QUEUE_PAIRS) {
		dev_err(&pdev->dev, "the host offers %u queue pairs, not 1 to %u\n",
			offered_pairs, PVETH_MAX_QUEUE_PAIRS);
		err = -EINVAL;
		goto err_unmap_registers;
	}

	/* Without bus mastering there are no message-signalled interrupts. */
	pci_set_master(pdev);
	/* As many as there are: the host's offer may grow. */
	vectors = pci_alloc_irq_vectors(pdev, PVETH_VECTOR_QUEUE + 1,
					PVETH_VECTOR_QUEUE +
					PVETH_MAX_QUEUE_PAIRS, PCI_IRQ_MSIX);
	if (vectors < 0) {
		dev_err(&pdev->dev,
			"the device needs at least %u interrupt vectors\n",
			PVETH_VECTOR_QUEUE + 1);
		err = vectors;
		goto err_clear_master;
	}

	err = -ENOMEM;
	netdev = pvg_netdev_alloc(&pdev->dev, vectors - PVETH_VECTOR_QUEUE);
	if (!netdev)
		goto err_free_vectors;
	pvg = netdev_priv(netdev);
	pvg->window = window;
	pvg->window_size = bar_size;
	pvg->window_vmapped = vmapped;
	pvg->offered_pairs = offered_pairs;
	pvg->doorbell = registers + PVG_REG_DOORBELL;
	pvg->host_peer = le16_to_cpu(READ_ONCE(page->host_peer));
	pci_set_drvdata(pdev, pvg);

	pvg_check_memory_type(&pdev->dev, window);
	pvg_session_init(pvg);

	err = request_irq(pci_irq_vector(pdev, PVETH_VECTOR_SESSION),
			  pvg_session_irq, 0, pci_name(pdev), pvg);
	if (err)
		goto err_free_netdev;

	err = pvg_netdev_add(pvg);
	if (err)
		goto err_free_session_irq;
	return 0;

err_free_session_irq:
	free_irq(pci_irq_vector(pdev, PVETH_VECTOR_SESSION), pvg);
	cancel_delayed_work_sync(&pvg->session.work);
	cancel_delayed_work_sync(&pvg->config_work);
err_free_netdev:
	pvg_netdev_free(pvg);
err_free_vectors:
	pci_free_irq_vectors(pdev);
err_clear_master:
	pci_clear_master(pdev);
err_unmap_registers:
	pci_iounmap(pdev, registers);
err_unmap_window:
	pvg_unmap_window(window, vmapped);
err_release:
	pci_release_selected_regions(pdev, BIT(PVG_BAR_REGISTERS) |
				     BIT(PVG_BAR_WINDOW));
err_disable:
	pci_disable_device(pdev);
	return err;
}

static void pvg_remove(struct pci_dev *pdev)
{
	struct pvg_dev *pvg = pci_get_drvdata(pdev);
	void __iomem *registers = pvg->doorbell - PVG_REG_DOORBELL;
	bool vmapped = pvg->window_vmapped;
	void *window = pvg->window;

	pvg_netdev_remove(pvg);
	free_irq(pci_irq_vector(pdev, PVETH_VECTOR_SESSION), pvg);
	cancel_delayed_work_sync(&pvg->session.work);
	cancel_delayed_work_sync(&pvg->config_work);
	pvg_netdev_free(pvg);
	pci_free_irq_vectors(pdev);
	pci_clear_master(pdev);
	pci_iounmap(pdev, registers);
	pvg_unmap_window(window, vmapped);
	pci_release_selected_regions(pdev, BIT(PVG_BAR_REGISTERS) |
				     BIT(PVG_BAR_WINDOW));
	pci_disable_device(pdev);
}

/* Leave the host without a session for a machine that is going down, or the
 * next kernel of a kexec would find its memory in use.
 */
static void pvg_shutdown(struct pci_dev *pdev)
{
	struct pvg_dev *pvg = pci_get_drvdata(pdev);

	rtnl_lock();
	netif_device_detach(pvg->netdev);
	if (netif_running(pvg->netdev))
		dev_close(pvg->netdev);
	rtnl_unlock();
}

static int pvg_suspend(struct device *dev)
{
	struct pvg_dev *pvg = dev_get_drvdata(dev);

	rtnl_lock();
	netif_device_detach(pvg->netdev);
	if (netif_running(pvg->netdev))
		pvg_session_close(pvg);
	rtnl_unlock();
	return 0;
}

static int pvg_resume(struct device *dev)
{
	struct pvg_dev *pvg = dev_get_drvdata(dev);

	rtnl_lock();
	netif_device_attach(pvg->netdev);
	/* After hibernation it is another host's. */
	pvg_netdev_publish(pvg);
	if (netif_running(pvg->netdev))
		pvg_session_open(pvg);
	rtnl_unlock();
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(pvg_pm_ops, pvg_suspend, pvg_resume);

static const struct pci_device_id pvg_pci_table[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, PVG_PCI_DEVICE_IVSHMEM) },
	{}
};
MODULE_DEVICE_TABLE(pci, pvg_pci_table);

static struct pci_driver pvg_pci_driver = {
	.name		= "pveth",
	.id_table	= pvg_pci_table,
	.probe		= pvg_probe,
	.remove		= pvg_remove,
	.shutdown	= pvg_shutdown,
	.driver.pm	= pm_sleep_ptr(&pvg_pm_ops),
};
module_pci_driver(pvg_pci_driver);

MODULE_DESCRIPTION("Paravirtual Ethernet: guest driver");
MODULE_LICENSE("GPL");
