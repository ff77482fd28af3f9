#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Hosts that break the protocol.
#
#   guest 1: pveth ---- a window in the slot of its card, and portctl plays the host
#
# The driver ends the session for the right reason, says so, and works again with a host
# that starts anew. Whatever the host does, the guest's administrator can take the interface
# down, and the driver away.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_window.sh
. "$(dirname "$0")/lib_window.sh"

# Entries of a ring, of which the guest makes the largest that fit into the window
SIZE=128
DIRECT=0x200000000
OFFER=features=0

# breaks ERROR STEPS...: in a session of its own, which ends for that. The host offers $OFFER.
breaks() {
	local error=$1 steps

	shift
	play_host "$OFFER"
	for steps; do
		plays "$steps"
		[[ ${said##*$'\n'} == *": ended $error" ]] || fail "it did not end for $error"
		guest_no_carrier 1 "$card"
	done
	good_again
}

guest_counter() { guest 1 cat "/sys/class/net/$card/statistics/$1"; }
counter_is() { [ "$(guest_counter "$1")" -eq "$2" ]; }

# The host of the other tests: what they change is what makes the difference.
good_host() {
	play_host
	plays connect desc publish desc count=2 desc count=0 publish
	said_is "connect: features 0" "publish: taken" "publish: taken"
	counter_is rx_packets 2
	counter_is rx_bytes $((3 * 60))
	guest_carrier 1 "$card"
	in_guest 1 "$lib_dir/frames send $card 60"
	plays "take done complete"
	said_is "take: length 60, type 88b5, zeros behind it"
	counter_is tx_packets 1
	in_guest 1 ip link set "$card" down
	plays ended
	said_is "ended: ended"
}

broken_index() {
	breaks index "connect desc publish index="{$((SIZE + 1)),0x80000000,0xffffffff} \
		"connect desc publish publish index=0 ended"
}

broken_frame() {
	breaks frame "connect desc count="{0,65,2,65535}" publish"
}

broken_desc_len() {
	breaks desc-len "connect desc len="{0,2049,0xffffffff}" publish" \
		"connect desc count=2 desc count=0 len="{0,2049}" publish"
}

broken_desc_id() {
	breaks desc-id "connect desc id="{$SIZE,65535}" publish" \
		"connect desc count=2 id=5 desc count=0 id="{5,$SIZE}" publish"
}

broken_reserved() {
	breaks reserved "connect desc addr="{1,0x2000,0xffffffffffffffff}" publish" \
		"connect desc count=2 desc count=1 publish"
}

broken_offload() {
	breaks offload \
		"connect desc "{hdr-flags,gso-type,hdr-len,gso-size,csum-start,csum-offset,flags,hash}"=1 publish" \
		"connect desc count=2 desc count=0 hdr-flags=1 publish"
}

# Offloads that were not agreed on, beside others that were
broken_offload_beside_checksums() {
	OFFER=features=0x10000 breaks offload "connect desc hdr-flags=1 gso-type="{1,4,5}" publish"
}

broken_offload_beside_tso4() {
	OFFER=features=0x30000 breaks offload \
		"connect desc hdr-flags=1 gso-type="{4,5,0x81,3}" publish"
}

broken_offload_beside_all() {
	OFFER=features=0x1f0000 breaks offload "connect desc hdr-flags=4 publish" \
		"connect desc gso-type=1 publish" "connect desc hdr-flags=1 flags=1 hash=1 publish"
}

# flood FRAMES: a guest that has many out looks at every completion.
flood() {
	wait_for 60 guest_carrier 1 "$card"
	note "guest 1: frames send -n $1 $card 1000"
	# It is refused when the link goes.
	guest 1 "$lib_dir/frames send -n $1 $card 1000" 2>/dev/null &
}

# completes ERROR STEPS...: as breaks(), for frames of the guest
completes() {
	local error=$1 steps

	shift
	play_host
	for steps; do
		plays connect
		flood $((4 * SIZE))
		plays "take $steps ended"
		[ "${said##*$'\n'}" = "ended: ended $error" ] || fail "it did not end for $error"
		wait $! || true
	done
	good_again
}

broken_done_index() {
	completes index "done complete index="{$((SIZE + 1)),0x80000000,0xffffffff}
}

broken_done_id() {
	completes desc-id "done id="{$SIZE,65535}" complete" "done done complete"
}

broken_done_reserved() { completes reserved "done reserved=1 complete"; }

# Frames that are none are dropped, and counted, and nothing else.
bad_frames() {
	local long

	play_host
	long="desc count=33 len=2048 $(printf 'desc count=0 len=2048 %.0s' {1..32})"
	plays connect desc len=13 publish desc count=2 len=13 desc count=0 len=47 publish \
		"$long" publish desc count=3 len=1 desc count=0 len=1 desc count=0 len=11 publish
	said_is "connect: features 0" "publish: taken" "publish: taken" "publish: taken" \
		"publish: taken"
	counter_is rx_errors 3
	counter_is rx_packets 1
	guest_carrier 1 "$card"
}

# What is said of a frame is not what is in it.
bad_offloads() {
	local n=0 fields list

	mapfile -t list < <(bad_metadata 60 45)
	play_host features=0x1f0000
	plays connect
	for fields in "${list[@]}"; do
		n=$((n + 1))
		plays "desc hdr-flags=1 $fields publish"
		said_is "publish: taken"
		counter_is rx_errors $n || fail "it was taken for a good frame"
	done
	[ $n -gt 0 ]
	good_again
}

# Words that mean nothing, or nothing now
broken_words() {
	local steps

	play_host
	for steps in "word state=7" "word state=255" "word state=0" "word gen=77" "word gen=0" \
		"word peer=1 state=2" "word state=3 error=5" "word state=3 error=999 peer=0"; do
		plays connect "$steps" ended
		[ "${said##*$'\n'}" = "ended: ended" ] || fail "it did not end"
		guest_no_carrier 1 "$card"
	done
	# Answers to others, and to nobody
	plays connect peer=1 ended
	plays connect state=3 error=5 ended
	plays connect state=3 error=13 ended
	plays connect state=9 ended
	good_again
	wait_for 60 guest_carrier 1 "$card"
	plays offer link=0
	wait_for 60 guest_no_carrier 1 "$card"
	plays offer link=1
	wait_for 60 guest_carrier 1 "$card"
}

guest_mtu_is() { guest 1 "[ \$(cat /sys/class/net/$card/mtu) = $1 ]"; }

# What cannot be is not followed, at any time.
broken_configuration_later() {
	local mtu mac

	play_host
	plays connect offer mtu=1400
	wait_for 60 guest_mtu_is 1400
	for mtu in 0 67 65522 4294967295; do
		plays offer mtu=$mtu desc publish
		guest_mtu_is 1400
	done
	for mac in 00:00:00:00:00:00 01:00:5e:00:00:01 ff:ff:ff:ff:ff:ff; do
		plays offer mtu=1500 mac=$mac desc publish
	done
	guest_mtu_is 1400
	[ "$(guest 1 cat "/sys/class/net/$card/address")" = 52:54:00:00:00:01 ]
	plays offer mac=52:54:00:00:00:02
	wait_for 60 guest_mtu_is 1500
	[ "$(guest 1 cat "/sys/class/net/$card/address")" = 52:54:00:00:00:02 ]
}

# Bells for nothing, while the interface is up and while it is down, keep nobody from work.
bells_for_nothing() {
	play_host
	plays connect bells count=20000 desc publish
	said_is "connect: features 0" "publish: taken"
	in_guest 1 ip link set "$card" down
	plays ended bells count=20000
	in_guest 1 ip link set "$card" up
	good_again
}

# A host that has frames, and is silent, when its guest wants to leave
silent_host() {
	play_host
	plays connect
	flood 20
	plays take
	wait $! || true
	in_guest 1 ip link set "$card" down
	plays ended
	in_guest 1 ip link set "$card" up
	good_again
	in_guest 1 rmmod pveth
	in_guest 1 modprobe pveth
	wait_for 60 card_is_driven
	in_guest 1 ip link set "$card" up
	good_again
}

kept_memory() { guest 1 "dmesg | grep -c 'the host still uses our memory'" || true; }
more_is_kept() { [ "$(kept_memory)" -gt "$1" ]; }

# In direct mode memory that the host does not let go of is nobody else's any more, and
# nobody waits for it for long.
host_keeps_memory() {
	local kept

	play_host features=$DIRECT
	plays connect
	[ "$said" = "connect: features $DIRECT" ] || skip "the guest has no direct mode: $said"
	kept=$(kept_memory)

	note "It stays connected"
	in_guest 1 ip link set "$card" down
	wait_for 60 more_is_kept "$kept"
	kept=$(kept_memory)

	note "It has not answered, and may still do so"
	in_guest 1 ip link set "$card" up
	plays word gen=100 state=1 asks
	in_guest 1 ip link set "$card" down
	wait_for 60 more_is_kept "$kept"
	kept=$(kept_memory)

	note "It says that frames are lent"
	in_guest 1 ip link set "$card" up
	plays connect lent=1
	wait_for 60 guest_carrier 1 "$card"
	plays word gen=200 state=1
	wait_for 60 more_is_kept "$kept"
	kept=$(kept_memory)

	note "It lets go"
	plays connect lent=0
	wait_for 60 guest_carrier 1 "$card"
	plays word gen=300 state=1 asks
	[ "$(kept_memory)" = "$kept" ] || fail "memory was lost that the host let go of"
}

good_card() {
	take_card_out
	put_card_in
}

run_tests \
	good_host \
	broken_index \
	broken_frame \
	broken_desc_len \
	broken_desc_id \
	broken_reserved \
	broken_offload \
	broken_offload_beside_checksums \
	broken_offload_beside_tso4 \
	broken_offload_beside_all \
	broken_done_index \
	broken_done_id \
	broken_done_reserved \
	bad_frames \
	bad_offloads \
	broken_words \
	broken_configuration_later \
	bells_for_nothing \
	silent_host \
	host_keeps_memory \
	good_card
