/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * pveth: the wire ABI between the guest driver and the host backend
 *
 * This header is the specification. Documentation/abi.rst walks through it with pictures and
 * the reasons; where the two differ, this file is right.
 *
 * Terms
 * =====
 *
 * guest, host  The two peers. The guest runs the driver (pveth.ko), the host the backend
 *              (pveth_host.ko). Neither trusts the other.
 * G2H, H2G     Directions: guest to host, host to guest. "tx" and "rx" are never used alone.
 * window       Memory that both peers map. In the guest it is BAR 2 of the PCI device, in the
 *              host a memfd.
 * memory       What a descriptor's address points into, as negotiated (PVETH_F_DIRECT):
 *              window mode  the window; an address is an offset from its start.
 *              direct mode  the guest's RAM; an address is a DMA address of the PCI device.
 * session      The time from a guest's request to connect, answered by the host, until either
 *              peer ends it. Rings and features belong to a session.
 * doorbell     A write that makes an interrupt, or an eventfd, at the peer. There is one per
 *              vector: vector 0 is for the session and the run-time words, vector q + 1 for
 *              queue pair q, in either direction.
 *
 * All fields are little-endian. Reserved fields are written as zero. Those of ring entries and
 * of the session parameters are checked by the reader, who treats anything else as an error.
 * Each shared field has exactly one writer, which is named with it. A reader takes a copy of
 * what it reads, checks the copy, and never looks at the shared field again; no peer ever
 * reads back what it wrote itself, except its own generation when it starts.
 *
 * The window
 * ==========
 *
 *      0 +------------------------------+
 *        | struct pveth_host_page       |  written by the host only
 *   4096 +------------------------------+
 *        | struct pveth_guest_page      |  written by the guest only
 *   8192 +------------------------------+
 *        | rings and buffers, laid out  |  window mode only; in direct mode the rings and
 *        | by the guest                 |  the buffers are in the guest's RAM
 *   size +------------------------------+
 *
 * The host fills in its page before the guest can see the window. All else is zero at first.
 * A window serves one run of one virtual machine and is never handed to another.
 *
 * Versions
 * ========
 *
 * A driver works with a window whose magic is PVETH_MAGIC and whose major version is its own,
 * and must leave any other device alone (the PCI ID belongs to every user of ivshmem). The
 * minor version says which reserved fields have got a meaning; new behaviour is negotiated by
 * feature bits, never by the minor version.
 */
#ifndef _UAPI_LINUX_PVETH_H
#define _UAPI_LINUX_PVETH_H

#include <linux/types.h>
#include <linux/virtio_net.h>

/* "PVETHWIN", read as a little-endian number */
#define PVETH_MAGIC			0x4e49574854455650ULL
#define PVETH_VERSION_MAJOR		1
#define PVETH_VERSION_MINOR		0

#define PVETH_PAGE_SIZE			4096
#define PVETH_HOST_PAGE_OFFSET		0
#define PVETH_GUEST_PAGE_OFFSET		PVETH_PAGE_SIZE
#define PVETH_MEMORY_OFFSET		(2 * PVETH_PAGE_SIZE)

/* Words with different writers are this far apart: two cache lines, since processors
 * prefetch them in pairs.
 */
#define PVETH_LINE_SIZE			128

/* Places at which the host sees that the guest's memory is where it believes */
#define PVETH_CHECKS			2

#define PVETH_MAX_QUEUE_PAIRS		16
#define PVETH_RINGS_PER_PAIR		4

/* Entries of a ring: a power of two within these bounds */
#define PVETH_MIN_RING_SIZE		64
#define PVETH_MAX_RING_SIZE		4096

/* Descriptors of one frame. With buffers of PVETH_MIN_BUF_SIZE it is enough for the largest
 * frame that IPv4 can fill, so that a receiver's buffers never make a frame impossible.
 */
#define PVETH_MAX_FRAME_DESCS		64
#define PVETH_MIN_BUF_SIZE		2048

/* Segments of one frame with GSO_UDP_L4 */
#define PVETH_MAX_USO_SEGMENTS		64

#define PVETH_MIN_MTU			68
#define PVETH_MAX_MTU			65521

/* Vector of the session and the run-time words; that of queue pair q is
 * PVETH_VECTOR_QUEUE + q.
 */
#define PVETH_VECTOR_SESSION		0
#define PVETH_VECTOR_QUEUE		1

/*
 * Features
 * ========
 *
 * The host offers bits in struct pveth_host_page.features; the guest accepts any of them in
 * struct pveth_guest_page.features. A bit that was not offered must not be accepted. Absence
 * is always the plain case: full checksums, frames no longer than the MTU, window mode.
 *
 * Bits 0 to 15 say what a guest may send, 16 to 31 what the host may send. "May send" means
 * that frames whose struct virtio_net_hdr_v1 says so are understood by the reader. A frame with a
 * GSO type has a partial checksum (NEEDS_CSUM), is no longer than 65536 bytes, two VLAN tags and
 * the Ethernet header, and, if it is GSO_UDP_L4, has at most PVETH_MAX_USO_SEGMENTS segments.
 */
#define PVETH_F_G2H_CSUM		0	/* partial checksums (NEEDS_CSUM) */
#define PVETH_F_G2H_TSO4		1	/* GSO_TCPV4; needs G2H_CSUM */
#define PVETH_F_G2H_TSO6		2	/* GSO_TCPV6; needs G2H_CSUM */
#define PVETH_F_G2H_ECN			3	/* GSO_ECN with TSO4 or TSO6 */
#define PVETH_F_G2H_USO			4	/* GSO_UDP_L4; needs G2H_CSUM */
#define PVETH_F_H2G_CSUM		16	/* partial (NEEDS_CSUM), verified (DATA_VALID) */
#define PVETH_F_H2G_TSO4		17	/* GSO_TCPV4; needs H2G_CSUM */
#define PVETH_F_H2G_TSO6		18	/* GSO_TCPV6; needs H2G_CSUM */
#define PVETH_F_H2G_ECN			19	/* GSO_ECN with TSO4 or TSO6 */
#define PVETH_F_H2G_USO			20	/* GSO_UDP_L4; needs H2G_CSUM */

/* Both directions: struct pveth_desc.hash and the PVETH_DESC_HASH flags may be used. */
#define PVETH_F_HASH			32
/* Addresses are the guest's DMA addresses; rings and buffers are in the guest's RAM. */
#define PVETH_F_DIRECT			33

#define PVETH_FEATURE(bit)		(1ULL << (bit))

/*
 * The session words
 * =================
 *
 * Each peer has one word that holds its state and its generation. It is written with release
 * and read with acquire semantics, after and before everything that it speaks for:
 *
 *    31                                             8 7              0
 *   +------------------------------------------------+----------------+
 *   |                   generation                   |     state      |
 *   +------------------------------------------------+----------------+
 *
 * A generation is never zero once its owner has started. An owner starts from the number in its
 * own word as found in the window, and counts privately from there: the guest counts once when
 * it starts and once for each request, the host once for each end of a session, and twice when
 * it starts or its interface is opened, so that the two are not confused.
 *
 *                  HOST                                        GUEST
 *
 *               .--------.                                   .--------.
 *               |  DOWN  |<---- backend goes away            |  DOWN  |<-------------.
 *               '--------'      (from any state)             '--------'              |
 *                   | opened: gen += 2                           | host is READY:    |
 *                   v                                            | gen++, parameters,|
 *    .--------> .--------.                                       | host_gen = host's |
 *    |          | READY  |                                       v                   |
 *    |          '--------'                                  .---------.              |
 *    |              | guest is CONNECT and its host_gen     | CONNECT |              |
 *    |              | is mine; peer = guest's word          '---------'              |
 *    |        .-----+-----.                                   |  |  |                |
 *    |     ok |           | refused                           |  |  | host's gen     |
 *    |        v           v                                   |  |  | changed, host  |
 *    |  .-----------.  .-------.                              |  |  | DOWN or ERROR, |
 *    |  | CONNECTED |->| ERROR |  guest broke the protocol    |  |  | or closed here |
 *    |  '-----------'  '-------'                              |  |  '--------------->|
 *    |        |           |                                   |  v host broke the     |
 *    |        v           v                                   | .-------. protocol    |
 *    '--- guest's word is no longer `peer`: gen++             | | ERROR |             |
 *                                                             | '-------'             |
 *                                                             |     | host started    |
 *                                                             |     | anew (below), or|
 *                                                             |     | reopened here   |
 *                                                             v     '---------------->|
 *                              running while the host is CONNECTED, its gen
 *                              is host_gen, and `peer` is the guest's word
 *
 * After each change of its word a peer rings the other's vector 0. Each generation of the host
 * serves one session: the host answers one request, and the session lasts for as long as the
 * guest's word is the one that was answered. So every way to end is the same way:
 *
 * guest closes, driver removed     guest: DOWN. Host: word differs, gen++, READY.
 * guest resets without a word      the new driver finds CONNECTED, with a `peer` that is not
 *                                  its word, writes DOWN with a new generation, and rings.
 *                                  Host: gen++, READY.
 * backend unloaded, port deleted   host: DOWN. Guest: carrier off, DOWN, waits for READY.
 * backend comes back               host: gen += 2, READY. A request with the old host_gen, still
 *                                  in the window, is ignored until the guest renews it.
 * virtual machine killed           the window dies with it; the next one starts from zero.
 * guest breaks the protocol        host: ERROR and `error`. Guest: DOWN; host: gen++, READY.
 * host breaks the protocol         guest: ERROR and `error`. The guest stays away until the
 *                                  host starts anew (its generation is neither that of the
 *                                  session nor the next) or its own administrator opens the
 *                                  interface again.
 *
 * The host uses the rings from the time that it writes CONNECTED until it writes another word,
 * the guest from CONNECT until it writes another word. Memory that is not the window is freed
 * by the guest only after the host's word has changed from CONNECTED.
 */
#define PVETH_SESSION_STATE_MASK	0x000000ffU
#define PVETH_SESSION_GEN_SHIFT		8
#define PVETH_SESSION_GEN_MASK		0x00ffffffU

/**
 * enum pveth_host_state - state in the host's session word
 * @PVETH_HOST_DOWN: There is no backend, or its interface is down. Also the value in a window
 *	that was never attached.
 * @PVETH_HOST_READY: The backend waits for a guest with this generation.
 * @PVETH_HOST_CONNECTED: The session with the guest's word in &pveth_host_page.peer runs.
 * @PVETH_HOST_ERROR: That session was refused or ended, for &pveth_host_page.error.
 */
enum pveth_host_state {
	PVETH_HOST_DOWN		= 0,
	PVETH_HOST_READY	= 1,
	PVETH_HOST_CONNECTED	= 2,
	PVETH_HOST_ERROR	= 3,
};

/**
 * enum pveth_guest_state - state in the guest's session word
 * @PVETH_GUEST_DOWN: No driver, or its interface is closed.
 * @PVETH_GUEST_CONNECT: The session parameters are complete; the guest wants a session with
 *	the host's generation in &pveth_guest_page.host_gen, or has it.
 * @PVETH_GUEST_ERROR: The guest ended the session, for &pveth_guest_page.error.
 */
enum pveth_guest_state {
	PVETH_GUEST_DOWN	= 0,
	PVETH_GUEST_CONNECT	= 1,
	PVETH_GUEST_ERROR	= 2,
};

/**
 * enum pveth_error - why a session was refused or ended
 * @PVETH_ERR_NONE: No error.
 * @PVETH_ERR_FEATURES: A feature that was not offered, or one without what it needs.
 * @PVETH_ERR_QUEUES: No queue pairs, or more than are offered, or can be.
 * @PVETH_ERR_RING_SIZE: A ring's size is out of bounds or no power of two.
 * @PVETH_ERR_RING_ADDR: A ring is misaligned, not within the memory, or overlaps another.
 * @PVETH_ERR_RESERVED: A reserved field is not zero.
 * @PVETH_ERR_INDEX: A producer index went back, or further ahead than the ring is large.
 * @PVETH_ERR_FRAME: A frame has no descriptors, too many, or more than were published.
 * @PVETH_ERR_DESC_ADDR: A descriptor or a buffer is not within the memory.
 * @PVETH_ERR_DESC_LEN: A descriptor's length is zero or exceeds its buffer; a buffer is too
 *	small.
 * @PVETH_ERR_DESC_ID: An ID is out of range, or names nothing that is outstanding.
 * @PVETH_ERR_OFFLOAD: Offload metadata that was not negotiated.
 * @PVETH_ERR_NO_MEMORY: The host could not allocate what the session needs.
 * @PVETH_ERR_MEMORY: Direct mode: the guest's memory is not where the host was told.
 */
enum pveth_error {
	PVETH_ERR_NONE		= 0,
	PVETH_ERR_FEATURES	= 1,
	PVETH_ERR_QUEUES	= 2,
	PVETH_ERR_RING_SIZE	= 3,
	PVETH_ERR_RING_ADDR	= 4,
	PVETH_ERR_RESERVED	= 5,
	PVETH_ERR_INDEX		= 6,
	PVETH_ERR_FRAME		= 7,
	PVETH_ERR_DESC_ADDR	= 8,
	PVETH_ERR_DESC_LEN	= 9,
	PVETH_ERR_DESC_ID	= 10,
	PVETH_ERR_OFFLOAD	= 11,
	PVETH_ERR_NO_MEMORY	= 12,
	PVETH_ERR_MEMORY	= 13,
};

/* Bits of struct pveth_host_page.link */
#define PVETH_LINK_UP			0x1

/**
 * struct pveth_host_page - the host's side of the window; only the host writes it
 * @magic: PVETH_MAGIC. Like all fields up to @window_size, but for @max_queue_pairs, constant
 *	while the window exists.
 * @version_major: PVETH_VERSION_MAJOR.
 * @version_minor: PVETH_VERSION_MINOR of the host.
 * @host_peer: Peer ID to which the guest rings its doorbells (ivshmem).
 * @max_queue_pairs: Queue pairs that the host offers, 1 to PVETH_MAX_QUEUE_PAIRS, and at most as
 *	many as it has doorbells for. Written and constant as @features.
 * @window_size: Bytes of the window, a power of two. The guest checks it against its BAR.
 * @features: PVETH_F bits that the host offers. Written before @session becomes READY with a new
 *	generation, and constant for that generation.
 * @reserved0: Zero.
 * @session: Session word, with enum pveth_host_state. Initially zero.
 * @peer: The guest's session word that was answered; written before @session becomes
 *	CONNECTED or ERROR, and valid in these states.
 * @error: enum pveth_error; valid while the state is ERROR.
 * @lent: Direct mode: descriptors of the last session whose frames the host's network stack
 *	still reads, in the guest's memory, because they wait for another network device, say.
 *	Written before @session is no longer CONNECTED. If it is not zero, the guest leaves the
 *	memory of its unanswered frames alone.
 * @reserved1: Zero.
 * @link: PVETH_LINK bits. Run-time word, as all that follow: each may change at any time on
 *	its own, is read in one access (a 32-bit machine needs two for @mac, and may see a
 *	mixture), and is followed by a ring of vector 0, on which the reader looks again.
 * @mtu: The largest MTU that the port accepts, PVETH_MIN_MTU to PVETH_MAX_MTU. The guest
 *	uses no larger one, and follows a change if it used the old value.
 * @mac: The guest's MAC address: octet 0 in bits 7 to 0, octet 5 in bits 47 to 40, the rest
 *	zero. Unicast. The guest follows a change if it used the old value.
 * @reserved2: Zero.
 */
struct pveth_host_page {
	__le64 magic;
	__le16 version_major;
	__le16 version_minor;
	__le16 host_peer;
	__le16 max_queue_pairs;
	__le64 window_size;
	__le64 features;
	__u8 reserved0[96];

	__le32 session;
	__le32 peer;
	__le32 error;
	__le32 lent;
	__u8 reserved1[112];

	__le32 link;
	__le32 mtu;
	__le64 mac;
	__u8 reserved2[3824];
};

/**
 * struct pveth_queue_pair - where the rings of a queue pair are; only the guest writes it
 * @g2h: Address of the ring of frames to the host (&struct pveth_desc).
 * @g2h_done: Address of the ring of their completions (&struct pveth_done).
 * @h2g_post: Address of the ring of buffers for frames to the guest (&struct pveth_buf).
 * @h2g: Address of the ring of frames to the guest (&struct pveth_desc).
 * @g2h_size: Entries of @g2h, and of @g2h_done.
 * @h2g_size: Entries of @h2g_post, and of @h2g.
 * @reserved: Zero.
 *
 * Addresses are multiples of PVETH_LINE_SIZE in the negotiated memory. Rings do not overlap.
 */
struct pveth_queue_pair {
	__le64 g2h;
	__le64 g2h_done;
	__le64 h2g_post;
	__le64 h2g;
	__le32 g2h_size;
	__le32 h2g_size;
	__le64 reserved[3];
};

/**
 * struct pveth_guest_page - the guest's side of the window; only the guest writes it
 * @session: Session word, with enum pveth_guest_state. Initially zero.
 * @host_gen: Generation of the host that the request is for. A session parameter, as all up
 *	to @reserved1 but for @error, and @queue: written before @session becomes CONNECT, and
 *	not changed before the host's word is no longer the one that answered.
 * @features: PVETH_F bits that the guest accepts out of those offered.
 * @queue_pairs: Queue pairs used, 1 to &pveth_host_page.max_queue_pairs.
 * @reserved0: Zero.
 * @error: enum pveth_error; valid while the state is ERROR.
 * @check: Direct mode: a random number, which is in the guest's RAM, too, as 8 little-endian
 *	octets, at each address in @check_addr. The host looks there before it answers, and
 *	refuses with PVETH_ERR_MEMORY if it is not. Else zero.
 * @check_addr: DMA addresses, multiples of 8. One should be in the lowest memory that the device
 *	uses, and one in the highest. Else zero.
 * @reserved1: Zero.
 * @mtu: The MTU that the guest uses. Run-time word, as @mac: see &pveth_host_page.link. For
 *	information: the host sends what its own MTU allows.
 * @reserved_mtu: Zero.
 * @mac: The MAC address that the guest uses, laid out as &pveth_host_page.mac.
 * @reserved2: Zero.
 * @queue: The queue pairs; those from @queue_pairs on are not read.
 * @reserved3: Zero.
 */
struct pveth_guest_page {
	__le32 session;
	__le32 host_gen;
	__le64 features;
	__le16 queue_pairs;
	__le16 reserved0;
	__le32 error;
	__le64 check;
	__le64 check_addr[PVETH_CHECKS];
	__u8 reserved1[80];

	__le32 mtu;
	__le32 reserved_mtu;
	__le64 mac;
	__u8 reserved2[112];

	struct pveth_queue_pair queue[PVETH_MAX_QUEUE_PAIRS];
	__u8 reserved3[2816];
};

/*
 * Rings
 * =====
 *
 * A queue pair has four rings. Each has one producer and one consumer:
 *
 *            guest                                               host
 *              |  ---- g2h:      frames, struct pveth_desc --->   |
 *              |  <--- g2h_done: completions, struct pveth_done   |
 *              |                                                  |
 *              |  ---- h2g_post: buffers, struct pveth_buf ---->  |
 *              |  <--- h2g:      frames, struct pveth_desc -----  |
 *
 * A ring is a struct pveth_ring, then its entries. Indices count entries from zero, run freely
 * through all 32 bits, and are taken modulo the size for the entry. There is no shared
 * consumer index, because no producer needs one: the second ring of each pair answers the
 * first. The consumer takes entries in order, and has copied an entry before it answers that or
 * any later one. So answers to N entries, whichever these are, prove that the first N were
 * copied, and the producer counts: it has at most as many entries unanswered as the ring has.
 * The answering ring is of the same size and gets at most one entry for each, so that it cannot
 * overflow. The reader of a ring checks that the producer is no further ahead of its own
 * private index than the ring is large.
 *
 * Before it asks for a session the guest zeroes the shared words of its rings, the host's among
 * them; it does so only while the host's word is READY, and the host touches them only from
 * CONNECTED on. What is published by then is not announced: both peers look at all of their
 * rings once when a session starts.
 *
 * Notification is by event index. The consumer writes into `event` the index whose production
 * it wants to hear of, and the producer, having moved `prod` from OLD to NEW, rings the
 * doorbell if and only if the entry at `event` is among those from OLD up to, not including,
 * NEW (as vring_need_event(), in 32 bits). A consumer that is awake leaves `event` behind, and
 * hears nothing. Before it sleeps it writes `event`, then (a full barrier) looks at `prod` once
 * more; the producer writes `prod`, then (a full barrier) reads `event`: one of the two sees
 * the other's write. Both words start as zero, so that the first entry is always announced.
 * Spurious doorbells are allowed.
 */

/**
 * struct pveth_ring - the shared words of a ring; its entries follow
 * @prod: Producer index: entries before it are complete. Written by the producer with release
 *	semantics, read by the consumer with acquire semantics. Initially zero.
 * @reserved0: Zero; keeps the two writers apart.
 * @event: Event index. Written by the consumer. Initially zero.
 * @reserved1: Zero.
 */
struct pveth_ring {
	__le32 prod;
	__u8 reserved0[PVETH_LINE_SIZE - 4];
	__le32 event;
	__u8 reserved1[PVETH_LINE_SIZE - 4];
};

/* Bits of struct pveth_desc.flags, with PVETH_F_HASH, in a frame's first descriptor */
#define PVETH_DESC_HASH			0x1	/* hash is valid */
#define PVETH_DESC_HASH_L4		0x2	/* and covers the ports; with PVETH_DESC_HASH */

/**
 * struct pveth_desc - entry of g2h and h2g: a frame, or a further fragment of it
 * @addr: g2h: address of the fragment in the negotiated memory. h2g: zero; the fragment starts
 *	where the buffer @id does.
 * @len: Bytes of the fragment, at least 1. h2g: at most the length of the buffer.
 * @id: g2h: names the frame in its completion: less than the size of the ring, and not in use
 *	by another frame; zero in further fragments. h2g: the buffer that holds the fragment.
 * @flags: PVETH_DESC bits; zero in further fragments.
 * @hdr: Offload metadata of the frame, as virtio 1.x defines it, in the first descriptor; all
 *	zero in further fragments. Without offload features all but num_buffers is zero.
 *	@hdr.num_buffers is the number of descriptors of this frame, in both directions: 1 to
 *	PVETH_MAX_FRAME_DESCS. A producer publishes all of them at once.
 * @hash: Flow hash, if @flags says so; else zero. Any number that is the same for all frames of
 *	a flow in this direction: it may come from the sender's hardware, or be random. A reader
 *	uses it to spread flows, and for nothing that relies on it.
 *
 * ::
 *
 *        0       1       2       3       4       5       6       7
 *   +-------+-------+-------+-------+-------+-------+-------+-------+
 * 0 |                             addr                              |
 *   +-------+-------+-------+-------+-------+-------+-------+-------+
 * 8 |              len              |      id       |     flags     |
 *   +-------+-------+-------+-------+-------+-------+-------+-------+
 * 16|hdr:   |  gso  |               |               |               |
 *   | flags |  type |    hdr_len    |   gso_size    |  csum_start   |
 *   +-------+-------+-------+-------+-------+-------+-------+-------+
 * 24|  csum_offset  |  num_buffers  |             hash              |
 *   +-------+-------+-------+-------+-------+-------+-------+-------+
 *
 * A frame starts with its Ethernet header and has no frame check sequence. The sum of the lengths
 * does not overflow 64 bits. A frame without a GSO type that is longer than the host's MTU, two
 * VLAN tags and the Ethernet header is no acceptable frame for the host; the guest takes all that a
 * port can send, whatever its own MTU is.
 */
struct pveth_desc {
	__le64 addr;
	__le32 len;
	__le16 id;
	__le16 flags;
	struct virtio_net_hdr_v1 hdr;
	__le32 hash;
} __attribute__((aligned(8)));

/**
 * enum pveth_done_status - what became of a frame
 * @PVETH_DONE_OK: The host's network stack has it.
 * @PVETH_DONE_BAD: It was no acceptable frame: too short, too long, or its metadata does not
 *	fit its contents.
 * @PVETH_DONE_DROPPED: The host had no memory for it.
 */
enum pveth_done_status {
	PVETH_DONE_OK		= 0,
	PVETH_DONE_BAD		= 1,
	PVETH_DONE_DROPPED	= 2,
};

/**
 * struct pveth_done - entry of g2h_done: the host is finished with a frame's memory
 * @id: &pveth_desc.id of the frame's first descriptor. Frames may complete in any order, each
 *	one once.
 * @status: enum pveth_done_status. Unknown values mean PVETH_DONE_DROPPED.
 * @reserved: Zero.
 */
struct pveth_done {
	__le16 id;
	__le16 status;
	__le32 reserved;
} __attribute__((aligned(8)));

/**
 * struct pveth_buf - entry of h2g_post: a buffer that the host may write a fragment into
 * @addr: Address of the buffer in the negotiated memory.
 * @len: Bytes of the buffer, at least PVETH_MIN_BUF_SIZE.
 * @id: Names the buffer: less than the size of the ring, and not in use by another buffer.
 * @reserved: Zero.
 *
 * The buffer is the host's until it comes back in h2g, or the session ends. A host may stop while
 * it has fewer than the longest frame would take if all were of PVETH_MIN_BUF_SIZE, whatever their
 * lengths: the guest keeps more than that posted.
 */
struct pveth_buf {
	__le64 addr;
	__le32 len;
	__le16 id;
	__le16 reserved;
} __attribute__((aligned(8)));

#endif /* _UAPI_LINUX_PVETH_H */
