#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The port is a network interface like any other: in a bridge, as a router's,
# in a network namespace, under tc, nftables and tcpdump, with VLANs on it.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

mac=$(port_field 1 mac)

# A namespace $ns with one end of a veth pair, eth0, until the test ends. The
# other end is $veth.
new_namespace() {
	ns=pveth-$BASHPID
	veth=pv$BASHPID
	at_exit "ip netns del $ns"
	host ip netns add "$ns"
	host ip link add "$veth" type veth peer name eth0 netns "$ns"
	host ip link set "$veth" up
	host ip -n "$ns" link set lo up
	host ip -n "$ns" link set eth0 up
}

# guest 1 -- vm1 -- br0 -- veth pair -- namespace
bridge_beside_a_veth_pair() {
	new_namespace
	host ip link set "$veth" master "$BRIDGE"
	host ip -n "$ns" address add 10.77.0.100/24 dev eth0
	host ip -n "$ns" address add fd77::100/64 dev eth0 nodad
	ping_sizes "ns:$ns" 56,4000 "$(guest4 1)" "$(guest6 1)"
	ping_sizes 1 56,4000 10.77.0.100 fd77::100
	bridge fdb show dev "$port" | grep -w "$mac"
	tcp 1 "ns:$ns" 10.77.0.100
	tcp "ns:$ns" 1 "$(guest6 1)"
}

# guest 1 -- vm1 -- routes in the host -- veth pair -- namespace
routed_interface() {
	local all=/proc/sys/net/ipv4/ip_forward old

	old=$(cat $all)
	at_exit "echo $old >$all"
	leave_bridge
	new_namespace
	host ip address add 10.79.0.1/24 dev "$veth"
	host ip -n "$ns" address add 10.79.0.2/24 dev eth0
	host ip -n "$ns" route add default via 10.79.0.1
	echo 1 >$all
	at_exit "guest 1 'ip route del 10.79.0.0/24'"
	in_guest 1 "ip route add 10.79.0.0/24 via 10.78.1.1"

	ping_sizes host 56,4000 10.78.1.2 fd78:1::2
	ping_sizes 1 56,4000 10.78.1.1 fd78:1::1 10.79.0.2
	tcp 1 "ns:$ns" 10.79.0.2
	tcp "ns:$ns" 1 10.78.1.2
}

# The port moves, the guest sees the link go and come.
in_a_network_namespace() {
	leave_bridge
	new_namespace
	at_exit "ip -n $ns link set $port netns $$"
	host ip link set "$port" netns "$ns"
	host ip -n "$ns" address add 10.78.1.1/24 dev "$port"
	host ip -n "$ns" address add fd78:1::1/64 dev "$port" nodad
	host ip -n "$ns" link set "$port" up
	wait_for 20 guest_carrier 1 "$interface"
	ping_sizes 1 56,4000 10.78.1.1 fd78:1::1
	tcp "ns:$ns" 1 10.78.1.2
	tcp 1 "ns:$ns" fd78:1::1
	if ping -c 1 -W 1 10.78.1.2; then
		fail "the guest answers the namespace that the port has left"
	fi

	host ip -n "$ns" link set "$port" netns $$
	# pvethd puts it where it belongs
	wait_for 60 test -e "/sys/class/net/$port/master"
	host ip link set "$port" nomaster
	host ip address add 10.78.1.1/24 dev "$port"
	host ip link set "$port" up
	wait_for 20 guest_carrier 1 "$interface"
	ping_sizes 1 56,4000 10.78.1.1
}

# The average time of an answer in milliseconds, rounded down
answer_time() {
	ping -q -c 4 -i 0.1 "$(guest4 1)" >"$TMPDIR/ping"
	sed -n 's,^rtt [^=]*= [^/]*/\([0-9]*\).*,\1,p' "$TMPDIR/ping"
}

tc_delays_what_goes_to_the_guest() {
	local time

	at_exit "tc qdisc del dev $port root"
	answer_time
	host tc qdisc add dev "$port" root netem delay 300ms
	time=$(answer_time)
	note "$time ms"
	[ "$time" -ge 300 ]
	tc -s qdisc show dev "$port"
	host tc qdisc replace dev "$port" root netem loss 100%
	if ping -c 2 -i 0.1 -W 1 "$(guest4 1)"; then
		fail "netem lets frames through"
	fi
	host tc qdisc del dev "$port" root
	link_up 1
}

# dropped_by_tc DIRECTION: number of packets
dropped_by_tc() {
	tc -j -s filter show dev "$port" "$1" |
		jq '[.[].options.actions[]?.stats.drops] | add'
}

tc_drops_what_a_filter_says() {
	at_exit "tc qdisc del dev $port clsact"
	host tc qdisc add dev "$port" clsact
	host tc filter add dev "$port" ingress protocol ip flower \
		ip_proto icmp dst_ip $HOST4 action drop
	host tc filter add dev "$port" egress protocol ipv6 flower \
		ip_proto icmpv6 dst_ip "$(guest6 1)" action drop
	# An IPv4 echo request from the guest, and an IPv6 one to it
	if in_guest 1 "ping -c 3 -i 0.1 -W 1 $HOST4"; then
		fail "what comes from the guest was not dropped"
	fi
	if ping -c 3 -i 0.1 -W 1 "$(guest6 1)"; then
		fail "what goes to the guest was not dropped"
	fi
	tc -s filter show dev "$port" ingress
	[ "$(dropped_by_tc ingress)" = 3 ]
	[ "$(dropped_by_tc egress)" -ge 3 ]
	host tc qdisc del dev "$port" clsact
	link_up 1
}

# The packets that a named counter of nftables has seen
nft_counter() {
	nft -j list counter netdev pveth_test "$1" |
		jq '.nftables[] | select(.counter) | .counter.packets'
}

nftables_counts_and_drops() {
	at_exit "nft delete table netdev pveth_test"
	nft -f - <<-END
		table netdev pveth_test {
			counter echo { }
			counter dropped { }
			chain from_guest {
				type filter hook ingress device "$port" priority 0;
				icmp type echo-request counter name echo
				icmpv6 type echo-request counter name dropped drop
			}
		}
	END
	in_guest 1 "ping -c 7 -i 0.01 $HOST4
		! ping -6 -c 4 -i 0.1 -W 1 $HOST6"
	nft list table netdev pveth_test
	[ "$(nft_counter echo)" = 7 ]
	[ "$(nft_counter dropped)" = 4 ]
}

# In the bridge family, by the name of the port
nftables_filters_in_the_bridge() {
	needs_guest 2
	at_exit "nft delete table bridge pveth_test"
	nft -f - <<-END
		table bridge pveth_test {
			chain forward {
				type filter hook forward priority 0;
				iifname "$port" oifname "$(port 2)" ip protocol icmp drop
			}
		}
	END
	in_guest 1 "ping -c 1 $HOST4; ! ping -c 2 -i 0.1 -W 1 $(guest4 2)"
	nft delete table bridge pveth_test
	ping_sizes 1 56 "$(guest4 2)"
}

# tcpdump on both sides sees both directions of a ping, with its payload.
tcpdump_sees_the_frames() {
	local pattern=70766574682d70696e67 dump place
	local dumps="timeout $BOUND tcpdump -l -n -e -A -s 0 -c 4 -i"

	on host "$dumps $port 'icmp and greater 500'" \
		>"$TMPDIR/host.dump" 2>"$TMPDIR/host.err" &
	on 1 "$dumps $interface 'icmp and greater 500'" \
		>"$TMPDIR/1.dump" 2>"$TMPDIR/1.err" &
	wait_for 30 grep -q 'listening on' "$TMPDIR/host.err"
	wait_for 30 grep -q 'listening on' "$TMPDIR/1.err"
	ping -c 2 -i 0.1 -s 1000 -p $pattern "$(guest4 1)"
	wait
	for place in host 1; do
		dump=$TMPDIR/$place.dump
		cat "$dump"
		[ "$(grep -c "> $mac.*10\.77\.0\.1 > .*echo request" "$dump")" = 2 ]
		[ "$(grep -c "$mac > .*> 10\.77\.0\.1: .*echo reply" "$dump")" = 2 ]
		[ "$(grep -o pveth-ping "$dump" | wc -l)" -ge 380 ]
	done
}

# A VLAN between port and guest, beside the untagged network
vlan_on_both_sides() {
	at_exit "ip link del $port.100"
	at_exit "guest 1 'ip link del $interface.100'"
	host ip link add link "$port" name "$port.100" type vlan id 100
	host ip link set "$port.100" up
	host ip address add 10.80.0.1/24 dev "$port.100"
	in_guest 1 "ip link add link $interface name $interface.100 type vlan id 100
		ip link set $interface.100 up
		ip address add 10.80.0.2/24 dev $interface.100"
	wait_for 20 ping -c 1 -W 1 10.80.0.2
	# Full size within the tag
	on host "ping -c 2 -i 0.1 -M do -s 1472 10.80.0.2"
	on 1 "ping -c 2 -i 0.1 -M do -s 1472 10.80.0.1"
	tcp host 1 10.80.0.2
	tcp 1 host 10.80.0.1
	link_up 1
}

run_tests bridge_beside_a_veth_pair \
	routed_interface \
	in_a_network_namespace \
	tc_delays_what_goes_to_the_guest \
	tc_drops_what_a_filter_says \
	nftables_counts_and_drops \
	nftables_filters_in_the_bridge \
	tcpdump_sees_the_frames \
	vlan_on_both_sides
