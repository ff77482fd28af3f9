#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Offloads: checksums left to the other side, and frames larger than the MTU.
#
# Both ends switch them on and off while frames flow. What arrives is compared
# with what was sent; the counters of the port tell how large the frames were.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

# An MTU of 1500 and the Ethernet header
PLAIN=1514
# An Ethernet, an IPv6 and a TCP header with options, and nothing else
EMPTY=86

# What is agreed on, but for the memory mode
DIRECT=0x200000000
features_are() { [ $(($(port_field 1 features) & ~DIRECT)) = $(($1)) ]; }
# Both directions with all of: checksums, TSO4, TSO6, ECN, USO; and hashes
ALL=0x1001f001f

# set_features PLACE [FEATURE on|off]...: of the card at this end, until the test
# ends
set_features() {
	local place=$1 card=$port feature undo

	[ "$place" = host ] || card=$interface
	shift
	for feature; do
		[ "$feature" = on ] || [ "$feature" = off ] || undo+=" $feature on"
	done
	at_exit "on $place 'ethtool -K $card$undo'"
	on "$place" "ethtool -K $card $*"
	link_up 1
}

# feature PLACE NAME: "on" or "off"
feature() {
	local card=$port

	[ "$1" = host ] || card=$interface
	on "$1" "ethtool -k $card" | sed -n "s/^\s*$2: \(o[nf]*\).*/\1/p"
}
feature_is() { [ "$(feature "$1" "$2")" = "$3" ]; }

# average DIRECTION: bytes of the frames with data since "before", on average
average() {
	counters host >"$TMPDIR/host.after"
	counters 1 >"$TMPDIR/1.after"
	# On the other way there are nothing but acknowledgements.
	echo $(($(moved host "$1_bytes") / $(moved host "$1_frames")))
}

start_counting() { counters host >"$TMPDIR/host.before"; }

# stream DIRECTION ADDRESS...: a stream arrives at each; sets $size to how large
# its frames were on average
stream() {
	local direction=$1 from=1 to=host address

	[ "$direction" = g2h ] || from=host to=1
	shift
	start_counting
	for address; do
		tcp $from $to "$address" 2M
	done
	size=$(average "$direction")
	note "$direction: $size bytes on average"
}
stream_to_host() { stream g2h $HOST4 $HOST6; }
stream_to_guest() { stream h2g "$(guest4 1)" "$(guest6 1)"; }

# There are large ones if the average is above PLAIN; how many, depends on how slow the
# receiver is.
LARGE=$((2 * PLAIN))
[ "$patience" = 1 ] || LARGE=$PLAIN
large() { [ "$size" -gt $LARGE ]; }
plain() { [ "$size" -le $PLAIN ] && [ "$size" -gt $EMPTY ]; }

all_is_agreed_on() {
	local place name

	wait_for 20 features_are $ALL
	for place in host 1; do
		for name in rx-checksumming tx-checksum-ip-generic tx-tcp-segmentation \
			    tx-tcp6-segmentation tx-tcp-ecn-segmentation \
			    tx-udp-segmentation rx-gro-hw \
			    generic-segmentation-offload; do
			[ "$(feature $place $name)" = on ] ||
				fail "$place: $name is not on"
		done
	done
}

large_frames_to_host() { stream_to_host; large; }
large_frames_to_guest() { stream_to_guest; large; }

guest_segments() {
	set_features 1 tso off
	stream_to_host
	plain
	features_are $ALL
}

host_segments() {
	set_features host tso off
	# The bridge's own features follow its ports'.
	stream_to_guest
	plain
	features_are $ALL
}

guest_completes_checksums() {
	set_features 1 tx off
	stream_to_host
	plain
}

host_completes_checksums() {
	set_features host tx off
	stream_to_guest
	plain
}

# What the guest does not want, the host does not send, whatever its stack asks.
guest_wants_no_large_frames() {
	set_features 1 rx-gro-hw off
	wait_for 20 features_are 0x10001001f
	feature_is host tx-tcp-segmentation on
	stream_to_guest
	plain
	stream_to_host
	large
}

guest_wants_no_checksum_offload() {
	set_features 1 rx off
	wait_for 20 features_are 0x10000001f
	stream_to_guest
	plain
	stream_to_host
	large
}

# What the host does not offer, the guest's card can not do.
host_wants_no_large_frames() {
	set_features host rx-gro-hw off
	wait_for 20 features_are 0x1001f0001
	wait_for 20 feature_is 1 tx-tcp-segmentation off
	feature_is 1 tx-checksum-ip-generic on
	stream_to_host
	plain
	stream_to_guest
	large
}

host_wants_no_checksum_offload() {
	set_features host rx off
	wait_for 20 features_are 0x1001f0000
	wait_for 20 feature_is 1 tx-checksum-ip-generic off
	stream_to_host
	plain
}

all_is_agreed_on_again() { all_is_agreed_on; }

# A session that ends for it is replaced, and the stream goes on.
switched_under_traffic() {
	local stop=$TMPDIR/stop stream n place

	tcp_until "$stop" host 1 "$(guest4 1)" &
	stream=$!
	for n in 1 2 3; do
		for place in 1 host; do
			set_features $place rx off
			on $place "ethtool -K $(card_of $place) rx on rx-gro-hw on"
			link_up 1
		done
	done
	touch "$stop"
	wait $stream
	wait_for 20 features_are $ALL
}
card_of() { if [ "$1" = host ]; then echo "$port"; else echo "$interface"; fi; }

# Tags stay in the frame, and do not get in the way.
large_frames_in_a_vlan() {
	at_exit "ip link del vlan7"
	at_exit "guest 1 ip link del vlan7"
	host ip link add vlan7 link $BRIDGE type vlan id 7
	host ip address add 10.79.0.1/24 dev vlan7
	host ip link set vlan7 up
	on 1 "ip link add vlan7 link $interface type vlan id 7
		ip address add 10.79.0.2/24 dev vlan7
		ip link set vlan7 up"
	wait_for 30 ping -c 1 -W 1 10.79.0.2
	stream g2h 10.79.0.1
	large
	stream h2g 10.79.0.2
	large
}

CALLS=8
# bulk DIRECTION ADDRESS: few frames for many datagrams
bulk() {
	local direction=$1 from=1 to=host family frames number

	[ "$direction" = g2h ] || from=host to=1
	family=$(socat_family "$2")
	number=$((20000 + RANDOM % 10000))
	start_counting
	arrives $from "$(send_in_bulk "$2" $number $CALLS)" $to \
		"$(receive "UDP$family-RECV:$number,null-eof,rcvbuf=16777216")"
	counters host >"$TMPDIR/host.after"
	frames=$(moved host "${direction}_frames")
	note "$direction: $frames frames"
	[ "$frames" -lt $((PER_CALL * CALLS / 2)) ]
}

bulk_datagrams() {
	plain_queues
	udp_room host 1
	bulk g2h $HOST4
	bulk g2h $HOST6
	bulk h2g "$(guest4 1)"
	bulk h2g "$(guest6 1)"
}

# Who reads datagrams from a packet socket sees their checksums as the wire would
# have them, as DHCP clients expect.
packet_sockets_see_checksums() {
	local from to card address seen

	for from in 1 host; do
		to=host card=$port address=$HOST4
		[ $from = 1 ] || to=1 card=$interface address=$(guest4 1)
		seen=$(mktemp)
		on $to "timeout $BOUND tcpdump --immediate-mode -nvv -c 1 -i $card udp port 6768" \
			>"$seen" 2>&1 &
		wait_for 60 grep -q 'listening on' "$seen"
		on $from "echo hello | socat -u - UDP4-SENDTO:$address:6768"
		wait $!
		note "$(cat "$seen")"
		grep -q 'udp sum ok' "$seen"
		rm "$seen"
	done
}

# The frames of one guest are the other's, as they are.
large_frames_from_guest_to_guest() {
	needs_guest 2
	start_counting
	tcp 1 2 "$(guest4 2)" 2M
	tcp 1 2 "$(guest6 2)" 2M
	size=$(average g2h)
	large
}

# Out of the machine, where frames have the MTU and a checksum
forwarded_to_a_plain_card() {
	at_exit "ip link del pvo0; ip netns del pvo"
	host ip netns add pvo
	host ip link add pvo0 type veth peer name pvo1 netns pvo
	host ethtool -K pvo0 tx off tso off gso off
	host ip link set pvo0 master $BRIDGE up
	ip -n pvo address add 10.77.0.99/24 dev pvo1
	ip -n pvo link set pvo1 up
	wait_for 30 ping -c 1 -W 1 10.77.0.99
	tcp 1 ns:pvo 10.77.0.99 2M
	tcp ns:pvo 1 "$(guest4 1)" 2M
}

run_tests all_is_agreed_on \
	large_frames_to_host \
	large_frames_to_guest \
	guest_segments \
	host_segments \
	guest_completes_checksums \
	host_completes_checksums \
	guest_wants_no_large_frames \
	guest_wants_no_checksum_offload \
	host_wants_no_large_frames \
	host_wants_no_checksum_offload \
	all_is_agreed_on_again \
	switched_under_traffic \
	large_frames_in_a_vlan \
	bulk_datagrams \
	packet_sockets_see_checksums \
	large_frames_from_guest_to_guest \
	forwarded_to_a_plain_card
