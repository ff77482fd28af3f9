#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A network of pvethd in bridged mode: guests are neighbours.
#
#   guest 1            guest 2
#     |                  |
#   vm1                vm2
#     '----- green ------'              the network's bridge, with the host's addresses

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"
# shellcheck source=selftests/lib_network.sh
. "$lib_dir/lib_network.sh"

NETWORK=green DOMAIN=lan.example.net
POOL4=10.2.0.0/$LENGTH4 HOST=(10.2.0.1 fd00:2::1)
POOL6=fd00:2::/64
# shellcheck disable=SC2034 # for spoof
HOST_CARD=$NETWORK

# Each has its own addresses, and is told where the network is.
guests_are_told() {
	local name

	needs_guest 2
	[ "$(address4 1)" != "$(address4 2)" ]
	[ "$(address6 1)" != "$(address6 2)" ]
	name=$(guest_if 1)
	guest_mtu_is $MTU
	on 1 "ip route show default dev $name" | grep "via ${HOST[0]} "
	on 1 "ip -6 route show default dev $name" | grep 'via fe80::.* proto ra'
	on 1 "ip -6 route show $POOL6 dev $name" | grep -v via
	on 1 "getent ahosts vm2.$DOMAIN" | grep -w "$(address4 2)"
}

# neighbour FROM TO: who answers for the address of guest TO
neighbour() {
	on "$1" "ping -c 1 -W 5 $(address4 "$2") >/dev/null
		ip neighbour show $(address4 "$2") dev $(guest_if "$1")"
}

guests_are_neighbours() {
	needs_guest 2
	neighbour 1 2 | grep 'lladdr 52:54:00:77:00:02'
	tcp 1 2 "$(address4 2)"
	tcp 2 1 "$(address6 1)"
	ping_sizes host 56,4000 "$(address4 1)" "$(address6 1)" "$(address4 2)"
	tcp 1 host "${HOST[0]}"
	tcp host 1 "$(address6 1)"
}

spoofed_frames_are_dropped() {
	needs_guest 2
	spoof network "$(address4 1)" "$(address6 1)"
	answers "$(address4 2)"
	answers "$(address6 2)"
}

bridge_comes_back() {
	host ip link del $NETWORK
	wait_for 60 answers "$(address4 1)"
	wait_for 60 answers "$(address6 1)"
	host ip link set $NETWORK down
	! answers "$(address4 1)" || fail "the bridge does not stay down"
	host ip link set $NETWORK up
	wait_for 60 answers "$(address4 1)"
	wait_for 60 answers "$(address6 1)"
}

reaches_nobody() {
	local address

	for address in "$(address4 2)" "$(address6 2)"; do
		on 1 "ping -c 3 -i 0.2 -W 1 $address || [ \$? = 1 ]" >"$TMPDIR/pings"
		grep ' 0 received' "$TMPDIR/pings" || fail "$(cat "$TMPDIR/pings")"
	done
}

# They reach the host, and nobody else.
isolated_guests() {
	local n

	needs_guest 2
	at_exit "make_network"
	make_network --isolated
	answers "$(address4 1)"
	answers "$(address6 2)"
	reaches_nobody
	# Through the host neither
	for n in 1 2; do
		on $n "ip route add $(address4 $((3 - n))) via ${HOST[0]}"
	done
	reaches_nobody
	tcp 1 host "${HOST[0]}"
}

# Where pvethd knows no more of the guest than its MAC address
in_a_bridge_of_others() {
	local HOST=("$HOST4" "$HOST6") HOST_CARD=$BRIDGE

	give_up 1
	plug 1 --bridge "$BRIDGE"
	link_up 1
	spoof bridge "$(guest4 1)" "$(guest6 1)"
	link_up 1
}

# make_network [OPTION...]: anew, with all guests in it
make_network() {
	local n

	for n in $(guests); do
		[ ! -d "/sys/class/net/$(port "$n")" ] || give_up "$n"
	done
	pvethctl network del $NETWORK >/dev/null 2>&1 || true
	host pvethctl network add $NETWORK --mode bridged --ipv4 $POOL4 --ipv6 $POOL6 \
		--dns-domain $DOMAIN "$@" >/dev/null
	for n in $(guests); do
		join "$n" $NETWORK
	done
}

at_exit "pvethctl network del $NETWORK >/dev/null"
for n in $(guests); do
	at_exit "leave_network $n"
done
make_network

run_tests guests_are_told \
	guests_are_neighbours \
	spoofed_frames_are_dropped \
	bridge_comes_back \
	isolated_guests \
	in_a_bridge_of_others
