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

# Entries of a ring, of which the guest makes the largest that fit into the window, and bytes
# of its buffers
SIZE=128
BUFFER=$([ "$(guest_ram)" ] && echo 4096 || echo 2048)

# breaks FEATURES [ERROR STEPS]...: each in a session of its own, which ends for that
breaks() {
	play_host "$1"
	shift
	while [ $# -gt 0 ]; do
		plays "connect $2"
		[ "${said%%$'\n'*}" = "connect: features $offer" ] ||
			fail "it does not take the offer"
		[[ ${said##*$'\n'} == *": ended $1" ]] || fail "it did not end for $1"
		guest_no_carrier 1 "$card"
		shift 2
	done
	good_again
}

guest_counter() { guest 1 cat "/sys/class/net/$card/statistics/$1"; }
counter_is() { [ "$(guest_counter "$1")" -eq "$2" ]; }

# The host of the other tests: what they change is what makes the difference.
good_host() {
	play_host
	plays connect desc publish desc count=2 desc count=0 publish
	said_is "connect: features $offer" "publish: taken" "publish: taken"
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

# each_of ERROR STEPS...: makes pairs of them, for breaks
each_of() {
	local steps

	for steps in "${@:2}"; do
		pairs+=("$1" "$steps")
	done
}

broken_frames() {
	local -a pairs

	each_of index "desc publish index="{$((SIZE + 1)),0x80000000,0xffffffff} \
		"desc publish publish index=0 ended"
	# Also with enough descriptors behind the first one
	each_of frame "desc count="{0,65,2,65535}" publish" \
		"desc count=65 $(printf 'desc count=0 %.0s' {1..64})publish"
	each_of desc-len "desc len="{0,$((BUFFER + 1)),0xffffffff}" publish" \
		"desc count=2 desc count=0 len="{0,$((BUFFER + 1))}" publish"
	each_of desc-id "desc id="{$SIZE,65535}" publish" \
		"desc count=2 id=5 desc count=0 id="{5,$SIZE}" publish"
	each_of reserved "desc addr="{1,0x2000,0xffffffffffffffff}" publish" \
		"desc count=2 desc count=1 publish"
	each_of offload \
		"desc "{hdr-flags,gso-type,hdr-len,gso-size,csum-start,csum-offset,flags,hash}"=1 publish" \
		"desc count=2 desc count=0 hdr-flags=1 publish"
	breaks 0 "${pairs[@]}"
}

# Offloads that were not agreed on, beside others that were
broken_offload_beside_checksums() {
	local -a pairs

	each_of offload "desc hdr-flags=1 gso-type="{1,4,5}" publish"
	breaks 0x10000 "${pairs[@]}"
}

broken_offload_beside_tso4() {
	local -a pairs

	each_of offload "desc hdr-flags=1 gso-type="{4,5,0x81,3}" publish"
	breaks 0x30000 "${pairs[@]}"
}

broken_offload_beside_all() {
	local -a pairs

	each_of offload "desc hdr-flags=4 publish" "desc gso-type=1 publish" \
		"desc hdr-flags=1 flags=1 hash=1 publish"
	breaks 0x1f0000 "${pairs[@]}"
}

# flood FRAMES [SIZE]: a guest that has many out looks at every completion.
flood() {
	wait_for 60 guest_carrier 1 "$card"
	note "guest 1: frames send -n $1 $card ${2-1000}"
	# It is refused when the link goes.
	guest 1 "$lib_dir/frames send -n $1 $card ${2-1000}" 2>/dev/null &
}

# As breaks(), for frames of the guest
broken_completions() {
	local -a pairs

	each_of index "done complete index="{$((SIZE + 1)),0x80000000,0xffffffff}
	each_of desc-id "done id="{$SIZE,65535}" complete" "done done complete"
	each_of reserved "done reserved=1 complete"
	set -- "${pairs[@]}"
	play_host
	while [ $# -gt 0 ]; do
		plays connect
		flood $((4 * SIZE))
		plays "take $2 ended"
		[ "${said##*$'\n'}" = "ended: ended $1" ] || fail "it did not end for $1"
		wait $! || true
		shift 2
	done
	good_again
}

# Frames that are none are dropped, and counted, and nothing else.
bad_frames() {
	local long

	play_host
	long="desc count=33 len=2048 $(printf 'desc count=0 len=2048 %.0s' {1..32})"
	plays connect desc len=13 publish desc count=2 len=13 desc count=0 len=47 publish \
		"$long" publish desc count=3 len=1 desc count=0 len=1 desc count=0 len=11 publish
	said_is "connect: features $offer" "publish: taken" "publish: taken" "publish: taken" \
		"publish: taken"
	counter_is rx_errors 3
	counter_is rx_packets 1
	guest_carrier 1 "$card"
}

# What is said of a frame is not what is in it.
bad_offloads() {
	local n=0 fields list

	mapfile -t list < <(bad_metadata 60 45)
	play_host 0x1f0000
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
	for steps in peer=1 "state=3 error=5" "state=3 error=13" state=9; do
		plays connect "$steps" ended
		[ "${said##*$'\n'}" = "ended: ended" ] || fail "it did not end"
	done
	good_again
	wait_for 60 guest_carrier 1 "$card"
	plays offer link=0
	wait_for 60 guest_no_carrier 1 "$card"
	plays offer link=1
	wait_for 60 guest_carrier 1 "$card"
}

# The guest finds that the session is broken and that the host has started anew in one look.
# A first session may make it look again.
broken_and_started_anew() {
	local gen

	play_host
	for gen in 1000 2000 3000; do
		plays connect desc publish "word gen=$gen state=1 ring=0" desc len=0 publish
		[[ $said == *"publish: ended"* ]] || fail "it did not end"
	done
	good_again
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

# soon COMMAND...: in the guest, whose administrator does not wait for a host
soon() { in_guest 1 timeout $((60 * patience)) "$@"; }

driver_reload() {
	soon rmmod pveth
	soon modprobe pveth
	wait_for 60 card_is_driven
	card=$(guest_if 1)
	soon ip link set "$card" up
}

# Bells for nothing, while the interface is up, down, goes, and comes
bells_for_nothing() {
	play_host
	plays connect
	tells bells count=20000
	soon ip link set "$card" down
	soon ip link set "$card" up
	driver_reload
	hears
	good_again
}

# A host that has frames, and is silent, when its guest wants to leave
silent_host() {
	play_host
	plays connect
	flood 20
	plays take
	wait $! || true
	soon ip link set "$card" down
	plays ended
	soon ip link set "$card" up
	good_again
	flood 20
	plays take
	wait $! || true
	driver_reload
	good_again
}

# A host that completes nothing, while the guest has more: it is rung again, and given up.
# In direct mode only small frames leave their sockets, which can then send more.
stalled_host() {
	play_host
	plays connect
	flood $((4 * SIZE)) 200
	plays take ended
	[ "${said##*$'\n'}" = "ended: ended" ] || fail "it did not end"
	guest 1 "ethtool -S $card | grep -x ' *queue0_stalls: 1'"
	wait $! || true
	good_again
}

# A host that never answers
deaf_host() {
	play_host
	plays asks
	soon ip link set "$card" mtu 1400
	soon ethtool -G "$card" rx 64 tx 64
	soon ip link set "$card" down
	soon ip link set "$card" up
	driver_reload
	good_again
}

kept_memory() { guest 1 "dmesg | grep -c 'the host still uses our memory'" || true; }
more_is_kept() { [ "$(kept_memory)" -gt "$1" ]; }

# In direct mode memory that the host does not let go of is nobody else's any more, and
# nobody waits for it for long.
host_keeps_memory() {
	local kept n WINDOW=0x400000

	guest 1 "[ ! -e /sys/kernel/debug/dma-api ]" ||
		skip "this kernel of the guest reports memory that is lost, as it is here"
	play_host $DIRECT
	plays connect
	[ "$said" = "connect: features $offer" ] || skip "the guest has no direct mode: $said"
	kept=$(kept_memory)

	note "It stays connected"
	soon ip link set "$card" down
	wait_for 60 more_is_kept "$kept"
	kept=$(kept_memory)

	note "It has not answered, and may still do so"
	in_guest 1 ip link set "$card" up
	plays word gen=100 state=1 asks
	soon ip link set "$card" down
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

	# Takes a minute
	[ "$(guest_ram)" ] || return 0
	note "It stays connected again and again, each time with 2 MiB of buffers"
	n=0
	while true; do
		plays connect
		[ "$said" != "connect: features 0" ] || break
		n=$((n + 1))
		[ $n -lt 50 ] || fail "the guest has memory without end"
		wait_for 60 guest_carrier 1 "$card"
		soon ip link set "$card" down
		soon ip link set "$card" up
	done
	[ $n -gt 1 ] || fail "it is given up at once"
	wait_for 60 guest_carrier 1 "$card"
}

good_card() {
	take_card_out
	put_card_in
}

run_tests \
	good_host \
	broken_frames \
	broken_offload_beside_checksums \
	broken_offload_beside_tso4 \
	broken_offload_beside_all \
	broken_completions \
	bad_frames \
	bad_offloads \
	broken_words \
	broken_and_started_anew \
	broken_configuration_later \
	bells_for_nothing \
	silent_host \
	stalled_host \
	deaf_host \
	host_keeps_memory \
	good_card
