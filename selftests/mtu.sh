#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The MTU: the port's is the guest's, unless the guest wants a smaller one.
#
# The port is out of the bridge, which would take its MTU over.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

HERE4=10.78.1.1 HERE6=fd78:1::1
GUEST4=10.78.1.2 GUEST6=fd78:1::2

# Takes effect at once and needs no new session
set_mtu() { host ip link set "$port" mtu "$1"; }
follows() { wait_for 20 guest_mtu_is "$1"; }

at_1500_again() {
	at_exit "follows 1500"
	at_exit "ip link set $port mtu 1500"
}

# The largest packets go through, larger ones not even out.
# largest_packets MTU
largest_packets() {
	local place address answer

	for place in host 1; do
		address=$GUEST4
		[ $place = host ] || address=$HERE4
		on $place "ping -c 2 -i 0.1 -W $((10 * patience)) -M do -s $(($1 - 28)) $address"
		if answer=$(on $place "ping -c 1 -W 1 -M do -s $(($1 - 27)) \
			    $address 2>&1"); then
			fail "a packet of $(($1 + 1)) octets went through"
		fi
		note "$answer"
		grep -qi 'message too long' <<<"$answer"
	done
}

guest_follows_the_host() {
	local mtu sessions

	at_1500_again
	sessions=$(port_field 1 sessions)
	for mtu in 9000 1501 68 1280 1500; do
		set_mtu $mtu
		follows $mtu
	done
	[ "$(port_field 1 sessions)" = "$sessions" ]
}

packets_of_1500() { largest_packets 1500; }

packets_of_68() {
	at_1500_again
	set_mtu 68
	follows 68
	largest_packets 68
}

packets_of_9000() {
	at_1500_again
	set_mtu 9000
	follows 9000
	largest_packets 9000
}

# The largest MTU there is: IPv4 packets of 65521 octets
packets_of_65521() {
	at_1500_again
	set_mtu 65521
	follows 65521
	largest_packets 65521
	plain_queues
	frames 1 "$interface 65535" host "$port 65535"
	frames host "$port 65535" 1 "$interface 65535"
	tcp host 1 $GUEST4 1M
	tcp 1 host $HERE4 1M
}

jumbo_payload() {
	at_1500_again
	ip address replace $HERE6/64 dev "$port" nodad
	in_guest 1 "ip address replace $GUEST6/64 dev $interface nodad"
	set_mtu 9000
	follows 9000
	plain_queues
	udp_room host 1
	tcp host 1 $GUEST4
	tcp 1 host $HERE6
	udp host 1 $GUEST6 8900
	udp 1 host $HERE4 8900
}

not_below_68_or_above_65521() {
	local mtu

	for mtu in 67 65522; do
		if host ip link set "$port" mtu $mtu 2>"$TMPDIR/err"; then
			ip link set "$port" mtu 1500
			fail "the port has an MTU of $mtu"
		fi
		cat "$TMPDIR/err"
		grep -q 'mtu .*than device m' "$TMPDIR/err"
	done
	if in_guest 1 "ip link set $interface mtu 67" 2>"$TMPDIR/err"; then
		in_guest 1 "ip link set $interface mtu 1500"
		fail "the guest has an MTU of 67"
	fi
	grep -q 'mtu less than device minimum' "$TMPDIR/err"
}

guest_has_no_more_than_the_host() {
	local max

	for max in 9000 1500; do
		at_1500_again
		set_mtu $max
		follows $max
		[ "$(in_guest 1 "ip -d -j link show $interface" |
		     jq '.[].max_mtu')" = $max ]
		if in_guest 1 "ip link set $interface mtu $((max + 1))" \
		   2>"$TMPDIR/err"; then
			fail "the guest has more than $max"
		fi
		grep -q 'mtu greater than device maximum' "$TMPDIR/err"
	done
}

# A guest that chose a smaller MTU keeps it while it may, and follows again once
# it had to take the host's.
guest_keeps_a_smaller_one() {
	at_1500_again
	in_guest 1 "ip link set $interface mtu 1400"
	wait_for 20 port_has 1 guest_mtu 1400
	set_mtu 9000
	# Known to the guest, which is when it would follow
	wait_for 20 guest_max_is 9000
	guest_mtu_is 1400
	ping_sizes 1 56,1372,3000 $HERE4
	set_mtu 1300
	follows 1300
	set_mtu 1500
	follows 1500
}

guest_max_is() {
	[ "$(guest 1 "ip -d -j link show $interface" | jq '.[].max_mtu')" = "$1" ]
}

# Streams that run at 9000 go on at 1400, and the other way round.
host_changes_it_under_traffic() {
	local to_guest to_host

	at_1500_again
	set_mtu 9000
	follows 9000
	tcp_until "$TMPDIR/stop" host 1 $GUEST4 &
	to_guest=$!
	tcp_until /tmp/stop 1 host $HERE4 &
	to_host=$!
	at_exit "guest 1 'rm -f /tmp/stop'"
	streams_move
	set_mtu 1400
	follows 1400
	streams_move
	set_mtu 9000
	follows 9000
	streams_move
	touch "$TMPDIR/stop"
	in_guest 1 "touch /tmp/stop"
	wait $to_guest
	wait $to_host
}

# Both streams, by half a megabyte each
streams_move() {
	local direction before

	for direction in tx rx; do
		before=$(port_bytes $direction)
		wait_for 30 port_bytes_above $direction $((before + 500000))
	done
}
port_bytes() { cat "/sys/class/net/$port/statistics/$1_bytes"; }
port_bytes_above() { [ "$(port_bytes "$1")" -gt "$2" ]; }

leave_bridge

run_tests guest_follows_the_host \
	packets_of_1500 \
	packets_of_68 \
	packets_of_9000 \
	packets_of_65521 \
	jumbo_payload \
	not_below_68_or_above_65521 \
	guest_has_no_more_than_the_host \
	guest_keeps_a_smaller_one \
	host_changes_it_under_traffic
