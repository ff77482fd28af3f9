#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules are unloaded and loaded again on either side while frames flow, and the
# link comes back by itself.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=3

driver_reload() {
	local i sessions

	link_up 1
	sessions=$(port_field 1 sessions)
	traffic 1
	for ((i = 1; i <= ROUNDS; i++)); do
		in_guest 1 rmmod pveth
		wait_for 60 port_is 1 ready
		host_no_carrier 1
		in_guest 1 modprobe pveth
		link_up 1
	done
	[ "$(port_field 1 sessions)" -eq $((sessions + ROUNDS)) ] || fail "not $ROUNDS sessions"
}

# Without a pause, whatever the state of the handshake
driver_reload_at_once() {
	link_up 1
	traffic 1
	in_guest 1 'for i in 1 2 3 4 5; do rmmod pveth && modprobe pveth || exit; done'
	link_up 1
	port_is 1 connected
}

is_in_bridge() { [ -e "/sys/class/net/$BRIDGE/brif/$(port "$1")" ]; }

# pvethd makes the ports again and attaches the guests that it knows.
backend_reload() {
	local i interface n

	all_links_up
	interface=$(guest_if 1)
	traffic 1
	for ((i = 1; i <= ROUNDS; i++)); do
		host rmmod pveth_host
		[ ! -e "/sys/class/net/$(port 1)" ]
		wait_for 60 guest_no_carrier 1 "$interface"
		host modprobe pveth_host
		for n in $(guests); do
			wait_for 60 is_in_bridge "$n"
		done
		all_links_up
	done
	for n in $(guests); do
		port_is "$n" connected
	done
}

# Asking for a link of kind pveth, and then nothing but waiting
backend_autoload() {
	all_links_up
	host rmmod pveth_host
	host ip link add pvt0 type pveth
	at_exit ip link del pvt0
	all_links_up
}

# The guest's interface is down, and so the handshake begins only later.
backend_reload_while_down() {
	local interface

	link_up 1
	interface=$(guest_if 1)
	in_guest 1 ip link set "$interface" down
	# What gives it its addresses, of which some go with it
	at_exit "guest 1 udevadm trigger --action=add --subsystem-match=net; link_up 1"
	wait_for 60 port_is 1 ready
	host rmmod pveth_host
	host modprobe pveth_host
	wait_for 60 port_is 1 ready
	guest 1 ip link set "$interface" up
	wait_for 60 port_is 1 connected
	wait_for 60 guest_carrier 1 "$interface"
}

run_tests \
	driver_reload \
	driver_reload_at_once \
	backend_reload \
	backend_autoload \
	backend_reload_while_down
