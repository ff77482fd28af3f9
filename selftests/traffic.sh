#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# IP traffic: host and guest, guest and guest, all at once. What arrives is
# compared with what was sent, and the counters with each other.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

# The largest ones that IP can put together again
sizes=56,1472,4000,65507

host_pings_guest() { ping_sizes host $sizes "$(guest4 1)" "$(guest6 1)"; }
guest_pings_host() { ping_sizes 1 $sizes $HOST4 $HOST6; }

# On a link with nothing else to do, each of many is answered.
no_ping_is_lost() {
	local percent

	percent=$(on host "ping -q -c 500 -i 0.002 $(guest4 1)" |
		  sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p')
	note "$percent% lost"
	[ "$percent" = 0 ]
}

tcp_to_guest() {
	tcp host 1 "$(guest4 1)"
	tcp host 1 "$(guest6 1)"
}

tcp_to_host() {
	tcp 1 host $HOST4
	tcp 1 host $HOST6
}

udp_to_guest() {
	plain_queues
	udp_room 1
	udp host 1 "$(guest4 1)" 1472
	udp host 1 "$(guest6 1)" 8000
}

udp_to_host() {
	plain_queues
	udp_room host
	udp 1 host $HOST4 1472
	udp 1 host $HOST6 8000
}

guests_ping_each_other() {
	needs_guest 2
	ping_sizes 1 56,1472,8000 "$(guest4 2)" "$(guest6 2)"
	ping_sizes 2 56,1472,8000 "$(guest4 1)" "$(guest6 1)"
}

guests_talk_tcp() {
	local one other

	needs_guest 2
	tcp 1 2 "$(guest4 2)" &
	one=$!
	tcp 2 1 "$(guest6 1)" &
	other=$!
	wait $one
	wait $other
}

# Who has joined a group gets what is sent to it, in either direction.
multicast_arrives() {
	local from to group=239.77.0.1 n

	for n in "host 1" "1 host"; do
		read -r from to <<<"$n"
		arrives "$from" "echo hello | sha256sum
				echo hello | socat -u - UDP4-SENDTO:$group:7777,shut-null,\
ip-multicast-if=$(address_of "$from")" \
			"$to" "$(receive "UDP4-RECV:7777,reuseaddr,null-eof,\
ip-add-membership=$group:$(address_of "$to")")"
	done
}

address_of() {
	case $1 in
	host) echo $HOST4 ;;
	*) guest4 "$1" ;;
	esac
}

# A frame to another address arrives, since this is a link between two, but the
# guest's IP leaves it alone, be the interface promiscuous or not.
other_addresses_are_not_accepted() {
	local mode other=52:54:00:77:ff:ff address before

	address=$(guest4 1)
	at_exit "ip neighbour del $address dev $BRIDGE"
	at_exit "guest 1 'ip link set $interface promisc off'"
	for mode in off on; do
		in_guest 1 "ip link set $interface promisc $mode"
		host ip neighbour replace "$address" lladdr $other dev $BRIDGE \
			nud permanent
		before=$(host_stat 1 h2g_frames)
		if host ping -c 2 -i 0.1 -W 1 "$address"; then
			fail "an echo request to $other was answered"
		fi
		[ $(($(host_stat 1 h2g_frames) - before)) -ge 2 ]
		host ip neighbour replace "$address" lladdr \
			"$(port_field 1 mac)" dev $BRIDGE nud reachable
		link_up 1
	done
}

# Of one moment for both sides: no frame came between the readings
count_both() {
	counters host >"$TMPDIR/host.$1"
	counters 1 >"$TMPDIR/1.$1"
	counters host >"$TMPDIR/host.again"
	cmp "$TMPDIR/host.$1" "$TMPDIR/host.again"
}

agree() {
	local name

	count_both after || return
	for name in g2h_frames g2h_bytes h2g_frames h2g_bytes; do
		note "$name: host $(moved host $name), guest $(moved 1 $name)"
		[ "$(moved host $name)" = "$(moved 1 $name)" ] || return
	done
	# Headers beside them
	[ "$(moved host g2h_bytes)" -gt $BOTH_WAYS ] &&
		[ "$(moved host h2g_bytes)" -gt $BOTH_WAYS ]
}

# Both sides count the same frames, and none as dropped.
BOTH_WAYS=$((4 << 20))
tcp_both_ways_at_once() {
	local place name to_guest to_host

	wait_for 60 count_both before
	tcp host 1 "$(guest4 1)" $BOTH_WAYS &
	to_guest=$!
	tcp 1 host $HOST6 $BOTH_WAYS &
	to_host=$!
	wait $to_guest
	wait $to_host
	wait_for 60 agree
	for place in host 1; do
		for name in g2h_bad g2h_dropped h2g_dropped tx_errors \
			    tx_dropped rx_errors rx_dropped; do
			[ "$(moved $place $name)" = 0 ] ||
				fail "$place: $name moved"
		done
	done
}

# Whether NAPI has a thread of its own is switched while frames flow both ways.
threaded_under_traffic() {
	local stop=$TMPDIR/stop stream place card before threaded

	on 1 "mkdir -p $TMPDIR"
	at_exit "guest 1 'rm -r $TMPDIR'"
	tcp_until "$stop" 1 host $HOST4 &
	stream=$!
	for place in host 1; do
		card=/sys/class/net/$port/threaded
		[ $place = host ] || card=/sys/class/net/$interface/threaded
		before=$(on $place "cat $card" | tail -1)
		at_exit "on $place 'echo $before >$card'"
		for threaded in 0 1 0 1; do
			on $place "echo $threaded >$card"
			ping_sizes host 56,8000 "$(guest4 1)"
		done
	done
	on 1 "touch $stop"
	wait $stream
}

# Whoever waits for a datagram may poll the card meanwhile, and gets it without an
# interrupt. The answer is delayed, so that the guest has to wait. It is not done the
# other way round: where host and guest share a CPU, the guest answers only after the
# host has stopped polling.
POLLED=50
guest_polls_itself() {
	local number=$((20000 + RANDOM % 10000)) log server

	log=$(mktemp)
	at_exit "tc qdisc del dev $port root"
	host tc qdisc replace dev "$port" root netem delay $((20 * patience))ms
	on host "timeout $BOUND socat -d -d UDP4-LISTEN:$number,null-eof EXEC:cat" 2>"$log" &
	server=$!
	wait_for 60 receiver_is_ready "$log"
	on 1 "python3 - <<-PYTHON
	import socket, struct
	SO_BUSY_POLL, LONGEST_US = 46, 1000000
	def polled():
	    with open('/proc/net/netstat') as file:
	        names, values = [line.split() for line in file][:2]
	    return int(values[names.index('BusyPollRxPackets')])
	udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	udp.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, LONGEST_US)
	udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', $BOUND, 0))
	udp.connect(('$HOST4', $number))
	before = polled()
	for n in range($POLLED):
	    udp.send(b'%d' % n)
	    assert udp.recv(100) == b'%d' % n
	count = polled() - before
	udp.send(b'')
	print(count, 'of $POLLED packets found by polling')
	assert count >= $POLLED / 2
	PYTHON"
	wait $server
}

run_tests host_pings_guest \
	guest_pings_host \
	no_ping_is_lost \
	tcp_to_guest \
	tcp_to_host \
	udp_to_guest \
	udp_to_host \
	guests_ping_each_other \
	guests_talk_tcp \
	multicast_arrives \
	other_addresses_are_not_accepted \
	tcp_both_ways_at_once \
	threaded_under_traffic \
	guest_polls_itself
