#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Many ports in one network, without guests: the last is made as fast as the first.
# There are $PVETH_PORTS of them, or 100, and fewer on a debug kernel.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"

PORTS=${PVETH_PORTS:-$((patience > 1 ? 40 : 100))}
NETWORK=scale
# How many of the first, and of the last, are compared
SOME=10

add_port() { pvethctl add "s$1" --network $NETWORK >/dev/null; }

# took COMMAND...: the microseconds that it takes
took() {
	local start=$EPOCHREALTIME

	"$@" || fail "$*"
	echo $((${EPOCHREALTIME/./} - ${start/./}))
}

median() { sort -n | sed -n "$(((SOME + 1) / 2))p"; }

last_is_as_fast_as_the_first() {
	local n first last

	for ((n = 1; n <= PORTS; n++)); do
		took add_port "$n"
	done >"$times"
	first=$(head -n $SOME "$times" | median)
	last=$(tail -n $SOME "$times" | median)
	note "the first: $first us, the last: $last us"
	[ "$last" -le $((2 * first)) ]
}

each_has_its_own_address() {
	[ "$(pvethctl network show $NETWORK --json |
		jq -r '.ports[].ipv4' | sort -u | wc -l)" = "$PORTS" ]
	[ "$(ip route show | grep -c '^10\.90\..* dev s')" = "$PORTS" ]
	[ "$(ip -6 route show | grep -c '^fd90::.* dev s')" = "$PORTS" ]
}

list_answers_soon() {
	local time

	time=$(took list)
	note "$PORTS ports: $time us"
	[ "$(grep -c '^s[0-9]' "$times.list")" = "$PORTS" ]
	[ "$time" -lt $((1000000 * patience)) ]
}
list() { pvethctl list >"$times.list"; }

daemon_takes_them_up_again() {
	local before

	before=$(addresses)
	kill_pvethd
	restore_pvethd
	[ "$(addresses)" = "$before" ]
}
addresses() { pvethctl list --json | jq -r '.[] | "\(.name) \(.mac) \(.ipv4)"'; }

give_up() {
	local n

	for ((n = 1; n <= PORTS; n++)); do
		pvethctl del "s$n" >/dev/null
	done
	pvethctl network del $NETWORK >/dev/null
}

times=$(mktemp)
at_exit "rm -f $times $times.list"
at_exit give_up
host pvethctl network add $NETWORK --ipv4 10.90.0.0/16 --ipv6 fd90::/64 >/dev/null

run_tests last_is_as_fast_as_the_first \
	each_has_its_own_address \
	list_answers_soon \
	daemon_takes_them_up_again
