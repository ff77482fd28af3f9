# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests of networks of pvethd have in common: guests that join and leave them, with
# a DHCP client. To be sourced after lib_traffic.sh.
# shellcheck disable=SC2154 # lib_dir is lib.sh's

# Of their IPv4 prefixes
LENGTH4=24
MTU=1400
# Nobody's
OTHER_PORT=pvother

address4() { port_field "$1" ipv4; }
address6() { port_field "$1" ipv6; }

# unplug N: guest N has no port
unplug() {
	host guest --unplug "$1"
	host pvethctl del "$(port "$1")"
}

# plug N OPTION...: it has one again, made with these options
plug() {
	host pvethctl add "$(port "$1")" --mac "$(printf '52:54:00:77:00:%02x' "$1")" \
		"${@:2}" >/dev/null
	host guest --plug "$1"
	wait_for 60 port_is "$1" connected
}

# has_addresses N INTERFACE IPV4 IPV6: by few processes, which take time from the guest that
# is to get them
has_addresses() {
	on "$1" "has=\$(ip -brief address show dev $2 scope global -tentative)
		echo \"\$has\"
		[[ \"\$has \" == *' $3/$LENGTH4 '* && \"\$has \" == *' $4/128 '* ]]"
}

# wait_for_addresses N [SECONDS]: a client that starts waits for half a minute, and longer,
# where its first questions are lost
wait_for_addresses() {
	wait_for "${2-120}" has_addresses "$1" "$(guest_if "$1")" "$(address4 "$1")" \
		"$(address6 "$1")"
}

# Its client has seen that the link is down.
has_no_address() {
	[ -z "$(on "$1" "ip -4 -brief address show dev $(guest_if "$1") scope global")" ]
}

# start_client N: what guest N was given before goes, and a DHCP client does the rest
start_client() {
	local name

	name=$(guest_if "$1")
	on "$1" "ip address flush dev $name scope global
		ip route flush dev $name proto boot
		ip -6 route flush dev $name proto boot
		dhcpcd --quiet --background --noarp $name"
	wait_for_addresses "$1"
}

# One that it forks meanwhile pkill does not see.
no_client() { ! on "$1" "pkill -KILL dhcpcd"; }

# Says nothing of it, as when a guest is just ended. Told to end, dhcpcd 9.4 may stay, and
# one that is ending takes a new one for a command to itself.
kill_client() { wait_for 30 no_client "$1"; }

# join N NETWORK [OPTION...]
join() {
	plug "$1" --network "$2" --mtu $MTU "${@:3}"
	start_client "$1"
}

# The next client knows nothing of it.
give_up() {
	kill_client "$1"
	on "$1" "rm -f /var/lib/dhcpcd/*"
	unplug "$1"
}

leave_network() {
	give_up "$1"
	plug "$1" --bridge "$BRIDGE" --allow all
	link_up "$1"
}

answers() { ping -c 1 -W 1 "$1"; }

# filtered_out N: lines of REASON COUNT, of what the host's filter dropped
filtered_out() {
	pvethctl show "$(port "$1")" --json |
		jq -r '.filtered_out | to_entries[] | "\(.key) \(.value)"'
}

filtered_as_wanted() { filtered_out 1 | diff -q "$TMPDIR/wanted" -; }

# spoof network|bridge IPV4 IPV6: guest 1, which has these addresses, sends frames of all
# kinds, and each counts as it ought to in a network or in a bridge. The host's addresses
# are $HOST, and those of $HOST_CARD, in network $NETWORK.
spoof() {
	[ -e /sys/class/net/$OTHER_PORT ] || host pvethctl add $OTHER_PORT --network "$NETWORK" \
		>/dev/null
	at_exit "pvethctl del $OTHER_PORT"
	filtered_out 1 >"$TMPDIR/before"
	on 1 "$lib_dir/spoof.py $1 $(guest_if 1) $(port_field 1 mac) $2 $3 \
		$(cat "/sys/class/net/$HOST_CARD/address") ${HOST[*]} \
		$(pvethctl show $OTHER_PORT --get mac)" >"$TMPDIR/sent"
	grep -q ^passes "$TMPDIR/sent"
	awk -F '\t' 'NR == FNR { sent[$1]++; next }
		{ split($0, before, " "); print before[1], before[2] + sent[before[1]] }' \
		"$TMPDIR/sent" "$TMPDIR/before" >"$TMPDIR/wanted"
	! diff -q "$TMPDIR/before" "$TMPDIR/wanted" || fail "nothing would be dropped"
	# The last of them may not have come yet.
	(wait_for 10 filtered_as_wanted) || true
	filtered_out 1 | diff "$TMPDIR/wanted" - || fail "sent: $(cat "$TMPDIR/sent")"
}

for setting in /proc/sys/net/ipv6/conf/*/accept_ra /proc/sys/net/ipv6/conf/all/forwarding; do
	at_exit "[ ! -e $setting ] || echo $(cat "$setting") >$setting"
done
