#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A network of pvethd: guests have addresses out of a pool, by DHCP, names, and are
# reached through the host.
#
#   guest 1            guest 2
#     |                  |
#   vm1                vm2              each with the host's addresses, $HOST
#     '----- host ------'
#              |
#             veth --- outside          a network namespace, with the DNS of $SITE

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"
# shellcheck source=selftests/lib_network.sh
. "$lib_dir/lib_network.sh"

NETWORK=blue
POOL4=10.1.0.0/$LENGTH4 HOST=(10.1.0.1 fd00:1::1)
POOL6=fd00:1::/64
# shellcheck disable=SC2034 # for spoof
HOST_CARD=$port
# Another one, which nobody outside has a route to
HIDDEN=green HIDDEN_HOST=10.2.0.1
DOMAIN=cloud.example.net
SEEN_PORT=7001
SITE=www.example.org OUTSIDE_NS=pveth-outside OUTSIDE_LINK=pvoutside
OUTSIDE=(10.79.0.2 fd79::2) ROUTER=(10.79.0.1 fd79::1)

join_network() { join "$1" $NETWORK "${@:2}"; }

join_again() {
	[ ! -d "/sys/class/net/$(port "$1")" ] || give_up "$1"
	join_network "$1"
}

each_has_its_own() {
	needs_guest 2
	[ "$(address4 1)" != "$(address4 2)" ]
	[ "$(address6 1)" != "$(address6 2)" ]
	pvethctl network show $NETWORK | grep "port vm1 .*$(address4 1)  $(address6 1)"
}

host_and_guest() {
	ping_sizes host 56,4000 "$(address4 1)" "$(address6 1)"
	ping_sizes 1 56,4000 "${HOST[@]}"
	tcp host 1 "$(address4 1)"
	tcp host 1 "$(address6 1)"
	tcp 1 host "${HOST[0]}"
	tcp 1 host "${HOST[1]}"
}

# The host answers for those whom a guest takes for neighbours.
guests_through_the_host() {
	local mac name

	needs_guest 2
	tcp 1 2 "$(address4 2)"
	tcp 2 1 "$(address6 1)"
	mac=$(cat "/sys/class/net/$port/address")
	name=$(guest_if 1)
	in_guest 1 "ip neighbour show $(address4 2) dev $name" | grep "lladdr $mac"
	# There is no other way.
	at_exit "ip link set $(port 2) up; wait_for_addresses 2 60"
	host ip link set "$(port 2)" down
	! on 1 "ping -c 1 -W 2 $(address4 2)" || fail "there is another way"
	wait_for 60 has_no_address 2
}

routes_come_back() {
	host ip link set "$port" down
	[ -z "$(ip route show "$(address4 1)")" ]
	ip route get "$(address4 1)" && fail "it is looked for elsewhere"
	# Its client would do so in the midst of what comes next.
	wait_for 60 has_no_address 1
	host ip link set "$port" up
	wait_for_addresses 1 60
	wait_for 60 answers "$(address4 1)"
	wait_for 60 answers "$(address6 1)"
	tcp 1 host "${HOST[0]}"
}

addresses_of_all() { pvethctl show --json | jq -c '.[] | [.name, .mac, .ipv4, .ipv6]' | sort; }

pvethd_may_go() {
	local before addresses

	addresses=("$(address4 1)" "$(address6 1)")
	before=$(addresses_of_all)
	kill_pvethd
	ping_sizes host 56 "${addresses[@]}"
	restore_pvethd
	[ "$(addresses_of_all)" = "$before" ]
	ping_sizes host 56 "${addresses[@]}"
}

# resolves PLACE NAME ADDRESS...: it has these, and no others
resolves() {
	local place=$1 name=$2

	shift 2
	on "$place" "getent ahosts $name" | awk '{ print $1 }' | sort -u >"$TMPDIR/found"
	printf '%s\n' "$@" | sort | diff - "$TMPDIR/found"
}

# asks SERVER QUESTION ANSWER: as from the host, whose own resolver is another one
asks() {
	host busybox nslookup "$2" "$1" >"$TMPDIR/answer" || { cat "$TMPDIR/answer"; return 1; }
	grep "$3" "$TMPDIR/answer"
}

guests_are_told() {
	local name

	name=$(guest_if 1)
	guest_mtu_is $MTU
	on 1 "ip route show default dev $name" | grep "via ${HOST[0]} "
	on 1 "ip -6 route show default dev $name" | grep 'via fe80::.* proto ra'
	# The other guests of the network are not on this link.
	! on 1 "ip -6 route show $POOL6 dev $name" | grep -v via | grep . ||
		fail "they are taken for neighbours"
	on 1 "cat /etc/resolv.conf" >"$TMPDIR/resolv.conf"
	grep -w "${HOST[0]}" "$TMPDIR/resolv.conf"
	grep "$DOMAIN" "$TMPDIR/resolv.conf" || fail "$(cat "$TMPDIR/resolv.conf")"
}

# Others than dhcpcd are as content. What they do not do is tell the resolver.
clients_of_other_kinds() {
	local name

	name=$(guest_if 1)
	kill_client 1
	at_exit "join_again 1"

	on 1 "ip address flush dev $name scope global"
	# shellcheck disable=SC2016 # the guest's
	guest 1 'cat >/run/udhcpc; chmod +x /run/udhcpc' <<-'END'
		#!/bin/sh
		[ "$1" != bound ] || echo "$ip $mask $router $dns $domain $mtu"
	END
	on 1 "busybox udhcpc -q -n -t 20 -O mtu -i $name -s /run/udhcpc" | tee "$TMPDIR/told"
	grep -qx "$(address4 1) $LENGTH4 ${HOST[0]} ${HOST[0]} $DOMAIN $MTU" "$TMPDIR/told"

	# dnsmasq would keep the IPv6 address for the client that has it.
	give_up 1
	plug 1 --network $NETWORK --mtu $MTU
	name=$(guest_if 1)
	guest 1 "mkdir -p /run/systemd/network; cat >/run/systemd/network/pveth.network" <<-END
		[Match]
		Name=$name
		[Network]
		DHCP=yes
	END
	at_exit "on 1 'pkill systemd-network'"
	on 1 "setsid /lib/systemd/systemd-networkd >/run/networkd.log 2>&1 &"
	(wait_for_addresses 1) || fail "$(on 1 'cat /run/networkd.log')"
	on 1 "ip route show default dev $name" | grep "via ${HOST[0]} "
	on 1 "ip -6 route show default dev $name" | grep 'via fe80::'
	on 1 "cat /run/systemd/netif/leases/*" | grep -x "DNS=${HOST[0]}"
	answers "$(address4 1)"
	answers "$(address6 1)"
}

names_resolve() {
	local server

	resolves 1 "vm1.$DOMAIN" "$(address4 1)" "$(address6 1)"
	[ "$(on 1 "getent hosts $(address4 1)" | awk '{ print $2 }')" = "vm1.$DOMAIN" ]
	[ "$(on 1 "getent hosts $(address6 1)" | awk '{ print $2 }')" = "vm1.$DOMAIN" ]
	for server in "${HOST[@]}"; do
		asks "$server" "vm1.$DOMAIN" "$(address4 1)"
		asks "$server" "vm1.$DOMAIN" "$(address6 1)"
		asks "$server" "$(address6 1)" "vm1.$DOMAIN"
	done
	! on 1 "getent hosts vm9.$DOMAIN" || fail "there is no vm9"
	# What is not ours is for the host's resolver to know.
	resolves 1 $SITE "${OUTSIDE[@]}"
}

guests_by_name() {
	needs_guest 2
	resolves 1 "vm2.$DOMAIN" "$(address4 2)" "$(address6 2)"
	on 1 "ping -4 -c 1 -W 5 vm2.$DOMAIN && ping -6 -c 1 -W 5 vm2.$DOMAIN"
}

# Whoever has an address of a port that is gone is given it, though it was leased.
address_has_another_guest() {
	local addresses

	needs_guest 2
	addresses=("$(address4 1)" "$(address6 1)")
	at_exit "join_again 1; join_again 2"
	give_up 1
	give_up 2
	join_network 2 --ipv4 "${addresses[0]}" --ipv6 "${addresses[1]}"
	[ "$(address4 2)" = "${addresses[0]}" ]
	resolves 2 "vm2.$DOMAIN" "${addresses[@]}"
}

dnsmasq_pids() { cat /run/pveth/dnsmasq/{dhcp,dns}.pid; }

# Guests go on being told when there is no pvethd, and it goes on with who tells them.
pvethd_need_not_be_there() {
	local before addresses

	before=$(dnsmasq_pids)
	addresses=("$(address4 1)" "$(address6 1)")
	kill_pvethd
	on 1 "dhcpcd --quiet --rebind $(guest_if 1)"
	resolves 1 "vm1.$DOMAIN" "${addresses[@]}"
	restore_pvethd
	[ "$(dnsmasq_pids)" = "$before" ]
	wait_for_addresses 1 60
}

dns_answers() { asks "${HOST[0]}" "vm1.$DOMAIN" "$(address4 1)"; }

serves_dhcp() { ss -Hlun "sport = :67" | grep .; }

# Somebody kills them.
dnsmasq_comes_back() {
	# shellcheck disable=SC2046
	host kill -KILL $(dnsmasq_pids)
	wait_for 60 dns_answers
	wait_for 60 serves_dhcp
	kill_client 1
	start_client 1
}

to_the_outside_and_back() {
	local ns=$OUTSIDE_NS

	ping_sizes 1 56,4000 "${OUTSIDE[@]}"
	tcp 1 ns:$ns "${OUTSIDE[0]}"
	tcp 1 ns:$ns "${OUTSIDE[1]}"
	tcp ns:$ns 1 "$(address4 1)"
	tcp ns:$ns 1 "$(address6 1)"
}

# seen_as ADDRESS: whose address has guest 1, where it connects to?
seen_as() {
	on 1 "socat -u -T 30 TCP$(socat_family "$1"):$(socat_address "$1" $SEEN_PORT) -"
}

serve_outside() {
	local family

	for family in 4 6,ipv6only=1; do
		ip netns exec $OUTSIDE_NS socat \
			"TCP${family%,*}-LISTEN:$SEEN_PORT,reuseaddr,fork${family#[46]}" \
			"SYSTEM:echo \$SOCAT_PEERADDR" &
		at_exit "kill $!"
	done
	wait_for 30 serves_outside
}

serves_outside() {
	[ "$(ip netns exec $OUTSIDE_NS ss -Hltn "sport = :$SEEN_PORT" | wc -l)" = 2 ]
}

fetches() {
	ip netns exec $OUTSIDE_NS curl -sS --max-time 30 "http://$1/page" | grep -x "$2"
}

# answers_by_udp ADDRESS: guest 1 does, on the published port there
answers_by_udp() {
	echo | ip netns exec $OUTSIDE_NS timeout 10 socat -t 5 - \
		"UDP$(socat_family "$1"):$(socat_address "$1" 8080),readbytes=20" |
		grep -x 'datagram of guest 1'
}

hidden_and_published() {
	serve_outside
	[ "$(seen_as "${OUTSIDE[0]}")" = "$(address4 1)" ]
	at_exit "join_again 1; pvethctl network del $HIDDEN"
	host pvethctl network add $HIDDEN --ipv4 ${HIDDEN_HOST%.*}.0/24 --ipv6 fd00:2::/64 \
		--uplink $OUTSIDE_LINK --nat --nat66 >/dev/null
	give_up 1
	join 1 $HIDDEN --publish 8080:80/tcp --publish 8080:81/udp
	[ "$(seen_as "${OUTSIDE[0]}")" = "${ROUTER[0]}" ]
	seen_as "${OUTSIDE[1]}" >"$TMPDIR/seen"
	grep -qiE "^\[?(fd79:0*:0*:0*:0*:0*:0*:0*1|${ROUTER[1]})\]?$" "$TMPDIR/seen" ||
		fail "seen as $(cat "$TMPDIR/seen")"
	on 1 "mkdir -p /run/www
		echo page of guest 1 >/run/www/page
		busybox httpd -p '[::]:80' -h /run/www"
	at_exit "on 1 'pkill -f \"busybox httpd\"'"
	fetches "${ROUTER[0]}:8080" 'page of guest 1'
	fetches "[${ROUTER[1]}]:8080" 'page of guest 1'
	on 1 "socat UDP6-RECVFROM:81,fork SYSTEM:'echo datagram of guest 1' >/dev/null 2>&1 &"
	at_exit "on 1 'pkill -f UDP6-RECVFROM:81'"
	wait_for 30 answers_by_udp "${ROUTER[0]}"
	wait_for 30 answers_by_udp "${ROUTER[1]}"
	# The network's DNS is for its guests.
	asks $HIDDEN_HOST vm1 "$(address4 1)"
	! ip netns exec $OUTSIDE_NS timeout 10 busybox nslookup vm1 $HIDDEN_HOST ||
		fail "whoever is outside can ask"
}

# A guest that says it is a router is not believed.
guest_is_no_router() {
	[ "$(cat "/proc/sys/net/ipv6/conf/$port/accept_ra")" = 0 ]
	[ "$(cat "/proc/sys/net/ipv6/conf/$port/accept_redirects")" = 0 ]
	[ "$(cat "/proc/sys/net/ipv4/conf/$port/accept_redirects")" = 0 ]
	[ "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" = 1 ]
	# Interfaces, that is: "all" and "default" are left alone.
	! grep -lx 1 /proc/sys/net/ipv6/conf/*/accept_ra | grep -v '/conf/\(all\|default\)/'
}

honest_frames_pass() {
	filtered_out 1 >"$TMPDIR/before"
	host_and_guest
	# Neighbours are found anew, and addresses are not duplicates.
	on 1 "ip neighbour flush dev $(guest_if 1)"
	on 1 "ip address replace $(address6 1)/128 dev $(guest_if 1)"
	host ip neighbour flush dev "$port"
	host_and_guest
	filtered_out 1 | diff "$TMPDIR/before" -
}

spoofed_frames_are_dropped() {
	spoof network "$(address4 1)" "$(address6 1)"
	host_and_guest
}

filter_is_there() {
	nft list chain netdev pveth "port/$port" | grep "goto guest/$port" &&
		nft list chain netdev pveth "guest/$port" | grep "goto drop/ipv6"
}

# As firewalls do it when they are loaded again
filter_outlives_a_flush() {
	host nft flush ruleset
	wait_for 30 filter_is_there
	spoof network "$(address4 1)" "$(address6 1)"
	host_and_guest
}

port_is_deleted() {
	local address4 address6

	address4=$(address4 1) address6=$(address6 1)
	at_exit "join_again 1"
	give_up 1
	! nft list chain netdev pveth "port/$port" || fail "its filter is still there"
	! nft list table netdev pveth | grep "\"$port\"" || fail "its counters are still there"
	[ -z "$(ip route show "$address4"; ip -6 route show "$address6")" ]
	[ "$(pvethctl network show $NETWORK --json | jq '.ports | length')" = $(($(guests | wc -l) - 1)) ]
}

FLOOD=4000

# As much as can be, but no longer than three seconds, to where nobody listens
flood() {
	cat <<-END
		python3 - <<-PYTHON
		import select, socket, time
		udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		udp.setblocking(False)
		end = time.monotonic() + 3
		for _ in range($FLOOD):
		    if not select.select([], [udp], [], max(0, end - time.monotonic()))[1]:
		        break
		    udp.sendto(bytes($DATAGRAM), ("$1", 9))
		PYTHON
	END
}

# How many datagrams nobody listened to
unheard() { on "$1" "cat /proc/net/snmp" | awk '$1 == "Udp:" && $3 ~ /[0-9]/ { print $3 }'; }

# limited FROM TO ADDRESS BITS: what arrives is no more than the rate in the time that it
# took, the burst, and what was under way
limited() {
	local before arrived start=$EPOCHREALTIME

	before=$(unheard "$2")
	on "$1" "$(flood "$3")"
	arrived=$((($(unheard "$2") - before) * DATAGRAM))
	note "$arrived bytes arrived"
	[ $arrived -gt 0 ] || fail "nothing arrived"
	awk -v arrived=$arrived -v start="$start" -v now="$EPOCHREALTIME" -v bits="$4" \
		'BEGIN { exit !(arrived <= (now - start) * bits / 8 + 150000) }'
}

rates_are_limited() {
	local address

	give_up 1
	at_exit "join_again 1"
	join_network 1 --rate-in 128kbit --rate-out 256kbit
	address=$(address4 1)
	limited host 1 "$address" 128000
	limited 1 host "${HOST[0]}" 256000
	pvethctl show "$port" --json | jq '.stats | {rate_in_dropped, rate_out_dropped}' |
		tee "$TMPDIR/dropped"
	jq -e '.rate_in_dropped > 0 and .rate_out_dropped > 0' "$TMPDIR/dropped"
	# Until the queue is empty
	wait_for 60 answers "$address"
	give_up 1
	join_network 1 --rate-in 20mbit --rate-out 20mbit
	tcp host 1 "$(address4 1)"
	tcp 1 host "${HOST[0]}"
	! limited 1 host "${HOST[0]}" 128000 || fail "what is faster is not noticed"
}

make_outside() {
	local ns=$OUTSIDE_NS veth=$OUTSIDE_LINK

	at_exit "ip netns del $ns"
	host ip netns add $ns
	host ip link add $veth type veth peer name eth0 netns $ns
	host ip address add "${ROUTER[0]}/24" dev $veth
	host ip address add "${ROUTER[1]}/64" dev $veth nodad
	host ip link set $veth up
	host ip -n $ns link set lo up
	host ip -n $ns link set eth0 up
	host ip -n $ns address add "${OUTSIDE[0]}/24" dev eth0
	host ip -n $ns address add "${OUTSIDE[1]}/64" dev eth0 nodad
	host ip -n $ns route add default via "${ROUTER[0]}"
	host ip -n $ns route add default via "${ROUTER[1]}"
	host ip netns exec $ns dnsmasq --conf-file=/dev/null --no-resolv --no-hosts \
		--pid-file="$TMPDIR/outside.pid" --address="/$SITE/${OUTSIDE[0]}" \
		--address="/$SITE/${OUTSIDE[1]}"
	at_exit "kill \$(cat $TMPDIR/outside.pid)"
	# Before networks are made, which look at it
	cp /etc/resolv.conf "$TMPDIR/resolv.conf.before"
	at_exit "cat $TMPDIR/resolv.conf.before >/etc/resolv.conf"
	echo "nameserver ${OUTSIDE[0]}" >/etc/resolv.conf
}

make_outside
at_exit "pvethctl network del $NETWORK >/dev/null"
host pvethctl network add $NETWORK --ipv4 $POOL4 --ipv6 $POOL6 --dns-domain $DOMAIN \
	--uplink $OUTSIDE_LINK >/dev/null
for n in $(guests); do
	at_exit "leave_network $n"
	unplug "$n" >/dev/null
	join_network "$n"
done

run_tests each_has_its_own \
	guests_are_told \
	clients_of_other_kinds \
	names_resolve \
	guests_by_name \
	pvethd_need_not_be_there \
	dnsmasq_comes_back \
	address_has_another_guest \
	host_and_guest \
	guests_through_the_host \
	routes_come_back \
	pvethd_may_go \
	to_the_outside_and_back \
	hidden_and_published \
	guest_is_no_router \
	honest_frames_pass \
	spoofed_frames_are_dropped \
	filter_outlives_a_flush \
	rates_are_limited \
	port_is_deleted
