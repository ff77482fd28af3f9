#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What any network card does: driver, link, addresses, ethtool, counters.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

driver_loads_by_itself() {
	# shellcheck disable=SC2016 # for the guest's shell
	in_guest 1 'for device in /sys/bus/pci/devices/*; do
			read -r vendor <$device/vendor
			read -r id <$device/device
			[ $vendor:$id = 0x1af4:0x1110 ] || continue
			echo "device ${device##*/}"
			modprobe -R "$(cat $device/modalias)" | grep -x pveth
			[ "$(readlink $device/driver/module)" ] &&
				basename "$(readlink $device/driver/module)"
		done' >"$TMPDIR/out"
	host cat "$TMPDIR/out"
	# Once as what the alias names, once as what has the device
	[ "$(grep -cx pveth "$TMPDIR/out")" = 2 ]
}

ethtool_says_who_it_is() {
	in_guest 1 "ethtool -i $interface; ethtool -P $interface; ethtool $interface
		basename \$(readlink -f /sys/class/net/$interface/device)" \
		>"$TMPDIR/out"
	host cat "$TMPDIR/out"
	grep -qx 'driver: pveth' "$TMPDIR/out"
	grep -qx 'firmware-version: ABI 1\.0' "$TMPDIR/out"
	grep -qx "bus-info: $(tail -n 1 "$TMPDIR/out")" "$TMPDIR/out"
	grep -qx "Permanent address: $(port_field 1 mac)" "$TMPDIR/out"
	grep -qx '[[:space:]]*Duplex: Full' "$TMPDIR/out"
	ethtool -i "$port" | grep -x 'driver: pveth_host'
}

# Uncached the window would work, too, and where a processor has no say nobody would see why
# it is slow. The emulated one does not care.
window_is_mapped_write_back() {
	guest 1 "grep ' vmap_pfn$' /proc/kallsyms" ||
		skip "the guest's kernel maps it as its firmware wants it to be"
	in_guest 1 "sed -n 3p /sys/class/net/$interface/device/resource
		cat /sys/kernel/debug/x86/pat_memtype_list
		dmesg" >"$TMPDIR/out"
	awk 'NR == 1 { start = $1; sub(/^0x/, "", start) }
		/^PAT: .* write-back$/ { there = 1 }
		index($0, "PAT: [mem 0x" start "-") || /the window is uncached/ { print; bad = 1 }
		END { exit !there || bad }' "$TMPDIR/out"
}

address_and_mtu_are_the_hosts() {
	in_guest 1 "ip -j -d link show $interface" >"$TMPDIR/out"
	host cat "$TMPDIR/out"
	[ "$(jq -r '.[].address' "$TMPDIR/out")" = "$(port_field 1 mac)" ]
	[ "$(jq '.[].mtu' "$TMPDIR/out")" = "$(cat "/sys/class/net/$port/mtu")" ]
	[ "$(jq '.[].max_mtu' "$TMPDIR/out")" = "$(cat "/sys/class/net/$port/mtu")" ]
}

# Closing the interface is seen at the port.
guest_takes_link_down_and_up() {
	at_exit restore_guest
	host_carrier 1
	in_guest 1 "ip link set $interface down"
	wait_for 20 host_no_carrier 1
	wait_for 20 port_is 1 ready
	in_guest 1 "ip link set $interface up"
	wait_for 20 host_carrier 1
	port_is 1 connected
	restore_guest
	link_up 1
}

# Closing the port is seen in the guest.
host_takes_link_down_and_up() {
	at_exit "ip link set $port up"
	guest_carrier 1 "$interface"
	host ip link set "$port" down
	wait_for 20 guest_no_carrier 1 "$interface"
	wait_for 20 port_is 1 down
	host ip link set "$port" up
	wait_for 20 guest_carrier 1 "$interface"
	link_up 1
}

# The session goes on without carrier.
host_takes_carrier_off_and_on() {
	local sessions

	at_exit "ip link set $port carrier on"
	sessions=$(port_field 1 sessions)
	host ip link set dev "$port" carrier off
	host_no_carrier 1
	wait_for 20 guest_no_carrier 1 "$interface"
	in_guest 1 "ethtool $interface" | grep 'Link detected: no'
	host ip link set dev "$port" carrier on
	wait_for 20 guest_carrier 1 "$interface"
	in_guest 1 "ethtool $interface" | grep 'Link detected: yes'
	[ "$(port_field 1 sessions)" = "$sessions" ]
	link_up 1
}

# rings COMMAND...: what ethtool -g says, as RX-MAXIMUM TX-MAXIMUM RX TX
rings() { "$@" | awk '/^[RT]X:/ { printf "%s ", $2 }'; }

# resize RX TX: the guest has these sizes then, and the port shows them. Sizes
# are rounded up to powers of two.
resize() {
	local now

	now=$(rings in_guest 1 "ethtool -G $interface rx $1 tx $2
				ethtool -g $interface")
	note "$now"
	read -r _ _ rx tx <<<"$now"
	[ "$rx" -ge "$1" ] && [ "$rx" -lt $((2 * $1)) ]
	[ "$tx" -ge "$2" ] && [ "$tx" -lt $((2 * $2)) ]
	wait_for 20 host_carrier 1
	[[ $(rings ethtool -g "$port") == *" $tx $rx " ]]
}

answers() { grep -c 'bytes from' "$TMPDIR/ping"; }
more_answers_than() { [ "$(answers)" -gt "$1" ]; }

rings_change_size_under_traffic() {
	local rx tx max now ping before

	now=$(rings in_guest 1 "ethtool -g $interface")
	read -r max _ rx tx <<<"$now"
	at_exit "guest 1 'ethtool -G $interface rx $rx tx $tx'"
	ping -i 0.05 "$(guest4 1)" >"$TMPDIR/ping" &
	ping=$!
	at_exit "kill $ping"
	for now in "64 65" "$max $max" "100 64"; do
		resize "${now% *}" "${now#* }"
		before=$(answers)
		wait_for 20 more_answers_than "$before"
	done
	resize "$rx" "$tx"
	ping_sizes 1 56,1400 "$HOST4"
}

# Each with a reason, and nothing changes.
bad_ring_sizes_are_refused() {
	in_guest 1 "exec 2>&1
		rings() { ethtool -g $interface; }
		rings >/tmp/rings
		read -r _ max < <(rings | grep RX:)
		for bad in 'rx 63' 'tx 0' \"tx \$((max + 1))\"; do
			ethtool -G $interface \$bad && echo \"\$bad was accepted\"
		done
		rings | diff /tmp/rings - && echo same
		rm /tmp/rings" >"$TMPDIR/out"
	host cat "$TMPDIR/out"
	[ "$(grep -c 'at least 64' "$TMPDIR/out")" = 2 ]
	[ "$(grep -c 'exceeds maximum' "$TMPDIR/out")" = 1 ]
	grep -qx same "$TMPDIR/out"
	! grep accepted "$TMPDIR/out"
}

# One try
count_pings() {
	local n=10 bytes=$((10 * 142)) name place ok=0

	counters host >"$TMPDIR/host.before"
	on 1 "$(read_counters "$interface")
		ping -q -c $n -i 0.01 -s 100 $HOST4 >/dev/null
		echo after
		$(read_counters "$interface")" >"$TMPDIR/1"
	counters host >"$TMPDIR/host.after"
	sed '/^after$/,$d' "$TMPDIR/1" | sum_counters >"$TMPDIR/1.before"
	sed '1,/^after$/d' "$TMPDIR/1" | sum_counters >"$TMPDIR/1.after"
	for place in host 1; do
		for name in g2h_frames:$n h2g_frames:$n g2h_bytes:$bytes \
			    h2g_bytes:$bytes tx_packets:$n rx_packets:$n \
			    tx_bytes:$bytes rx_bytes:$bytes g2h_bad:0 \
			    g2h_dropped:0 h2g_dropped:0 tx_errors:0 \
			    rx_errors:0 tx_dropped:0 rx_dropped:0; do
			if [ "$(moved "$place" "${name%:*}")" != "${name#*:}" ]; then
				note "$place: ${name%:*} moved by" \
				     "$(moved "$place" "${name%:*}"), not ${name#*:}"
				ok=1
			fi
		done
	done
	# As many doorbells as the guest rang, and some
	if [ "$(moved host kicks)" != "$(moved 1 doorbells)" ] ||
	   [ "$(moved host kicks)" = 0 ] || [ "$(moved host calls)" = 0 ]; then
		note "doorbells: $(moved 1 doorbells) rung by the guest," \
		     "$(moved host kicks) heard, $(moved host calls) rung"
		ok=1
	fi
	return $ok
}

# To the frame and the byte, on both sides. A neighbour that asks for an address
# in between is no error: there are some tries.
counters_count_each_frame() {
	link_up 1
	for _ in 1 2 3 4 5 6; do
		if count_pings; then
			return
		fi
	done
	return 1
}

# The guest uses as many as it has CPUs.
channels_are_the_queue_pairs() {
	local queues cpus used

	queues=$(port_field 1 queues)
	cpus=$(guest 1 nproc)
	used=$((queues < cpus ? queues : cpus))
	[ "$(on 1 "ethtool -l $interface" | combined)" = "$queues $used" ]
	[ "$(on host "ethtool -l $port" | combined)" = "$queues $queues" ]
	[ "$(port_field 1 session_queues)" = $used ]
}

napi_of_the_port_is_threaded() {
	[ "$(cat "/sys/class/net/$port/threaded")" = 1 ]
	pgrep "^napi/$port-"
}

threads_are_switched_without_a_guest() {
	local threaded

	test_port pvt0 numtxqueues 2 numrxqueues 2
	for threaded in 0 1; do
		echo $threaded >/sys/class/net/pvt0/threaded
		[ "$(cat /sys/class/net/pvt0/threaded)" = $threaded ]
	done
	pgrep "^napi/pvt0-"
}

neighbour_has() { ip neighbour show "$1" | grep -qw "$2"; }

guest_changes_its_address() {
	local old new=52:54:00:77:aa:01

	old=$(port_field 1 mac)
	at_exit "guest 1 'ip link set $interface address $old'"
	at_exit "ip neighbour flush dev $BRIDGE"
	in_guest 1 "ip link set $interface address $new"
	host ip neighbour flush dev "$BRIDGE"
	link_up 1
	neighbour_has "$(guest4 1)" $new
	neighbour_has "$(guest6 1)" $new
	wait_for 20 port_has 1 guest_mac $new
	# The address that the host gave it stays as it is.
	[ "$(port_field 1 mac)" = "$old" ]
}

guest_address_is() {
	[ "$(guest 1 "ip -j link show $interface" | jq -r '.[].address')" = "$1" ]
}
give_address() { host portctl request port-set ifname="$port" guest-mac="$1"; }

# set_mtu MTU: the guest follows. What the host changed before that is known to
# the guest then, too.
set_mtu() {
	host ip link set "$port" mtu "$1"
	wait_for 20 guest_mtu_is "$1"
}

restore_address() {
	local old=$1

	give_address "$old"
	guest 1 "ip link set $interface address $old"
	ip link set "$port" mtu 1500
	ip neighbour flush dev "$BRIDGE"
	link_up 1
}

host_changes_the_guests_address() {
	local old new=52:54:00:77:bb:01

	old=$(port_field 1 mac)
	at_exit "restore_address $old"
	guest_address_is "$old"
	give_address $new
	wait_for 20 guest_address_is $new
	wait_for 20 port_has 1 guest_mac $new
	host ip neighbour flush dev "$BRIDGE"
	link_up 1
	neighbour_has "$(guest4 1)" $new
	neighbour_has "$(guest6 1)" $new
}

# An address that somebody chose in the guest stays, until it is the host's again.
own_address_is_left_alone() {
	local old own=52:54:00:77:cc:01 new=52:54:00:77:bb

	old=$(port_field 1 mac)
	at_exit "restore_address $old"
	in_guest 1 "ip link set $interface address $own"
	give_address $new:01
	set_mtu 1400
	set_mtu 1500
	guest_address_is $own
	port_has 1 guest_mac $own
	in_guest 1 "ip link set $interface address $new:01"
	give_address $new:02
	wait_for 20 guest_address_is $new:02
}

run_tests driver_loads_by_itself \
	ethtool_says_who_it_is \
	window_is_mapped_write_back \
	address_and_mtu_are_the_hosts \
	guest_takes_link_down_and_up \
	host_takes_link_down_and_up \
	host_takes_carrier_off_and_on \
	rings_change_size_under_traffic \
	bad_ring_sizes_are_refused \
	counters_count_each_frame \
	channels_are_the_queue_pairs \
	napi_of_the_port_is_threaded \
	threads_are_switched_without_a_guest \
	guest_changes_its_address \
	host_changes_the_guests_address \
	own_address_is_left_alone
