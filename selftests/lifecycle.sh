#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests, the daemon and ports that end, in order or not, and start again.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

PORT=$(port 1)
NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

pinned_pages() { portctl resources | sed 's/.*pinned-pages=//'; }
pinned_pages_are() { [ "$(pinned_pages)" = "$1" ]; }
# The kernel's word for it, whether pvethd lives or not
port_is_detached() { port_says_that "$PORT" state detached; }

start_guest() {
	host guest --start 1
	host guest --wait 1
	link_up 1
}

restore_guest() {
	guest --pid 1 >/dev/null 2>&1 || start_guest
}

guest_reboots() {
	local sessions

	link_up 1
	sessions=$(port_field 1 sessions)
	traffic 1
	host guest --reboot 1
	link_up 1
	[ "$(port_field 1 sessions)" -eq $((sessions + 1)) ] || fail "not one session"
	port_is 1 connected
}

# The states of the port since then
states() { sed -n "s/.* ifname=$PORT state=\([^ ]*\).*/\1/p" "$log"; }
port_was() { states | grep -qx "$1"; }

# The driver says so before the machine stops.
guest_is_powered_off() {
	local log

	link_up 1
	monitor
	at_exit restore_guest
	host guest --stop 1
	wait_for 60 port_was detached
	[ "$(states | xargs)" = "ready down detached" ] ||
		fail "it was $(states | xargs), and not ready before QEMU went"
	start_guest
}

# Without a word of the old driver the host learns of it from the new one.
guest_is_reset() {
	local log sessions

	link_up 1
	sessions=$(port_field 1 sessions)
	monitor
	host guest --qmp 1 '{"execute": "system_reset"}'
	# Asking pvethctl all the time would take from the guest's time.
	wait_for 300 port_was connected
	link_up 1
	[ "$(port_field 1 sessions)" -eq $((sessions + 1)) ] || fail "not one session"
	port_is 1 connected
	wait_for 60 guest 1 true
}

dropped_more_than() { [ "$(port_says "$PORT" h2g-dropped)" -gt "$1" ]; }

# A guest that takes no frames costs its senders what they send, and no more:
# they wait for a while, then it is dropped. The host has nothing to warn of,
# which the rig would take for a failure.
guest_is_paused() {
	local dropped sessions

	link_up 1
	sessions=$(port_says "$PORT" sessions)
	dropped=$(port_says "$PORT" h2g-dropped)
	# Its address does not go while it cannot confirm it.
	host ip neighbour replace "$(guest4 1)" lladdr "$(port_field 1 mac)" \
		dev $BRIDGE nud permanent
	at_exit "ip neighbour del $(guest4 1) dev $BRIDGE"
	at_exit "guest --qmp 1 '{\"execute\": \"cont\"}' >/dev/null"
	host guest --qmp 1 '{"execute": "stop"}'
	note "host: ping -f $(guest4 1)"
	ping -f -q -s 1400 "$(guest4 1)" >/dev/null 2>&1 &
	at_exit "kill $!"
	wait_for 120 dropped_more_than "$dropped"
	port_is 1 connected
	host_carrier 1
	host guest --qmp 1 '{"execute": "cont"}'
	link_up 1
	[ "$(port_says "$PORT" sessions)" = "$sessions" ] || fail "there was another session"
}

guest_is_killed() {
	local pages pinned

	link_up 1
	pinned=$(pinned_pages)
	pages=$(($(port_field 1 window_size) / 4096))
	traffic 1
	at_exit restore_guest
	host guest --kill 1
	wait_for 60 port_is 1 detached
	host_no_carrier 1
	wait_for 60 pinned_pages_are $((pinned - pages))
	start_guest
	port_is 1 connected
	pinned_pages_are "$pinned"
}

# How many pings were answered, also after ping(8) had no more patience
answers() { nstat -asz IcmpInEchoReps | awk '/^Icmp/ { print $2 }'; }
answers_are() { [ "$(answers)" -eq "$1" ]; }

# pings_until FILE: one after the other, all answered, until there is that file
pings_until() {
	local before out

	until [ -e "$1" ]; do
		before=$(answers)
		out=$(ping -i 0.02 -c 25 -q "$(guest4 1)") || true
		[[ $out == *"25 packets transmitted"* ]] || fail "$out"
		wait_for 10 answers_are $((before + 25))
		pings=$((pings + 1))
		echo "$pings" >"$1.count"
	done
}

pings_are() { [ "$(cat "$1.count")" -ge "$2" ]; }

# Frames flow all the time while pvethd is killed and started again.
daemon_is_killed() {
	local dropped pid sessions stop

	link_up 1
	stop=$(mktemp -u)
	at_exit "rm -f $stop $stop.count"
	sessions=$(port_says "$PORT" sessions)
	dropped=$(port_says "$PORT" h2g-dropped)
	pings=0
	echo 0 >"$stop.count"
	note "host: ping $(guest4 1)"
	pings_until "$stop" &
	pid=$!
	at_exit "touch $stop"
	wait_for 60 pings_are "$stop" 1
	kill_pvethd
	wait_for 60 pings_are "$stop" $(($(cat "$stop.count") + 2))
	restore_pvethd
	wait_for 60 pings_are "$stop" $(($(cat "$stop.count") + 2))
	touch "$stop"
	wait $pid || fail "frames were lost"
	[ "$(port_says "$PORT" sessions)" = "$sessions" ] || fail "there was another session"
	[ "$(port_says "$PORT" h2g-dropped)" = "$dropped" ] || fail "frames were dropped"
	port_is 1 connected
}

# The port becomes free without pvethd, which then serves the next guest.
guest_is_killed_while_daemon_is_dead() {
	link_up 1
	at_exit restore_guest
	kill_pvethd
	host guest --kill 1
	wait_for 60 port_is_detached
	host_no_carrier 1
	restore_pvethd
	start_guest
	port_is 1 connected
}

# pvethd was killed meanwhile, and has nothing of the guest's
guest_is_killed_after_restart_of_daemon() {
	link_up 1
	at_exit restore_guest
	kill_pvethd
	restore_pvethd
	host guest --kill 1
	wait_for 60 port_is 1 detached
	start_guest
	port_is 1 connected
}

make_port() {
	local mac

	mac=$(jq -r .mac <<<"$1")
	pvethctl add "$PORT" --mac "$mac" --allow all --queues "$(jq .queues <<<"$1")" \
		--window-size "$(jq .window_size <<<"$1")" --bridge "$BRIDGE"
}

restore_port() {
	pvethctl show "$PORT" >/dev/null || make_port "$1" >/dev/null
}

port_is_deleted() {
	local before interface

	link_up 1
	interface=$(guest_if 1)
	before=$(pvethctl show "$PORT" --json)
	at_exit restore_guest
	at_exit "restore_port '$before'"
	traffic 1
	host ip link del "$PORT"
	wait_for 60 guest_no_carrier 1 "$interface"
	port_is 1 absent
	host pvethctl del "$PORT"
	pvethctl show "$PORT" 2>/dev/null && fail "pvethctl shows it"
	[ ! -e "/run/pveth/$PORT.sock" ] || fail "its socket is there"
	host guest --kill 1
	host make_port "$before" | grep -q "ivshmem-doorbell"
	start_guest
	port_is 1 connected
}

# refused STATUS TEXT COMMAND...
refused() {
	local out status=0

	note "refused: ${*:3}"
	out=$("${@:3}" 2>&1) || status=$?
	[ $status -eq "$1" ] || fail "status $status: $out"
	[[ $out == *"$2"* ]] || fail "refused otherwise: $out"
}

control_errors() {
	local ports

	ports=$(pvethctl list --json | jq -c '[.[].name]')
	at_exit "pvethctl del pvt0 2>/dev/null"
	refused 1 "there is a port $PORT already" pvethctl add "$PORT"
	refused 1 "has this MAC address already" pvethctl add pvt0 --mac "$(port_field 1 mac)"
	refused 1 "there is an interface $BRIDGE already, and it is no port" pvethctl add "$BRIDGE"
	refused 1 "there is no port 'pvt0'" pvethctl show pvt0
	refused 1 "there is no port 'pvt0'" pvethctl del pvt0
	refused 1 "is no power of two" pvethctl add pvt0 --window-size 3M
	refused 1 "is too small" pvethctl add pvt0 --window-size 64K
	refused 1 "is too large" pvethctl add pvt0 --window-size 8G
	refused 1 "direct mode needs the size" pvethctl add pvt0 --mode direct
	refused 1 "there is no user 'nobody-here'" pvethctl add pvt0 --socket-user nobody-here
	refused 2 "17" pvethctl add pvt0 --queues 17
	refused 2 "01:00:00:00:00:00" pvethctl add pvt0 --mac 01:00:00:00:00:00
	refused 2 "67" pvethctl add pvt0 --mtu 67
	refused 2 "" pvethctl add a-name-of-16-char
	refused 2 "" pvethctl add
	refused 2 "" pvethctl
	[ "$(pvethctl list --json | jq -c '[.[].name]')" = "$ports" ] || fail "ports are changed"
	[ ! -e /sys/class/net/pvt0 ] || fail "there is an interface"
	[ ! -e /run/pveth/pvt0.sock ] || fail "there is a socket"
	[ ! -e /var/lib/pveth/pvt0.json ] || fail "there is a state file"
}

# What pvethd.service lets pvethd have, as setpriv(1) has it: "+net_admin,+ipc_lock,..."
service_capabilities() {
	(
		# shellcheck source=/dev/null
		. /run/rig/config
		# shellcheck disable=SC2154 # the configuration's
		sed -n 's/^AmbientCapabilities=//p' "$rig_top/hypervisor-side/pvethd/pvethd.service"
	) | sed 's/CAP_/+/g; s/ /,/g; s/.*/\L&/' | paste -sd,
}

end_pvethd() {
	local pid

	pid=$(pidof pvethd) || return 0
	kill "$pid"
	tail --pid="$pid" -f /dev/null
}

own_again() {
	pvethctl del pvt0
	pvethctl network del pvt1
	end_pvethd
	chown -R root: /run/pveth /var/lib/pveth
	restore_pvethd
}

# As a user that has nothing besides
needs_no_root() {
	local caps said

	caps=$(service_capabilities)
	[[ $caps == *+net_admin* ]]
	link_up 1
	said=$(wc -l </run/rig/pvethd.log)
	at_exit restore_guest
	at_exit "{ own_again; } >/dev/null 2>&1"
	end_pvethd
	chown -R nobody:nogroup /run/pveth /var/lib/pveth
	setsid setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs \
		--inh-caps="-all,$caps" --ambient-caps="-all,$caps" --bounding-set="-all,$caps" \
		pvethd --foreground >>/run/rig/pvethd.log 2>&1 </dev/null &
	wait_for 30 pvethctl list
	[ "$(stat -c %U "/proc/$(pidof pvethd)")" = nobody ]
	link_up 1
	host pvethctl network add pvt1 --ipv4 10.80.0.0/24 --ipv6 fd80::/64 --dns-domain pvt
	host pvethctl add pvt0 --network pvt1 --rate-in 1gbit --mode direct --memory 32M \
		--memory-dir /dev/shm --socket-user daemon
	[ "$(stat -c %U /run/pveth/pvt0.sock /dev/shm/pveth-pvt0.ram | uniq)" = daemon ]
	nft list chain netdev pveth guest/pvt0
	wait_for 30 host_knows pvt0.pvt 10.80.0.1
	# What has its packets from guests may do with them what it must, and no more: net_admin,
	# net_raw and net_bind_service.
	grep '^CapEff:[[:space:]]*0*3400$' "/proc/$(cat /run/pveth/dnsmasq/dhcp.pid)/status"
	host pvethctl del pvt0
	[ ! -e /dev/shm/pveth-pvt0.ram ]
	# The next guest is attached, memory pinned and all.
	host guest --kill 1
	start_guest
	port_is 1 connected
	! tail -n +$((said + 1)) /run/rig/pvethd.log | grep 'Permission denied\|not permitted' ||
		fail "it lacks something"
}
host_knows() { busybox nslookup "$1" "$2" | grep '^Address.*10\.80\.0\.'; }

# Users who may not use QEMU's socket, or control ports, do not get in.
other_users() {
	refused 1 "Permission denied" "${NOBODY[@]}" pvethctl list
	refused 1 "Permission denied" timeout 30 "${NOBODY[@]}" \
		socat -u UNIX-CONNECT:"/run/pveth/$PORT.sock" STDOUT
	refused 1 "Permission denied" "${NOBODY[@]}" touch /run/pveth/pvt0.sock
	[ "$(stat -c %a "/run/pveth/$PORT.sock")" = 660 ]
	at_exit "pvethctl del pvt0"
	host pvethctl add pvt0 --socket-user 65534 >/dev/null
	# Then that user does, and gets the hello of ivshmem's protocol.
	[ "$("${NOBODY[@]}" socat -u UNIX-CONNECT:/run/pveth/pvt0.sock,readbytes=16 STDOUT |
		od -An -v -t d8 | tr -d ' \n')" = 01 ]
}

# A pvethd that was started again cannot attach guests again that it has not
# attached itself. It has new ones of all.
restore_cards() {
	local n

	for n in $(guests); do
		if [ "$(port_field "$n" clients)" = "[]" ]; then
			host guest --unplug "$n"
			host guest --plug "$n"
			link_up "$n"
		fi
	done
}

at_exit restore_cards
run_tests \
	guest_reboots \
	guest_is_powered_off \
	guest_is_reset \
	guest_is_paused \
	guest_is_killed \
	daemon_is_killed \
	guest_is_killed_while_daemon_is_dead \
	guest_is_killed_after_restart_of_daemon \
	port_is_deleted \
	control_errors \
	other_users \
	needs_no_root
