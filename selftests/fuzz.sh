#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests and hosts that do anything.
#
#   portctl ---- pvt0                    plays the guest of a port of the test
#   guest 1: pveth ---- portctl          plays the host
#
# From a seed come always the same steps, in the order of which nothing is certain but that
# the other side takes its time. Afterwards it works with an honest peer. That nothing is on
# a console is for the rig to see.
#
# PVETH_FUZZ_STEPS and PVETH_FUZZ_SEED are for those who have more time.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_window.sh
. "$(dirname "$0")/lib_window.sh"

P=pvt0
STEPS=${PVETH_FUZZ_STEPS:-$((patience > 1 ? 300 : 1000))}
SEEDS=${PVETH_FUZZ_SEED:-1 2 3}
RAM=(region=0:0x100000 region=0x200000:0x10000 region=0x210000:0x10000)

# any_guest [REGION]...: while the host has frames for it
any_guest() {
	local ping seed

	test_port $P
	host ip address add 10.78.0.1/24 dev $P
	host ip neighbour add 10.78.0.2 lladdr 52:54:00:00:00:01 dev $P
	for seed in $SEEDS; do
		note "host: ping -f 10.78.0.2"
		ping -f -q -s 1000 10.78.0.2 >/dev/null 2>&1 &
		ping=$!
		at_exit "kill $ping 2>/dev/null"
		host portctl attach $P "$@" fuzz seed="$seed" count="$STEPS" \
			run "kill -KILL $ping && ip link set $P down && ip link set $P up" \
			request desc publish buf post frame >"$DIR/said"
		wait $ping || true
		diff -u - "$DIR/said" <<-EOT
		fuzz: $STEPS steps
		request: connected
		publish: id 0 ok
		frame: id 0 length 60
		EOT
		wait_for 60 port_says_that $P state detached
	done
	# The guests of others
	all_links_up
}

guest_in_window_mode() { any_guest; }

guest_in_either_mode() { any_guest "${RAM[@]}"; }

# While the guest has frames for it
host_in_window_mode() {
	local ping seed

	# shellcheck disable=SC2119
	play_host
	in_guest 1 "ip address add 10.78.0.1/24 dev $card &&
		ip neighbour add 10.78.0.2 lladdr 52:54:00:00:00:02 dev $card"
	# shellcheck disable=SC2016 # the guest's
	ping=$(guest 1 'ping -f -q 10.78.0.2 >/dev/null 2>&1 & echo $!')
	at_exit "guest 1 kill $ping"
	for seed in $SEEDS; do
		plays "fuzz seed=$seed count=$STEPS"
		said_is "fuzz: $STEPS steps"
		good_again
		wait_for 60 guest_carrier 1 "$card"
	done
	in_guest 1 ip link set "$card" down
	in_guest 1 rmmod pveth
	in_guest 1 modprobe pveth
}

good_card() {
	take_card_out
	put_card_in
}

run_tests guest_in_window_mode guest_in_either_mode host_in_window_mode good_card
