#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Windows that are not pveth's, or broken.
#
#   guest 1: pveth ---- a window of portctl's, in the slot of its card
#
# The driver leaves alone what is not its own, says what is wrong with what is, and
# drives the good card as before.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_window.sh
. "$(dirname "$0")/lib_window.sh"

# made_of WHAT-IT-IS: compares what the driver makes of it with standard input,
# and the window with what it was
made_of() {
	note "the window is $1"
	cp "$FILE" "$FILE.before"
	diff -u - <(probe 2>/dev/null)
	cmp "$FILE" "$FILE.before" || fail "the driver wrote to it"
}

window_of_others() {
	take_card_out
	head -c $((WINDOW)) /dev/urandom >"$FILE"
	put_file_in "$FILE"
	made_of "random bytes" <<<"left alone"
	dd if=/dev/zero of="$FILE" bs=$((WINDOW)) count=1 conv=notrunc status=none
	made_of "zeros" <<<"left alone"
	portctl window "$FILE" $WINDOW magic=0x4e49574854455651
	made_of "of another magic" <<<"left alone"

	portctl window "$FILE" $WINDOW major=2
	made_of "of another version" <<-EOT
	left alone
	pveth DEVICE: the host speaks version 2.0 of the pveth ABI, this driver 1.0
	EOT
	portctl window "$FILE" $WINDOW window-size=$((2 * WINDOW))
	made_of "truncated" <<-EOT
	left alone
	pveth DEVICE: the window has 1048576 bytes, the host says 2097152
	failed with error -22
	EOT
	portctl window "$FILE" $WINDOW queue-pairs=0
	made_of "of no queue pair" <<-EOT
	left alone
	pveth DEVICE: the host offers 0 queue pairs, not 1 to 16
	failed with error -22
	EOT
	portctl window "$FILE" $WINDOW queue-pairs=17
	made_of "of 17 queue pairs" <<-EOT
	left alone
	pveth DEVICE: the host offers 17 queue pairs, not 1 to 16
	failed with error -22
	EOT
	portctl window "$FILE" $WINDOW
	made_of "good, but has no doorbells" <<-EOT
	left alone
	pveth DEVICE: the device needs at least 2 interrupt vectors
	failed with error -22
	EOT
}

# Not even a host's page and a guest's fit into it.
tiny_window() {
	take_card_out
	portctl window "$FILE" 4096
	put_file_in "$FILE"
	made_of "of one page" <<<"left alone"
}

broken_configuration() {
	local mac mtu

	take_card_out
	portctl window "$FILE" $WINDOW mtu=0
	put_served_in serve "$FILE" 17
	for mtu in 0 67 65522 4294967295; do
		portctl window "$FILE" $WINDOW mtu=$mtu
		note "the window is of MTU $mtu"
		probe 2>/dev/null | diff -u <(cat <<-EOT
		left alone
		pveth DEVICE: the host's MTU ($mtu) or MAC address (52:54:00:00:00:01) is not valid
		failed with error -22
		EOT
		) -
	done
	for mac in 00:00:00:00:00:00 01:00:5e:00:00:01; do
		portctl window "$FILE" $WINDOW mac=$mac
		note "the window is of MAC address $mac"
		probe 2>/dev/null | diff -u <(cat <<-EOT
		left alone
		pveth DEVICE: the host's MTU (1500) or MAC address ($mac) is not valid
		failed with error -22
		EOT
		) -
	done
	# That the others were left alone was their fault.
	portctl window "$FILE" $WINDOW
	note "the window is good"
	probe 2>/dev/null | diff -u <(printf '%s\n' taken "an interface") -
}

# What the host offers may change from session to session. A version that is newer in its
# last digit is as good as ours.
broken_offer_later() {
	local card n

	take_card_out
	portctl window "$FILE" $WINDOW minor=7
	put_served_in serve "$FILE" 17
	probe 2>/dev/null | diff -u <(printf '%s\n' taken "an interface") -
	card=$(guest_if 1)
	for n in 0 17 65535; do
		in_guest 1 "ip link set $card down; dmesg -C"
		portctl window "$FILE" $WINDOW queue-pairs=$n
		in_guest 1 "ip link set $card up"
		wait_for 20 guest 1 "dmesg | grep 'the host broke the protocol (error 2)'"
		guest_no_carrier 1 "$card"
	done
}

# Not even the smallest rings of one queue pair fit into it, with their buffers.
small_window() {
	local bytes=$((WINDOW / 4))

	take_card_out
	rm -f "$FILE"
	portctl window "$FILE" $bytes queue-pairs=16
	put_served_in serve "$FILE" 17
	note "the window is too small for a queue pair"
	probe 2>/dev/null | diff -u <(cat <<-EOT
	left alone
	pveth DEVICE: a window of $bytes bytes is too small for a queue pair
	failed with error -28
	EOT
	) -
}

good_card() {
	take_card_out
	put_card_in
}

run_tests \
	window_of_others \
	tiny_window \
	broken_configuration \
	broken_offer_later \
	small_window \
	good_card
