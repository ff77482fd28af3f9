#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests and hosts that do anything.
#
#   portctl ---- pvt0                    plays the guest of a port of the test
#   guest 1: pveth ---- portctl          plays the host
#
# What a step does comes from its number and a seed, but for what depends on how far the other
# side has come. Afterwards that side works with an honest peer. That nothing is on a console
# is for the rig to see.
#
# PVETH_FUZZ_STEPS and PVETH_FUZZ_SEED are for those who have more time: a few steps take a
# second where a session has to begin again.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_window.sh
. "$(dirname "$0")/lib_window.sh"

P=pvt0
STEPS=${PVETH_FUZZ_STEPS:-$((patience > 1 ? 300 : 1000))}
SEEDS=${PVETH_FUZZ_SEED:-1 2 3}

# Steps at a time, after which an honest peer is asked for
CHUNK=1000

# each_chunk COMMAND...: with the words that say what to do
each_chunk() {
	local from seed

	for seed in $SEEDS; do
		for ((from = 0; from < STEPS; from += CHUNK)); do
			"$@" "fuzz seed=$seed from=$from count=$((STEPS < CHUNK ? STEPS : CHUNK))"
		done
	done
}

port_counts() { portctl get $P | sed 's/.* g2h-frames=\([^ ]*\) .* h2g-frames=\([^ ]*\) .*/\1 \2/'; }

# more_than BEFORE AFTER: frames went in both directions
more_than() {
	local -a before after

	read -ra before <<<"$1"
	read -ra after <<<"$2"
	[ "${after[0]}" -gt "${before[0]}" ] && [ "${after[1]}" -gt "${before[1]}" ]
}

# any_guest WORDS: while the host has frames for it
any_guest() {
	local before ping said

	before=$(port_counts)
	note "host: ping -f -b 10.78.0.255"
	ping -f -q -s 1000 -b 10.78.0.255 >/dev/null 2>&1 &
	ping=$!
	at_exit "kill $ping 2>/dev/null"
	# shellcheck disable=SC2086 # several words
	host portctl attach $P "${ram[@]}" $1 \
		run "kill -KILL $ping && ip link set $P down && ip link set $P up" \
		request desc publish buf post frame >"$DIR/said"
	wait $ping || true
	said=$(tail -n 3 "$DIR/said")
	diff -u - <(echo "$said") <<-EOT
	request: connected
	publish: id 0 ok
	frame: id 0 length 60
	EOT
	more_than "$before" "$(port_counts)" || fail "no frames came through"
	wait_for 60 port_says_that $P state detached
}

guest_in_window_mode() {
	local -a ram=()

	test_port $P
	host ip address add 10.78.0.1/24 dev $P
	each_chunk any_guest
	# The guests of others
	all_links_up
}

guest_in_either_mode() {
	local -a ram=(region=0:0x100000 region=0x200000:0x10000 region=0x210000:0x10000)

	test_port $P
	host ip address add 10.78.0.1/24 dev $P
	each_chunk any_guest
	all_links_up
}

guest_counts() {
	guest 1 "cat /sys/class/net/$card/statistics/{tx,rx}_packets" | xargs
}

# How often the carrier came. It may be gone when we look: the guest gives up a host that
# completes none of its frames.
guest_carrier_ups() { guest 1 "cat /sys/class/net/$card/carrier_up_count"; }
carrier_came_again() { [ "$(guest_carrier_ups)" -gt "$1" ]; }

# any_host WORDS: while the guest has frames for it
any_host() {
	local before ups

	before=$(guest_counts)
	plays "offer link=1 $1"
	ups=$(guest_carrier_ups)
	good_again
	wait_for 60 carrier_came_again "$ups"
	more_than "$before" "$(guest_counts)" || fail "no frames came through"
	# Nobody takes the guest's frames now, for which it would be sorry after a while.
	plays offer link=0
	wait_for 60 guest_no_carrier 1 "$card"
}

host_in_window_mode() {
	local ping

	# In direct mode it can do anything to the guest.
	[ -z "$(guest_ram)" ] || skip "the rig is in direct mode"
	# shellcheck disable=SC2119
	play_host
	in_guest 1 "ip address add 10.78.0.1/24 dev $card"
	# shellcheck disable=SC2016 # the guest's
	ping=$(guest 1 'ping -f -q -b 10.78.0.255 >/dev/null 2>&1 & echo $!')
	at_exit "guest 1 kill $ping"
	each_chunk any_host
	in_guest 1 ip link set "$card" down
	in_guest 1 rmmod pveth
	in_guest 1 modprobe pveth
}

good_card() {
	take_card_out
	put_card_in
}

run_tests guest_in_window_mode guest_in_either_mode host_in_window_mode good_card
