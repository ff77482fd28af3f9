// SPDX-License-Identifier: GPL-2.0
/*
 * portctl: the host's side of a window, with any contents
 *
 * Each line of standard input has steps, each followed by what is not to have its default:
 * FIELD=VALUE. What the guest answers is printed, a line for each step, and a line with a
 * dot when all steps of a line are done.
 *
 *	connect		end the session, answer the guest's next request
 *	asks		wait for that request
 *	desc		write a descriptor of a frame to the guest, in its next buffer
 *	publish		hand those over, wait for what becomes of the frame
 *	take		wait for a frame from the guest
 *	done		write that this frame is completed
 *	complete	hand those over
 *	ended		wait until the guest ends the session
 *	word		write the host's session word, and what belongs to it; with ring=0 the
 *			guest is not told
 *	offer		write what else the host has in its page
 *	bells		ring all vectors of the guest, many times
 *	fuzz		do what comes to mind
 */
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portctl.h"

#define MAX_WORDS	256

/* Generations of words that are true, while others are anything: from here on, two more
 * each time, so that by chance alone none is one that the guest is done with.
 */
#define FUZZ_FIRST_GEN	0x123456

/* ID of the frame that was taken last */
static uint16_t taken;

static uint32_t gen_of(uint32_t word)
{
	return word >> PVETH_SESSION_GEN_SHIFT;
}

static bool guest_asks(const struct guest *h)
{
	const struct pveth_guest_page *page = guest_page(h);

	return (load(&page->session) & PVETH_SESSION_STATE_MASK) == PVETH_GUEST_CONNECT &&
	       load(&page->host_gen) == gen_of(h->word);
}

static bool session_ended(const struct guest *h)
{
	return load(&guest_page(h)->session) != h->peer_word;
}

/* The guest posts a buffer again when it has what was in it. */
static bool buffers_are_back(const struct guest *h)
{
	return load(&words_of(h, &h->h2g_post)->prod) == h->h2g_post.index + h->h2g_post.size;
}

static bool buffers_are_back_or_ended(const struct guest *h)
{
	return session_ended(h) || buffers_are_back(h);
}

static bool frame_came_or_ended(const struct guest *h)
{
	return session_ended(h) || load(&words_of(h, &h->g2h)->prod) != h->g2h.index;
}

static void set_word_quietly(struct guest *h, uint32_t gen, uint32_t state)
{
	h->word = gen << PVETH_SESSION_GEN_SHIFT | state;
	store(&host_page(h)->session, h->word);
}

static void set_word(struct guest *h, uint32_t gen, uint32_t state)
{
	set_word_quietly(h, gen, state);
	ring_peer(h, PVETH_VECTOR_SESSION);
}

/* As a host that starts anew, whatever the guest thinks of the last one */
static void get_ready(struct guest *h)
{
	set_word(h, gen_of(h->word) + 2, PVETH_HOST_READY);
}

static void answer(struct guest *h, struct fields *f)
{
	struct pveth_host_page *page = host_page(h);

	h->peer_word = load(&guest_page(h)->session);
	h->direct = le64toh(guest_page(h)->features) & 1ULL << PVETH_F_DIRECT;
	/* Without the guest's RAM there is no more than the handshake. */
	if (!h->direct || h->regions)
		start_rings(h);
	page->peer = htole32(field(f, "peer", h->peer_word));
	page->error = htole32(field(f, "error", PVETH_ERR_NONE));
	page->lent = htole32(field(f, "lent", 0));
	set_word(h, gen_of(h->word), field(f, "state", PVETH_HOST_CONNECTED));
}

static void step_asks(struct guest *h, struct fields *f)
{
	(void)f;
	if (host_state(h) != PVETH_HOST_READY)
		get_ready(h);
	if (!wait_until(h, guest_asks, ANSWER_MS))
		die("the guest does not ask");
}

static void step_connect(struct guest *h, struct fields *f)
{
	step_asks(h, f);
	answer(h, f);
	printf("connect: features %#" PRIx64 "\n", le64toh(guest_page(h)->features));
}

static void print_end(const struct guest *h, const char *step)
{
	const struct pveth_guest_page *page = guest_page(h);

	if ((load(&page->session) & PVETH_SESSION_STATE_MASK) == PVETH_GUEST_ERROR)
		printf("%s: ended %s\n", step, error_name(load(&page->error)));
	else
		printf("%s: ended\n", step);
}

static void step_desc(struct guest *h, struct fields *f)
{
	const struct pveth_buf *buf = entry_of(h, &h->h2g_post, h->h2g_post.index + h->h2g.new,
					       sizeof(*buf));
	struct pveth_desc *desc = entry_of(h, &h->h2g, h->h2g.index + h->h2g.new++,
					   sizeof(*desc));

	put_header(at(h, le64toh(buf->addr)), f);
	put_desc(desc, f, 0, le16toh(buf->id));
}

static void step_publish(struct guest *h, struct fields *f)
{
	h->h2g_post.index += h->h2g.new;
	h->h2g.index = field(f, "index", h->h2g.index + h->h2g.new);
	h->h2g.new = 0;
	/* The last of these buffers is to be announced. */
	store(&words_of(h, &h->h2g_post)->event, h->h2g_post.index + h->h2g_post.size - 1);
	store(&words_of(h, &h->h2g)->prod, h->h2g.index);
	ring_peer(h, PVETH_VECTOR_QUEUE);
	if (!wait_until(h, buffers_are_back_or_ended, ANSWER_MS))
		die("publish: nothing becomes of the frame");
	if (session_ended(h))
		print_end(h, "publish");
	else
		puts("publish: taken");
}

/* Whether a slot of the window holds more than the frame, as it would if it had not been
 * cleared. In direct mode, where the host has all of the memory, slots are smaller.
 */
static bool is_followed(const struct guest *h, const uint8_t *slot, uint32_t len)
{
	for (; !h->direct && len < PVETH_MIN_BUF_SIZE; len++)
		if (slot[len])
			return true;
	return false;
}

static void step_take(struct guest *h, struct fields *f)
{
	const struct pveth_desc *desc;
	const uint8_t *frame;

	(void)f;
	store(&words_of(h, &h->g2h)->event, h->g2h.index);
	if (!wait_until(h, frame_came_or_ended, ANSWER_MS))
		die("take: no frame comes");
	if (session_ended(h)) {
		print_end(h, "take");
		return;
	}
	desc = entry_of(h, &h->g2h, h->g2h.index, sizeof(*desc));
	h->g2h.index += le16toh(desc->hdr.num_buffers);
	taken = le16toh(desc->id);
	frame = at(h, le64toh(desc->addr));
	printf("take: length %u, type %02x%02x, %s\n", le32toh(desc->len),
	       frame[2 * ETH_ALEN], frame[2 * ETH_ALEN + 1],
	       is_followed(h, frame, le32toh(desc->len)) ? "more behind it" : "zeros behind it");
}

static void step_done(struct guest *h, struct fields *f)
{
	struct pveth_done *done = entry_of(h, &h->g2h_done, h->g2h_done.index + h->g2h_done.new++,
					   sizeof(*done));

	*done = (struct pveth_done) {
		.id = htole16(field(f, "id", taken)),
		.status = htole16(field(f, "status", PVETH_DONE_OK)),
		.reserved = htole32(field(f, "reserved", 0)),
	};
}

static void step_complete(struct guest *h, struct fields *f)
{
	h->g2h_done.index = field(f, "index", h->g2h_done.index + h->g2h_done.new);
	h->g2h_done.new = 0;
	store(&words_of(h, &h->g2h_done)->prod, h->g2h_done.index);
	ring_peer(h, PVETH_VECTOR_QUEUE);
}

static void step_ended(struct guest *h, struct fields *f)
{
	(void)f;
	if (!wait_until(h, session_ended, ANSWER_MS))
		die("ended: the session goes on");
	print_end(h, "ended");
}

static void step_word(struct guest *h, struct fields *f)
{
	struct pveth_host_page *page = host_page(h);

	page->peer = htole32(field(f, "peer", le32toh(page->peer)));
	page->error = htole32(field(f, "error", le32toh(page->error)));
	set_word_quietly(h, field(f, "gen", gen_of(h->word)), field(f, "state", host_state(h)));
	if (field(f, "ring", 1))
		ring_peer(h, PVETH_VECTOR_SESSION);
}

static void step_offer(struct guest *h, struct fields *f)
{
	struct pveth_host_page *page = host_page(h);
	const char *mac = field_text(f, "mac");

	page->features = htole64(field(f, "features", le64toh(page->features)));
	page->max_queue_pairs = htole16(field(f, "queue-pairs", le16toh(page->max_queue_pairs)));
	page->link = htole32(field(f, "link", le32toh(page->link)));
	page->mtu = htole32(field(f, "mtu", le32toh(page->mtu)));
	if (mac)
		page->mac = htole64(parse_mac_word(mac));
	ring_peer(h, PVETH_VECTOR_SESSION);
}

static void step_bells(struct guest *h, struct fields *f)
{
	uint64_t count = field(f, "count", 10000);
	unsigned int i;

	while (count--)
		for (i = 0; i < h->vectors; i++)
			ring_peer(h, i);
}

/* Of the guest's addresses, which may have been written over, only those in the window */
static void *fuzz_at(const struct guest *h, uint64_t addr)
{
	return (char *)h->window + addr % (h->window_size - PVETH_MIN_BUF_SIZE);
}

static void fuzz_frame(struct guest *h)
{
	uint32_t posted = load(&words_of(h, &h->h2g_post)->prod) - h->h2g_post.index;
	uint32_t i, count = 1 + any(3);
	const struct pveth_buf *buf;
	struct pveth_desc *desc;
	struct fields none = {};

	if (count > posted || posted > h->h2g_post.size)
		return;
	for (i = 0; i < count; i++) {
		buf = entry_of(h, &h->h2g_post, h->h2g_post.index++, sizeof(*buf));
		desc = entry_of(h, &h->h2g, h->h2g.index++, sizeof(*desc));
		put_header(fuzz_at(h, le64toh(buf->addr)), &none);
		put_desc(desc, &none, 0, le16toh(buf->id));
		desc->len = htole32(1 + any(PVETH_MIN_BUF_SIZE));
		desc->hdr.num_buffers = htole16(i ? 0 : count);
	}
}

static void fuzz_publish(struct guest *h)
{
	store(&words_of(h, &h->h2g)->prod, h->h2g.index);
	ring_peer(h, PVETH_VECTOR_QUEUE);
}

/* All frames of the guest are completed. */
static void fuzz_complete(struct guest *h)
{
	uint32_t came = load(&words_of(h, &h->g2h)->prod) - h->g2h.index;
	const struct pveth_desc *desc;
	struct pveth_done *done;

	if (came > h->g2h.size)
		return;
	for (; came; came--) {
		desc = entry_of(h, &h->g2h, h->g2h.index++, sizeof(*desc));
		if (!desc->hdr.num_buffers)
			continue;
		done = entry_of(h, &h->g2h_done, h->g2h_done.index++, sizeof(*done));
		*done = (struct pveth_done) { .id = desc->id, .status = htole16(any(4)) };
	}
	store(&words_of(h, &h->g2h)->event, h->g2h.index);
	store(&words_of(h, &h->g2h_done)->prod, h->g2h_done.index);
	ring_peer(h, PVETH_VECTOR_QUEUE);
}

static void fuzz_done(struct guest *h)
{
	struct pveth_done *done = entry_of(h, &h->g2h_done, h->g2h_done.index++, sizeof(*done));

	*done = (struct pveth_done) {
		.id = htole16(any_number()),
		.status = htole16(any_number()),
		.reserved = htole32(any(4) ? 0 : any_number()),
	};
	store(&words_of(h, &h->g2h_done)->prod, h->g2h_done.index);
}

static void fuzz_offer(struct guest *h)
{
	struct pveth_host_page *page = host_page(h);

	switch (any(5)) {
	case 0:
		page->features = htole64(any_number());
		break;
	case 1:
		page->max_queue_pairs = htole16(any_number());
		break;
	case 2:
		page->link = htole32(any(4));
		break;
	case 3:
		page->mtu = htole32(any_number());
		break;
	case 4:
		page->mac = htole64(any_number());
		break;
	}
	ring_peer(h, PVETH_VECTOR_SESSION);
}

/* As a host that starts anew */
static void fuzz_ready(struct guest *h)
{
	static uint32_t gen = FUZZ_FIRST_GEN;

	set_word(h, gen += 2, PVETH_HOST_READY);
}

static void fuzz_connect(struct guest *h)
{
	struct fields none = {};
	int n;

	for (n = any(4); n; n--) {
		if (any(2))
			set_word(h, any_number(), any(5));
		else
			fuzz_offer(h);
		wait_until(h, guest_asks, 1 + any(20));
	}
	host_page(h)->max_queue_pairs = htole16(1);
	fuzz_ready(h);
	if (!wait_until(h, guest_asks, ANSWER_MS))
		die("fuzz: the guest does not ask any more");
	answer(h, &none);
}

static void fuzz_once(struct guest *h)
{
	switch (any(64)) {
	case 0:
		fuzz_frame(h);
		spoil_desc(entry_of(h, &h->h2g, h->h2g.index - 1, sizeof(struct pveth_desc)));
		fuzz_publish(h);
		break;
	case 1:
		fuzz_frame(h);
		store(&words_of(h, &h->h2g)->prod, h->h2g.index);
		flip_desc(h, &h->h2g);
		break;
	case 2:
		fuzz_done(h);
		break;
	case 3:
		spoil_index(h);
		break;
	case 4:
		scribble(h);
		break;
	case 5:
		set_word(h, any(2) ? gen_of(h->word) : any_number(), any(5));
		break;
	case 6 ... 9:
		fuzz_offer(h);
		break;
	case 10 ... 30:
		fuzz_complete(h);
		break;
	case 31 ... 50:
		fuzz_frame(h);
		fuzz_publish(h);
		break;
	default:
		/* The guest gets a chance to look. */
		wait_until(h, session_ended, 1);
	}
}

static void step_fuzz(struct guest *h, struct fields *f)
{
	uint64_t from = field(f, "from", 0), count = field(f, "count", 1000), i;
	struct pveth_host_page good = *host_page(h);
	uint64_t seed = field(f, "seed", 1);

	for (i = from; i < from + count; i++) {
		any_from(seed, i);
		if (session_ended(h) || host_state(h) != PVETH_HOST_CONNECTED)
			fuzz_connect(h);
		fuzz_once(h);
	}
	good.session = host_page(h)->session;
	*host_page(h) = good;
	fuzz_ready(h);
	printf("fuzz: %" PRIu64 " steps\n", count);
}

static const struct step steps[] = {
	{ "connect", step_connect },
	{ "asks", step_asks },
	{ "desc", step_desc },
	{ "publish", step_publish },
	{ "take", step_take },
	{ "done", step_done },
	{ "complete", step_complete },
	{ "ended", step_ended },
	{ "word", step_word },
	{ "offer", step_offer },
	{ "bells", step_bells },
	{ "fuzz", step_fuzz },
	{}
};

/* Ends with standard input. */
void host_steps(struct guest *guest)
{
	static const char between[] = { ' ', '\n', '\0' };
	char *line = NULL, *words[MAX_WORDS + 1], *word;
	size_t size = 0;
	unsigned int n;

	guest->word = load(&host_page(guest)->session);
	while (getline(&line, &size, stdin) > 0) {
		n = 0;
		for (word = strtok(line, between); word; word = strtok(NULL, between)) {
			if (n == MAX_WORDS)
				die("more than %u words", MAX_WORDS);
			words[n++] = word;
		}
		words[n] = NULL;
		run_steps(guest, steps, words);
		puts(".");
		fflush(stdout);
	}
	free(line);
}
