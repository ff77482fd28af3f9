#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Single frames, made by hand: all sizes, too short and too long ones, VLAN
# tags, kinds of addresses, bursts. "frames" compares each octet.
#
# The port is out of the bridge, so that nobody else sees them.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

# both_ways ARGUMENTS: of frames, without an interface
both_ways() {
	frames 1 "$interface $1" host "$port $1"
	frames host "$port $1" 1 "$interface $1"
}

# Set the MTU of both sides, until the test ends.
mtu() {
	at_exit "wait_for 20 guest_mtu_is 1500"
	at_exit "ip link set $port mtu 1500"
	host ip link set "$port" mtu "$1"
	wait_for 20 guest_mtu_is "$1"
}

before() {
	counters host >"$TMPDIR/host.before"
	counters 1 >"$TMPDIR/1.before"
}

# moved_by PLACE NUMBER NAME...
moved_by() {
	local name

	counters "$1" >"$TMPDIR/$1.after"
	for name in "${@:3}"; do
		[ "$(moved "$1" "$name")" = "$2" ] || return
	done
}

every_size_to_1514() {
	both_ways 14-1514
}

# Where linear and paged buffers, slots and pages begin and end
sizes_around_boundaries_to_9014() {
	mtu 9000
	both_ways "1515-1530 2040-2056 2296-2312 4088-4104 4344-4360 \
		   6136-6152 8184-8200 8440-8456 9000-9014"
}

frames_shorter_than_a_header_are_refused() {
	local n

	for n in "host $port" "1 $interface"; do
		# shellcheck disable=SC2086
		set -- $n
		if on "$1" "$lib_dir/frames send $2 13" 2>"$TMPDIR/err"; then
			fail "13 octets went out at $1"
		fi
		grep 'Invalid argument' "$TMPDIR/err"
	done
	both_ways 14
}

frames_beyond_the_mtu_are_refused() {
	local n

	for n in "host $port" "1 $interface"; do
		# shellcheck disable=SC2086
		set -- $n
		if on "$1" "$lib_dir/frames send $2 1515" 2>"$TMPDIR/err"; then
			fail "1515 octets went out at $1"
		fi
		grep 'Message too long' "$TMPDIR/err"
	done
	both_ways 1514
}

tagged_frames_of_full_size() {
	both_ways "-t 8100:100 16-64 1500-1514"
	mtu 9000
	both_ways "-t 8100:4094 2044 2045 4092 4093 9014"
}

# qinq PLACE INTERFACE: an interface "outer" with 802.1ad tag 200, and "inner"
# with 802.1Q tag 100 on it, until the test ends
qinq() {
	at_exit "on $1 'ip link del outer'"
	on "$1" "ip link add outer link $2 type vlan proto 802.1ad id 200
		ip link add inner link outer type vlan id 100
		ip link set outer up
		ip link set inner up"
}

# The second tag comes on top of the first, at full size.
doubly_tagged_frames_of_full_size() {
	qinq host "$port"
	qinq 1 "$interface"
	frames 1 "outer -t 8100:100 16-64 1514" \
		host "$port -t 88a8:200 -t 8100:100 16-64 1514"
	frames host "outer -t 8100:100 16-64 1514" \
		1 "$interface -t 88a8:200 -t 8100:100 16-64 1514"
}

# A third tag makes a frame of full size longer than any that is allowed. None
# arrives; the sender counts what its peer refused, and the link goes on.
too_long_frames_are_dropped_and_counted() {
	qinq host "$port"
	qinq 1 "$interface"
	before
	on 1 "$lib_dir/frames send inner -n 5 -t 8100:101 1514"
	wait_for 20 moved_by host 5 g2h_bad rx_errors
	# The completions are looked at when slots run short.
	on 1 "$lib_dir/frames send $interface -n 1000 60"
	wait_for 20 moved_by 1 5 g2h_bad tx_errors

	on host "$lib_dir/frames send inner -n 5 -t 8100:101 1514"
	wait_for 20 moved_by host 5 h2g_dropped tx_dropped
	moved_by 1 0 h2g_bad h2g_dropped rx_errors
	# One tag and two are allowed, of the same length all in all.
	frames 1 "outer -t 8100:100 1514" \
		host "$port -t 88a8:200 -t 8100:100 1514"
	frames host "outer -t 8100:100 1514" \
		1 "$interface -t 88a8:200 -t 8100:100 1514"
}

# The link has two ends: whatever is sent arrives at the other, and is known
# for what it is.
all_kinds_of_addresses_arrive() {
	local own others="-n 100 60 -d ff:ff:ff:ff:ff:ff=broadcast \
		-d 01:00:5e:4d:00:01=multicast -d 33:33:00:4d:00:01=multicast \
		-d 52:54:00:77:ff:ff=otherhost"

	own="-d $(cat "/sys/class/net/$port/address")=host"
	frames 1 "$interface $others $own" host "$port $others $own"
	own="-d $(port_field 1 mac)=host"
	frames host "$port $others $own" 1 "$interface $others $own"
}

# The same when both are promiscuous
promiscuous_mode() {
	at_exit "ip link set $port promisc off"
	at_exit "guest 1 'ip link set $interface promisc off'"
	host ip link set "$port" promisc on
	in_guest 1 "ip link set $interface promisc on
		ip link show $interface" | grep PROMISC
	all_kinds_of_addresses_arrive
}

# burst FROM SENDER TO RECEIVER: in order, only those are missing that somebody
# counted as dropped, and no queue stood still
burst() {
	local status=0 line received count overrun lost counted

	before
	line=$(frames "$1" "$2" "$3" "$4 -l") || status=$?
	echo "$line"
	line=$(tail -n 1 <<<"$line")
	received=${line#received } count=${line#*of } overrun=${line##*dropped }
	lost=$((${count%%,*} - ${received%% *}))
	counters host >"$TMPDIR/host.after"
	counters 1 >"$TMPDIR/1.after"
	counted=$(($(moved host g2h_dropped) + $(moved host h2g_dropped) +
		   $(moved 1 h2g_dropped)))
	note "lost $lost, counted as dropped $counted, by the socket $overrun"
	[ $lost -le $((counted + overrun)) ]
	[ "$(moved 1 stalls)" = 0 ] || fail "a queue of the guest stood still"
	return $status
}

bursts_of_small_frames() {
	burst 1 "$interface -n 3000 60" host "$port -n 3000 60"
	burst host "$port -n 3000 60" 1 "$interface -n 3000 60"
}

bursts_of_mixed_sizes() {
	local sizes="-n 1000 60 9014 61 2048 1514 2049 14 4500 8193"

	mtu 9000
	burst 1 "$interface $sizes" host "$port $sizes"
	burst host "$port $sizes" 1 "$interface $sizes"
}

bursts_both_ways_at_once() {
	local to_host to_guest sizes="-n 2000 60 1514 600"

	frames 1 "$interface -i 1 $sizes" host "$port -i 1 $sizes" &
	to_host=$!
	frames host "$port -i 2 $sizes" 1 "$interface -i 2 $sizes" &
	to_guest=$!
	wait $to_host
	wait $to_guest
}

# Twelve of the longest frames fill a ring: queues stop and start all the time.
bursts_through_the_smallest_rings() {
	local sizes="-n 300 9014 60 5000" rx tx

	read -r _ _ rx tx <<<"$(in_guest 1 "ethtool -g $interface" |
		awk '/^[RT]X:/ { printf "%s ", $2 }')"
	at_exit "guest 1 'ethtool -G $interface rx $rx tx $tx'"
	mtu 9000
	in_guest 1 "ethtool -G $interface rx 64 tx 64"
	wait_for 20 guest_carrier 1 "$interface"
	burst 1 "$interface $sizes" host "$port $sizes"
	burst host "$port $sizes" 1 "$interface $sizes"
}

leave_bridge
plain_queues

run_tests every_size_to_1514 \
	sizes_around_boundaries_to_9014 \
	frames_shorter_than_a_header_are_refused \
	frames_beyond_the_mtu_are_refused \
	tagged_frames_of_full_size \
	doubly_tagged_frames_of_full_size \
	too_long_frames_are_dropped_and_counted \
	all_kinds_of_addresses_arrive \
	promiscuous_mode \
	bursts_of_small_frames \
	bursts_of_mixed_sizes \
	bursts_both_ways_at_once \
	bursts_through_the_smallest_rings
