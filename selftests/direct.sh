#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Direct mode between two guests: frames that the host lends, and does not copy.
#
#   guest 1 --- vm1 --- br0 --- vm2 --- guest 2
#
# In window mode there is nothing to test.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

DIRECT=0x200000000
# Of a stream that is not just a beginning
BYTES=4M

needs_direct() {
	needs_guest 2
	[ $(($(port_field 1 features) & DIRECT)) != 0 ] || skip "guest 1 is in window mode"
}

# Of one after which the host knows whether it pays to lend
LESSON=8M

# What $port and the guest's interface have counted while a command ran:
# counting COMMAND...
counting() {
	counters host >"$TMPDIR/host.before"
	"$@"
	counters host >"$TMPDIR/host.after"
	note "$(moved host lent) of $(moved host g2h_frames) frames were lent"
}

lent_from_guest_to_guest() {
	needs_direct
	counting tcp 1 2 "$(guest4 2)" $LESSON
	counting tcp 1 2 "$(guest4 2)" $BYTES
	[ $(($(moved host lent) * 2)) -ge "$(moved host g2h_frames)" ] ||
		fail "too few frames were lent"
	counting tcp 1 2 "$(guest6 2)" $BYTES
	[ "$(moved host lent)" -gt 0 ]
}

# The host copies what goes to its sockets, and lends a frame only now and then, to
# see whether that has changed.
copied_to_the_host() {
	needs_direct
	counting tcp 1 host $HOST4 $LESSON
	counting tcp 1 host $HOST4 $BYTES
	[ $(($(moved host lent) * 16)) -le "$(moved host g2h_frames)" ] ||
		fail "frames are lent in vain"
	counting tcp 1 2 "$(guest4 2)" $LESSON
	[ "$(moved host lent)" -gt 0 ] || fail "no frame is lent any more"
}

# A frame that guest 2 does not take as large as it is, is not lent for long.
segmented_on_the_way() {
	needs_direct
	at_exit "on 2 'ethtool -K $(guest_if 2) rx-gro-hw on'; link_up 2"
	on 2 "ethtool -K $(guest_if 2) rx-gro-hw off"
	link_up 2
	counting tcp 1 2 "$(guest4 2)" $LESSON
	counting tcp 1 2 "$(guest4 2)" $BYTES
	[ $(($(moved host lent) * 4)) -le "$(moved host g2h_frames)" ] ||
		fail "frames are lent in vain"
}

# delay_guest_2 TIME: frames to guest 2 wait on their way, until the test ends. They
# are lent now, if the last ones were.
delay_guest_2() {
	counting tcp 1 2 "$(guest4 2)" $LESSON
	at_exit "tc qdisc del dev $(port 2) root"
	host tc qdisc replace dev "$(port 2)" root netem delay "$1" limit 10000
}

# While the stack has frames of guest 1, others come and go.
kept_frames_hold_up_nobody() {
	local stream

	needs_direct
	delay_guest_2 5s
	counters host >"$TMPDIR/host.before"
	tcp 1 2 "$(guest4 2)" 256K &
	stream=$!
	wait_for 60 frames_were_lent
	counting tcp 1 host $HOST4 256K
	counting tcp host 1 "$(guest4 1)" 256K
	kill -0 $stream || fail "the stream is not held up: nothing was tested"
	wait $stream
}
frames_were_lent() {
	counters host >"$TMPDIR/host.after"
	[ "$(moved host lent)" -gt 0 ]
}

# The guest uses memory again as soon as it may, and what is in the frames that wait
# is still what was sent.
kept_frames_are_left_alone() {
	local number=$((20000 + RANDOM % 10000))

	needs_direct
	udp_room 2
	delay_guest_2 1s
	counting arrives 1 "$(send_in_bulk "$(guest4 2)" $number 40)" 2 \
		"$(receive "UDP4-RECV:$number,null-eof,rcvbuf=16777216")"
	[ "$(moved host lent)" -ge 20 ] || fail "too few frames were lent"
}

# What the stack has when a session ends is left alone by the guest, and arrives.
sessions_end_with_frames_kept() {
	local stream

	needs_direct
	delay_guest_2 5s
	at_exit "on 1 'ethtool -G $interface rx 512'; link_up 1"
	counters host >"$TMPDIR/host.before"
	tcp 1 2 "$(guest4 2)" 64K &
	stream=$!
	wait_for 60 frames_were_lent
	on 1 "dmesg -C; ethtool -G $interface rx 256"
	guest 1 "dmesg | grep 'the host still uses our memory'"
	link_up 1
	kill -0 $stream || fail "the stream is not held up: nothing was tested"
	wait $stream
	counting tcp 1 host $HOST4 $BYTES
}

# Memory of huge pages is as good as any: half of what guest 1 has otherwise
guest_with_huge_pages() {
	local dir=$TMPDIR/huge setting=/proc/sys/vm/nr_hugepages before memory size pages

	needs_direct
	memory=$(($(port_field 1 memory) / 2))
	size=$(awk '$1 == "Hugepagesize:" { print $2 * 1024 }' /proc/meminfo)
	pages=$(((memory + size - 1) / size))
	before=$(cat $setting)
	at_exit "rmdir $dir"
	mkdir "$dir"
	at_exit "umount $dir"
	host mount -t hugetlbfs none "$dir"
	at_exit "echo $before >$setting"
	echo $((before + pages)) >$setting
	[ "$(cat $setting)" = $((before + pages)) ] || skip "there are not $pages huge pages"

	at_exit "card_with $(card_options)"
	card_with --mode direct --memory $((pages * size)) --memory-dir "$dir"
	[ $(($(port_field 1 features) & DIRECT)) != 0 ]
	[ "$(awk '$1 == "HugePages_Free:" { print $2 }' /proc/meminfo)" = "$before" ] ||
		fail "the guest's memory is not of huge pages"
	counting tcp 1 2 "$(guest4 2)" $BYTES
	[ "$(moved host lent)" -gt 0 ]
	tcp 1 host $HOST6 $BYTES
	tcp host 1 "$(guest4 1)" $BYTES
	tcp 2 1 "$(guest6 1)" $BYTES
}

run_tests lent_from_guest_to_guest \
	copied_to_the_host \
	segmented_on_the_way \
	kept_frames_hold_up_nobody \
	kept_frames_are_left_alone \
	sessions_end_with_frames_kept \
	guest_with_huge_pages
