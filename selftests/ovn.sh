#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ports of pveth in a network of OVN, as Documentation/ovn.rst has it, on two host VMs that
# the rig wired up. The script runs on both, at the same time; the first one has OVN's
# databases as well, by which the two meet.
#
#   guest 1 of host 1               guest 1 of host 2
#     |                               |
#   vm1                             vm1            ports of pveth, in no network of pvethd
#     |                               |
#   br-int ====== Geneve ======== br-int           10.8.0.0/24, fd00:8::/64
#            10.79.0.1 to .2                       the rig's interface "wire"

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

WIRE=wire
if [ ! -e /sys/class/net/$WIRE ]; then
	echo "1..0 # SKIP no second host: scripts/rig run --wire, or make check-ovn"
	exit "$KSFT_SKIP"
fi

# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"
# shellcheck source=selftests/lib_network.sh
. "$lib_dir/lib_network.sh"

wire4() { echo "10.79.0.$1"; }
me=1
ip -brief address show dev $WIRE | grep -qw "$(wire4 1)/24" || me=2
other=$((3 - me))

DOMAIN=lan.example.net
POOL4=10.8.0.0/$LENGTH4 ROUTER4=10.8.0.1 ROUTER_MAC=52:54:00:79:08:01
POOL6=fd00:8::/64 ROUTER6=fd00:8::1
# Of the link, without what a Geneve tunnel over IPv4 takes, OVN's option included
MTU=1442
OVS=/usr/share/openvswitch/scripts/ovs-ctl
OVN=/usr/share/ovn/scripts/ovn-ctl
NORTHBOUND_PORT=6641 SOUTHBOUND_PORT=6642
NORTHBOUND=tcp:$(wire4 1):$NORTHBOUND_PORT SOUTHBOUND=tcp:$(wire4 1):$SOUTHBOUND_PORT

# What guests serve: sums of what comes, a file of what datagrams said, and that file
SUMS=7001 LISTENS=7002 HEARD=7003

# A guest by its host's number
mac() { echo "52:54:00:79:00:0$1"; }
overlay4() { echo "10.8.0.1$1"; }
overlay6() { echo "fd00:8::1$1"; }
name() { echo "guest$1.$DOMAIN"; }
# Of our guest, for wait_for_addresses
address4() { overlay4 $me; }
address6() { overlay6 $me; }

# Until both hosts are at the same point
nbctl() { timeout 300 ovn-nbctl --db="$NORTHBOUND" "$@"; }
meet() {
	host nbctl set NB_Global . "external_ids:$1-$me=there"
	nbctl wait-until NB_Global . "external_ids:$1-$other=there"
}

start_switch() {
	at_exit "$OVS stop"
	host $OVS --system-id="host$me" start
	if [ $me = 1 ]; then
		at_exit "$OVN stop_northd"
		host $OVN start_northd
		host ovn-nbctl set-connection "ptcp:$NORTHBOUND_PORT:$(wire4 1)"
		host ovn-sbctl set-connection "ptcp:$SOUTHBOUND_PORT:$(wire4 1)"
	fi
	host ovs-vsctl set open_vswitch . external_ids:ovn-remote="$SOUTHBOUND" \
		external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip="$(wire4 $me)"
	at_exit "$OVN stop_controller"
	host $OVN start_controller
	wait_for 60 ovs-vsctl br-exists br-int
	wait_for 120 nbctl show
}

# map KEY=VALUE...: in the words of the database
map() {
	local pair pairs=

	for pair; do
		pairs+=",\"${pair%%=*}\"=\"${pair#*=}\""
	done
	echo "{${pairs#,}}"
}

# One switch with a router, and two ports with what is told to those behind them
make_logical_network() {
	local n dhcp4 dhcp6 records=()

	nbctl ls-add lan -- lr-add router \
		-- lrp-add router router-lan $ROUTER_MAC $ROUTER4/$LENGTH4 $ROUTER6/64 \
		-- set logical_router_port router-lan ipv6_ra_configs:address_mode=dhcpv6_stateful \
			ipv6_ra_configs:send_periodic=true ipv6_ra_configs:mtu=$MTU \
		-- lsp-add lan lan-router -- lsp-set-type lan-router router \
		-- lsp-set-addresses lan-router router \
		-- lsp-set-options lan-router router-port=router-lan
	dhcp4=$(nbctl create dhcp_options cidr=$POOL4 options="$(map server_id=$ROUTER4 \
		server_mac=$ROUTER_MAC router=$ROUTER4 dns_server=$ROUTER4 mtu=$MTU \
		lease_time=3600 domain_name="\\\"$DOMAIN\\\"")")
	dhcp6=$(nbctl create dhcp_options cidr="\"$POOL6\"" options="$(map \
		server_id=$ROUTER_MAC dns_server=$ROUTER6 domain_search="\\\"$DOMAIN\\\"")")
	for n in 1 2; do
		nbctl lsp-add lan "guest$n" \
			-- lsp-set-addresses "guest$n" "$(mac $n) $(overlay4 $n) $(overlay6 $n)" \
			-- lsp-set-port-security "guest$n" "$(mac $n) $(overlay4 $n) $(overlay6 $n)" \
			-- lsp-set-dhcpv4-options "guest$n" "$dhcp4" \
			-- lsp-set-dhcpv6-options "guest$n" "$dhcp6"
		records+=("$(name $n)=$(overlay4 $n) $(overlay6 $n)"
			"1$n.0.8.10.in-addr.arpa=$(name $n)")
	done
	nbctl set logical_switch lan \
		dns_records="$(nbctl create dns records="$(map "${records[@]}")")"
}

# In our guest, until it is gone
serve() {
	local pids

	pids=$(on 1 "{
		socat TCP6-LISTEN:$SUMS,ipv6only=0,fork,reuseaddr SYSTEM:sha256sum &
		socat -u UDP6-RECV:$LISTENS,ipv6only=0 CREATE:$TMPDIR-heard &
		socat TCP6-LISTEN:$HEARD,ipv6only=0,fork,reuseaddr \
			SYSTEM:'cat $TMPDIR-heard; ip neighbour' &
	} >/dev/null 2>&1
	jobs -p" | xargs)
	at_exit "on 1 'kill $pids; rm -f $TMPDIR-heard'"
}

is_up() { [ "$(nbctl get logical_switch_port "guest$me" up)" = true ]; }

has_card() { [ "$(guest_if 1)" = "$interface" ]; }

add_card() {
	host pvethctl add "$port" --mac "$(mac $me)" --mtu $MTU --allow all >/dev/null
	host ip link set "$port" up
	host guest --plug 1
	wait_for 60 has_card
	on 1 "ip link set $interface up"
	wait_for 60 port_is 1 connected
}

guest_is_told() {
	wait_for 60 is_up
	start_client 1
	guest_mtu_is $MTU
	on 1 "ip route show default dev $interface" | grep "via $ROUTER4 "
	on 1 "ip -6 route show default dev $interface" | grep 'via fe80::.* proto ra'
	ping_sizes 1 56 $ROUTER4 $ROUTER6
}

names_resolve() {
	on 1 "getent ahosts $(name $other)" >"$TMPDIR/hosts"
	grep -w "$(overlay4 $other)" "$TMPDIR/hosts"
	grep -w "$(overlay6 $other)" "$TMPDIR/hosts"
	on 1 "getent hosts $(overlay4 $other)" | grep -w "$(name $other)"
}

other_answers() { on 1 "ping -c 1 -W 1 $(overlay4 $other) && ping -c 1 -W 1 $(overlay6 $other)"; }

tunnelled() { cat /sys/class/net/genev_sys_6081/statistics/tx_bytes; }

# sums MEGABYTES: of a file of such a size, sent by our guest, both ways
sums() {
	local address

	for address in "$(overlay4 $other)" "$(overlay6 $other)"; do
		on 1 "$(random_file "$1M")
			sum=\$(sha256sum <\$file)
			[ \"\$sum\" = \"\$(timeout $BOUND socat -t $BOUND - \
				TCP$(socat_family "$address"):$(socat_address "$address" $SUMS) <\$file)\" ]"
	done
}

guests_talk_through_the_tunnel() {
	local before

	wait_for 120 other_answers
	ping_sizes 1 56,$((MTU - 48)),4000 "$(overlay4 $other)" "$(overlay6 $other)"
	before=$(tunnelled)
	sums 2
	[ $(($(tunnelled) - before)) -gt $((2 * 2 << 20)) ] || fail "not through the tunnel"
}

other_heard() {
	on 1 "socat -u TCP4:$(overlay4 $other):$HEARD -" >"$TMPDIR/heard"
	grep -x "$1" "$TMPDIR/heard"
}

# Datagrams and questions from nobody's addresses, then from its own
send_spoofed() {
	on 1 "python3 - <<-PYTHON
		from scapy.all import ARP, Ether, IP, IPv6, Raw, UDP, sendp
		own, peer, nobody = '$(mac $me)', '$(mac $other)', '$(mac 9)'
		def datagram(kind, ip, source):
		    return (Ether(src=source, dst=peer) / ip /
		            UDP(sport=$LISTENS, dport=$LISTENS) / Raw(kind + '\\\\n'))
		peer4, peer6 = '$(overlay4 $other)', '$(overlay6 $other)'
		sendp([
		    datagram('MAC', IP(src='$(overlay4 $me)', dst=peer4), nobody),
		    datagram('IPv4', IP(src='$(overlay4 9)', dst=peer4), own),
		    datagram('IPv6', IPv6(src='$(overlay6 9)', dst=peer6), own),
		    Ether(src=own, dst=peer) /
		        ARP(op=1, hwsrc=own, psrc='$(overlay4 9)', pdst=peer4),
		    datagram('own IPv6', IPv6(src='$(overlay6 $me)', dst=peer6), own),
		    datagram('own IPv4', IP(src='$(overlay4 $me)', dst=peer4), own),
		], iface='$interface', verbose=False)
	PYTHON"
}

spoofed_frames_are_dropped() {
	send_spoofed
	wait_for 60 other_heard "own IPv4"
	other_heard "own IPv6"
	! grep -x 'MAC\|IPv[46]' "$TMPDIR/heard" || fail "the other guest heard it"
	! grep "^$(overlay4 9) " "$TMPDIR/heard" || fail "the other guest believes it"
}

# Nothing goes through pvethd.
pvethd_need_not_be_there() {
	kill_pvethd
	sums 1
	restore_pvethd
	sums 1
}

# The switch knows a port by its name, and takes it up again.
port_is_made_anew() {
	meet anew
	unplug 1
	add_card
	kill_client 1
	start_client 1
	wait_for 60 other_answers
}

end() {
	unplug 1 >/dev/null
	plug 1 --bridge "$BRIDGE"
	link_up 1
}

start_switch
[ $me = 2 ] || make_logical_network
at_exit end
unplug 1 >/dev/null
add_card
host ovs-vsctl add-port br-int "$port" \
	-- set interface "$port" external_ids:iface-id="guest$me"
serve
at_exit "meet end"

run_tests guest_is_told \
	names_resolve \
	guests_talk_through_the_tunnel \
	spoofed_frames_are_dropped \
	pvethd_need_not_be_there \
	port_is_made_anew
