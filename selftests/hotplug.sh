#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The card of guest 1 comes and goes while frames flow: hot-plug by QEMU, unbind
# and bind by the guest's administrator.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

card_is_in() { guest 1 'grep -qx 0x1110 /sys/bus/pci/devices/*/device'; }
card_is_out() { guest 1 '! grep -qx 0x1110 /sys/bus/pci/devices/*/device'; }
interfaces() { guest 1 'ls /sys/class/net'; }
no_interface() { [ "$(interfaces)" = lo ]; }

unplugged() {
	wait_for 60 card_is_out
	no_interface || fail "there is an interface: $(interfaces)"
	wait_for 60 port_is 1 detached
	wait_for 60 host_no_carrier 1
}

unplug_and_plug() {
	local sessions

	link_up 1
	sessions=$(port_field 1 sessions)
	traffic 1
	host guest --unplug 1
	unplugged
	host guest --plug 1
	link_up 1
	[ "$(port_field 1 sessions)" -eq $((sessions + 1)) ] || fail "more than one session"
	port_is 1 connected
}

qmp() { note "guest 1's QEMU: $1"; guest --qmp 1 "$1" >/dev/null; }

# The arguments for QEMU as pvethctl shows them, but with a chardev of its own
plug_as() {
	local -a args
	local path

	mapfile -t args < <(pvethctl show "$(port 1)" --json | jq -r '.qemu_args[]')
	path=${args[1]##*path=}
	qmp '{"execute": "chardev-add", "arguments": {"id": "'"$1"'", "backend": {"type": "socket",
		"data": {"server": false, "addr": {"type": "unix", "data": {"path": "'"$path"'"}}}}}}'
	qmp '{"execute": "device_add", "arguments": {"driver": "ivshmem-doorbell", "id": "'"$1"'-card",
		"bus": "rp1", "chardev": "'"$1"'", "vectors": '"${args[3]##*vectors=}"'}}'
}

unplug_from() {
	qmp '{"execute": "device_del", "arguments": {"id": "'"$1"'-card"}}'
	wait_for 60 card_is_out
}

remove_chardev() { qmp '{"execute": "chardev-remove", "arguments": {"id": "'"$1"'"}}'; }

# QEMU keeps the connection of a card that went. A new one, with a connection of
# its own, takes its place.
plug_beside_old_chardev() {
	host guest --unplug 1
	at_exit "guest --plug 1; link_up 1"
	unplugged
	plug_as first
	at_exit remove_chardev first
	link_up 1
	unplug_from first
	plug_as second
	at_exit remove_chardev second
	at_exit unplug_from second
	link_up 1
}

unbind_and_bind() {
	local card

	link_up 1
	traffic 1
	card=$(guest 1 'basename /sys/bus/pci/drivers/pveth/0*')
	in_guest 1 "echo $card >/sys/bus/pci/drivers/pveth/unbind"
	no_interface || fail "there is an interface: $(interfaces)"
	wait_for 60 port_is 1 ready
	host_no_carrier 1
	in_guest 1 "echo $card >/sys/bus/pci/drivers/pveth/bind"
	link_up 1
	in_guest 1 "cd /sys/bus/pci/drivers/pveth
		for i in 1 2 3 4 5; do
			echo $card >unbind && echo $card >bind || exit
		done"
	link_up 1
	port_is 1 connected
}

run_tests \
	unplug_and_plug \
	plug_beside_old_chardev \
	unbind_and_bind
