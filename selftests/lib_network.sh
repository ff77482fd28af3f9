# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests of networks of pvethd have in common: guests that join and leave them, with
# a DHCP client. To be sourced after lib_traffic.sh.

# Of their IPv4 prefixes
LENGTH4=24
MTU=1400

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

has_addresses() {
	on "$1" "ip -brief address show dev $(guest_if "$1") scope global" | tee "$TMPDIR/has"
	grep -w "$(address4 "$1")/$LENGTH4" "$TMPDIR/has" | grep -w "$(address6 "$1")/128"
}

# join N NETWORK [OPTION...]: what the guest was given by the rig goes, and a DHCP client
# does the rest
join() {
	local name

	plug "$1" --network "$2" --mtu $MTU "${@:3}"
	name=$(guest_if "$1")
	on "$1" "ip address flush dev $name scope global
		ip route flush dev $name proto boot
		ip -6 route flush dev $name proto boot
		dhcpcd --quiet --background --noarp $name"
	# A client waits for half a minute, and longer, where its first questions are lost.
	wait_for 120 has_addresses "$1"
}

# The guest's client says nothing of it, as when a guest is just ended, and the next one
# knows nothing of it.
give_up() {
	on "$1" "pkill dhcpcd; rm -f /var/lib/dhcpcd/*" || true
	unplug "$1"
}

leave_network() {
	give_up "$1"
	plug "$1" --bridge "$BRIDGE"
	link_up "$1"
}

answers() { ping -c 1 -W 1 "$1"; }

for setting in /proc/sys/net/ipv6/conf/*/accept_ra /proc/sys/net/ipv6/conf/all/forwarding; do
	at_exit "[ ! -e $setting ] || echo $(cat "$setting") >$setting"
done
