#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The host's control interface: links of kind "pveth", and the generic netlink
# family of that name. No guest takes part: portctl plays one where it needs to.
#
#   portctl ---- pvt0     a port of the test
#
# Whatever is refused is refused with the right errno and with a text that names
# the problem, and leaves everything as it was.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

P=pvt0
# As it was before the first refusal of a test
before=
# Nobody, with no capabilities
UNPRIVILEGED=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# What a refusal must not change
state_of_things() {
	portctl get $P
	portctl resources
}

no_leak() { [ "$(portctl resources)" = "$1" ]; }
unchanged() { [ "$(state_of_things)" = "$1" ]; }

# refused ERRNO TEXT COMMAND...
refused() {
	local out

	before=${before:-$(state_of_things)}
	note "refused for $1: ${*:3}"
	if out=$("${@:3}" 2>&1); then
		fail "it was accepted"
	fi
	[[ $out == *"$1"*"$2"* ]] || fail "refused otherwise: $out"
	# The last reference to an eventfd may be put a moment later.
	wait_for 60 unchanged "$before"
}

bad_names() {
	local -a attributes
	local request

	test_port $P
	for request in port-get detach port-set; do
		attributes=()
		[ $request != port-set ] || attributes=(guest-mac=52:54:00:00:00:02)
		refused EINVAL "named by either ifindex or ifname" portctl request $request "${attributes[@]}"
		refused EINVAL "named by either ifindex or ifname" \
			portctl request $request "${attributes[@]}" ifname=$P ifindex=1
		refused ENODEV "no such interface in this network namespace (ifname)" \
			portctl request $request "${attributes[@]}" ifname=pvt9
		refused ENODEV "no such interface in this network namespace (ifindex)" \
			portctl request $request "${attributes[@]}" ifindex=123456
		refused EOPNOTSUPP "not a pveth port (ifname)" \
			portctl request $request "${attributes[@]}" ifname=lo
	done
	refused EINVAL "named by either ifindex or ifname" portctl attach $P ifname=
	refused EINVAL "named by either ifindex or ifname" portctl attach $P ifname=$P ifindex=1
	refused ENODEV "no such interface in this network namespace (ifname)" portctl attach pvt9
	refused EOPNOTSUPP "not a pveth port (ifname)" portctl attach lo
	refused ERANGE "(ifindex)" portctl request port-get ifindex=0
	refused EINVAL "(ifindex)" portctl request port-get ifindex=hex:01
	refused EINVAL "(ifname)" portctl request port-get ifname=a-name-of-16-char
	refused EINVAL "(ifname)" portctl request port-get ifname=hex:70767430
}

bad_attributes() {
	local attribute

	test_port $P
	for attribute in memory-addr memory-len host-peer guest-mac kick-fd call-fd; do
		refused EINVAL "attach needs memory-addr" portctl attach $P $attribute=
	done
	refused EINVAL "port-set needs guest-mac" portctl request port-set ifname=$P
	refused EINVAL "Unknown attribute" portctl attach $P 99=hex:00
	# What only replies have
	refused EINVAL "(state)" portctl attach $P state=1
	refused EINVAL "(memory-len)" portctl attach $P memory-len=hex:00001000
	refused EINVAL "(host-peer)" portctl attach $P host-peer=hex:01
	refused EINVAL "(mode)" portctl attach $P mode=1
	refused EOPNOTSUPP "" portctl request 77 ifname=$P
}

bad_guest_mac() {
	local mac

	test_port $P
	for mac in 01:00:5e:00:00:01 00:00:00:00:00:00 ff:ff:ff:ff:ff:ff; do
		refused EADDRNOTAVAIL "must be a unicast MAC address (guest-mac)" \
			portctl attach $P guest-mac=$mac
		refused EADDRNOTAVAIL "must be a unicast MAC address (guest-mac)" \
			portctl request port-set ifname=$P guest-mac=$mac
	done
	refused ERANGE "(guest-mac)" portctl attach $P guest-mac=hex:5254000000
	refused ERANGE "(guest-mac)" portctl attach $P guest-mac=hex:52540000000100
}

bad_memory() {
	local len

	test_port $P
	for len in 0 32768 98304 1048577 8589934592 0xffffffffffffffff; do
		refused EINVAL "power of two from 64 KiB to 4 GiB" \
			portctl attach $P memory-len=$len
	done
	refused EINVAL "memory-addr must be aligned to a page" portctl attach $P memory-addr=+8
	refused EFAULT "not writable shared memory" portctl attach $P memory-addr=unmapped
	refused EFAULT "not writable shared memory" portctl attach $P memory-addr=read-only
	refused EFAULT "or not populated" portctl attach $P memory-addr=absent
	refused EFAULT "not writable shared memory" \
		portctl attach $P memory-addr=0xffff888000000000
	# Its second half is not there.
	refused EFAULT "not writable shared memory" portctl attach $P memory-len=0x200000
}

# The guest's RAM, for direct mode
bad_regions() {
	local REGION=20 region
	local -a eight

	test_port $P
	# Half of one, no nest, attributes of which one is missing, of a wrong length,
	# unknown
	refused ERANGE "(region)" portctl attach $P region=hex:0c00
	refused EINVAL "NLA_F_NESTED is missing (region)" \
		portctl attach $P $REGION=hex:0c0002000000000000000000
	refused EINVAL "a region needs guest-addr, memory-addr and memory-len (region)" \
		portctl attach $P region=hex:0c0002000000000000000000
	refused EINVAL "invalid attribute length" portctl attach $P region=hex:0800020000000000
	refused EINVAL "Unknown attribute" portctl attach $P region=hex:0c0009000000000000000000
	for region in 0:0:0x10000 0x800:0x1000 0:0x1800:0x10000 0:0x1000:0x10800 \
		      0:0x8000001000:0x10000 0xfffffffffffff000:0x2000:0x10000; do
		refused EINVAL "regions must be aligned to pages, not empty, and no larger" \
			portctl attach $P region=$region
	done
	for region in 0x1000:0x1000 0:0x2000 0x1000:0x10000 0:0x10000 0x2000:0x1000; do
		refused EINVAL "regions must not overlap" \
			portctl attach $P region=0x1000:0x2000 region=0x8000:0x1000 region=$region
	done
	mapfile -t eight < <(printf 'region=0x%x000:0x1000\n' {1..8})
	refused EMSGSIZE "there are at most 8 regions (region)" \
		portctl attach $P "${eight[@]}" region=0x9000:0x1000
	# What is pinned by then is let go again.
	for region in unmapped read-only absent 0xffff888000000000; do
		refused EFAULT "not writable shared memory" \
			portctl attach $P region=0:0x100000 region=0x100000:0x100000:$region
	done
	portctl attach $P "${eight[@]}" request | grep -qx "request: connected"
}

bad_doorbells() {
	local -a new18
	local fd

	test_port $P
	for fd in kick-fd call-fd; do
		refused EINVAL "a $fd is not an open eventfd" portctl attach $P $fd=pipe $fd=new
		refused EINVAL "a $fd is not an open eventfd" portctl attach $P $fd=new $fd=pipe
		refused EBADF "a $fd is not an open eventfd" portctl attach $P $fd=closed $fd=new
		refused EBADF "a $fd is not an open eventfd" portctl attach $P $fd=new $fd=-1
		refused EINVAL "as many kick-fd as call-fd, from 2 to 17" portctl attach $P $fd=new
		refused EINVAL "as many kick-fd as call-fd, from 2 to 17" \
			portctl attach $P vectors=1 $fd=new $fd=new
		refused EINVAL "($fd)" portctl attach $P $fd=hex:0001 $fd=new
	done
	refused EINVAL "as many kick-fd as call-fd, from 2 to 17" portctl attach $P vectors=1
	mapfile -t new18 < <(printf '%s-fd=new\n' {kick,call}{,,,,,,,,,,,,,,,,,})
	refused EINVAL "as many kick-fd as call-fd, from 2 to 17" portctl attach $P "${new18[@]}"
	refused EINVAL "more kick-fd than the port has queues" portctl attach $P vectors=3
}

attach_once() {
	local pid

	test_port $P
	refused ENOTCONN "the port is not attached" portctl request detach ifname=$P
	refused ENOTCONN "the port is not attached" \
		portctl request port-set ifname=$P guest-mac=52:54:00:00:00:02
	portctl attach $P request hold &
	pid=$!
	at_exit "kill $pid"
	wait_for 60 port_says_that $P state connected
	before=
	refused EBUSY "the port is attached already" portctl attach $P
	host portctl request detach ifname=$P
	port_says_that $P state detached
	before=
	refused ENOTCONN "the port is not attached" portctl request detach ifname=$P
}

# What is pinned counts as locked memory of the user, and no longer when it is
# not.
memory_limit() {
	local -a limited=(setpriv --bounding-set=-ipc_lock prlimit --memlock=1048576)

	test_port $P
	refused ENOBUFS "RLIMIT_MEMLOCK" "${limited[@]}" portctl attach $P window=0x200000
	refused ENOBUFS "RLIMIT_MEMLOCK" \
		"${limited[@]}" portctl attach $P window=0x80000 region=0:0x80000 region=0x80000:0x1000
	host "${limited[@]}" portctl attach $P window=0x80000 region=0:0x80000 request |
		grep -qx "request: connected"
	wait_for 60 port_says_that $P state detached
	host "${limited[@]}" portctl attach $P window=0x100000 request |
		grep -qx "request: connected"
	wait_for 60 port_says_that $P state detached
	host "${limited[@]}" portctl attach $P window=0x100000 request \
		run "! portctl attach pvt1 2>&1 | tee /dev/stderr | grep -q ENOBUFS" |
		grep -qx "request: connected"
}

permissions() {
	local -a without=(setpriv --bounding-set=-net_admin)

	test_port $P
	refused EPERM "" "${without[@]}" portctl attach $P
	refused EPERM "" "${without[@]}" portctl request detach ifname=$P
	refused EPERM "" "${without[@]}" portctl request port-set ifname=$P \
		guest-mac=52:54:00:00:00:02
	refused EPERM "" "${UNPRIVILEGED[@]}" portctl attach $P
	# Looking is free, as it is for links.
	[ "$("${UNPRIVILEGED[@]}" portctl get $P)" = "$(portctl get $P)" ] || fail "get differs"
}

# In a user namespace with a network namespace, its owner is its administrator,
# and of nothing else.
namespaces() {
	local out

	test_port $P
	refused ENODEV "no such interface in this network namespace" \
		unshare -n portctl attach $P
	out=$("${UNPRIVILEGED[@]}" unshare -Urn bash -ec "
		ip link add mine type pveth
		ip link set mine up
		portctl dump
		portctl get $P || :
		portctl attach $P || :
		portctl attach mine request show
	" 2>&1) || fail "$out"
	note "$out"
	[[ $(head -n 1 <<<"$out") == *" ifname=mine state=detached"* ]] || fail "dump"
	[ "$(grep -c "ifname=" <<<"$out")" -eq 2 ] || fail "others are seen"
	[ "$(grep -c "ENODEV: no such interface" <<<"$out")" -eq 2 ] || fail "$P is reached"
	grep -q "ifname=mine state=connected" <<<"$out" || fail "the own port does not work"
}

# many_ports WHAT [TYPE]: more than fit into a message, or two
MANY=40
many_ports() {
	local index

	for ((index = 1; index <= MANY; index++)); do
		echo "link $1 pvd$index ${2-}"
	done | ip -batch -
}

get_and_dump() {
	local attached index none page ports

	test_port $P numtxqueues 2 numrxqueues 2
	index=$(cat /sys/class/net/$P/ifindex)
	none="g2h-frames=0 g2h-bytes=0 g2h-bad=0 g2h-dropped=0 h2g-frames=0 h2g-bytes=0"
	none+=" h2g-dropped=0 kicks=0 calls=0 protocol-errors=0"
	diff -u - <(portctl get $P) <<-EOT
	 ifindex=$index ifname=$P state=detached error=none guest-error=none sessions=0 $none
	EOT
	[ "$(portctl request port-get ifindex="$index")" = "$(portctl get $P)" ]

	attached="mode=0 memory-len=262144 host-peer=7"
	page="page: version=1.0 peer=7 queue-pairs=2 window-size=262144 features=0x1001f001f state=ready"
	ip link set $P mtu 9000
	diff -u - <(portctl attach $P window=0x40000 vectors=3 host-peer=7 \
		guest-mac=52:54:00:12:34:56 show page \
		run "portctl request port-set ifname=$P guest-mac=52:54:00:00:00:09" \
		run "ip link set $P mtu 1400 carrier off" page \
		request mtu=1300 mac=52:54:00:00:00:07 show |
		sed 's/ features=\([0-9]*\) guest/\n features=\1\n guest/; s/ mode=/\n mode=/; s/ g2h-f/\n g2h-f/') <<-EOT
	 ifindex=$index ifname=$P state=ready error=none guest-error=none sessions=0
	 $attached guest-mac=52:54:00:12:34:56 queue-pairs=2
	 features=$((0x1001f001f))
	 guest-mtu=0 guest-current-mac=00:00:00:00:00:00
	 $none
	$page link=1 mtu=9000 mac=52:54:00:12:34:56
	$page link=0 mtu=1400 mac=52:54:00:00:00:09
	request: connected
	 ifindex=$index ifname=$P state=connected error=none guest-error=none sessions=1
	 $attached guest-mac=52:54:00:00:00:09 queue-pairs=1
	 features=0
	 guest-mtu=1300 guest-current-mac=52:54:00:00:00:07
	 $none
	EOT

	many_ports add "type pveth"
	at_exit "many_ports del"
	ports=$(portctl dump | sed 's/.* ifname=\([^ ]*\) .*/\1/' | sort)
	diff -u <(ip -br link show type pveth | awk '{ print $1 }' | sort) - <<<"$ports"
}

dump_is_interrupted() {
	local out

	many_ports add "type pveth"
	at_exit "many_ports del"
	[ "$(portctl dump | grep -c interrupted)" = 0 ]
	out=$(portctl dump "ip link del pvd1 && ip link add pvd1 type pveth")
	grep -q interrupted <<<"$out" || fail "nothing says so"
}

# Each change is told.
notifications() {
	local log

	monitor
	ip link add $P numtxqueues 2 numrxqueues 2 type pveth
	at_exit "ip link del $P 2>/dev/null"
	echo 1 >/proc/sys/net/ipv6/conf/$P/disable_ipv6
	host portctl attach $P run "ip link set $P up" run "ethtool -K $P rx-gro-hw off" \
		run "ethtool -L $P combined 1" request request features=0x20 \
		run "ip link set $P down" run "portctl request detach ifname=$P"
	host ip link del $P
	# The last of all
	ip link add pvt1 type pveth
	ip link del pvt1
	wait_for 60 grep -q "ifname=pvt1 " "$log"
	diff -u - <(sed -n "s/.* ifname=$P state=\([^ ]*\) error=\([^ ]*\) .*/\1 \2/p" "$log") <<-EOT
	detached none
	down none
	ready none
	down none
	ready none
	down none
	ready none
	connected none
	ready none
	error features
	down features
	detached features
	detached features
	EOT
}

removed_while_attached() {
	local at_first

	test_port $P
	at_first=$(portctl resources)
	diff -u - <(portctl attach $P request run "ip link del $P" ended page |
		sed 's/page: .* \(state=[^ ]*\).*/\1/') <<-EOT
	request: connected
	ended: ended
	state=down
	EOT
	wait_for 60 no_leak "$at_first"
}

# Whoever attached may go. The end of the session's kick-fd is the guest's.
attachment_outlives() {
	local at_first holder out

	test_port $P
	at_first=$(portctl resources)
	out=$(portctl attach $P request leave)
	note "$out"
	holder=${out##*leave: }
	at_exit "kill $holder 2>/dev/null"
	port_says_that $P state connected || fail "detached with its process"
	[ "$(portctl resources)" != "$at_first" ] || fail "the window is not pinned"
	kill "$holder"
	wait_for 60 port_says_that $P state detached
	wait_for 60 no_leak "$at_first"
}

refused_link() {
	local out

	note "refused: ${*:2}"
	if out=$("${@:2}" 2>&1); then
		fail "it was accepted"
	fi
	[[ $out == *"$1"* ]] || fail "refused otherwise: $out"
	[ ! -e /sys/class/net/$P ] || fail "there is a port"
}

bad_links() {
	local queues="numtxqueues and numrxqueues must be the same, 1 to 16"

	refused_link "$queues" ip link add $P numtxqueues 2 type pveth
	refused_link "$queues" ip link add $P numrxqueues 2 type pveth
	refused_link "$queues" ip link add $P numtxqueues 17 numrxqueues 17 type pveth
	refused_link "must be a unicast MAC address" \
		ip link add $P address 01:00:5e:00:00:01 type pveth
	refused_link "must be a unicast MAC address" \
		ip link add $P address 00:00:00:00:00:00 type pveth
	refused_link "" ip link add $P mtu 67 type pveth
	refused_link "" ip link add $P mtu 65522 type pveth
}

sixteen_queues() {
	local queues

	test_port $P numtxqueues 16 numrxqueues 16
	queues=("/sys/class/net/$P/queues/"*)
	[ ${#queues[@]} -eq 32 ] || fail "${#queues[@]} queues"
	host portctl attach $P vectors=17 request queue-pairs=16 desc publish show >"$TMP"
	cat "$TMP"
	grep -qx "request: connected" "$TMP"
	grep -qx "publish: id 0 ok" "$TMP"
	grep -q "state=connected .* queue-pairs=16 " "$TMP"
}

module_is_loaded() { [ -d /sys/module/pveth_host ]; }

# Asking for it loads the module. It can be unloaded after all of the above.
autoload() {
	# It asks as well.
	host kill -STOP "$(pidof pvethd)"
	at_exit all_links_up
	at_exit "kill -CONT $(pidof pvethd)"
	host rmmod pveth_host
	module_is_loaded && fail "somebody loads it again"
	host ip link add $P type pveth
	module_is_loaded
	ip link del $P
	host rmmod pveth_host
	module_is_loaded && fail "somebody loads it again"
	host portctl dump
	module_is_loaded
}

TMP=$(mktemp)
at_exit "rm -f $TMP"
run_tests \
	bad_names \
	bad_attributes \
	bad_guest_mac \
	bad_memory \
	bad_regions \
	bad_doorbells \
	attach_once \
	memory_limit \
	permissions \
	namespaces \
	get_and_dump \
	dump_is_interrupted \
	notifications \
	removed_while_attached \
	attachment_outlives \
	bad_links \
	sixteen_queues \
	autoload
