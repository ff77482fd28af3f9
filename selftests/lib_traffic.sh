# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Traffic for the tests: who sends what to whom, and whether it arrived as it
# was sent. To be sourced after lib.sh.
#
# A place is "host", the number of a guest, or "ns:NAME", a network namespace.

# The tests are about guest 1, and its port.
interface=$(guest_if 1)
port=$(port 1)

# What a script writes goes here, files of mktemp as well.
TMPDIR=$(mktemp -d)
export TMPDIR
at_exit "rm -r $TMPDIR"
trap run_cleanup EXIT

# Of a transfer, or whatever else must come, in seconds
BOUND=$((200 * patience))

# How much is sent where that does not matter: slow kernels are to do the same in the end
STREAM=1M DATAGRAMS=512K
[ "$patience" = 1 ] || STREAM=256K DATAGRAMS=128K

# on PLACE SCRIPT: run lines of shell there
on() {
	local words

	# In one line
	read -r -d '' -a words <<<"$2" || true
	note "$1: ${words[*]}"
	case $1 in
	host) bash -c "set -e -o pipefail; $2" ;;
	ns:*) ip netns exec "${1#ns:}" bash -c "set -e -o pipefail; $2" ;;
	*) guest "$1" "set -e -o pipefail; $2" ;;
	esac </dev/null
}

needs_guest() { [ -d "/sys/class/net/$(port "$1")" ] || skip "there is no guest $1"; }

# ping_sizes PLACE SIZE[,SIZE...] ADDRESS...: each answer comes, and holds what
# was asked
ping_sizes() {
	on "$1" "for address in ${*:3}; do
		for size in ${2//,/ }; do
			out=\$(ping -c 2 -i 0.01 -W $((10 * patience)) -s \$size \$address) || {
				echo \"\$out\"
				exit 1
			}
			case \$out in
			*wrong*) echo \"\$out\"; exit 1 ;;
			esac
		done
	done"
}

# socat's words for a port at an address: "6", "[fd77::1]:PORT"
socat_family() { case $1 in *:*) echo 6 ;; *) echo 4 ;; esac; }
socat_address() { case $1 in *:*) echo "[$1]:$2" ;; *) echo "$1:$2" ;; esac; }

# Script that makes a file of random bytes: random_file BYTES
random_file() {
	echo "file=\$(mktemp); trap 'rm -f \$file \$file.n' EXIT
		head -c $1 /dev/urandom >\$file"
}

# receive SOCAT-ADDRESS: script that prints the sum of all that comes
receive() { echo "timeout $BOUND socat -d -d -u -b 65536 $1 - | sha256sum"; }
receiver_is_ready() {
	grep -q 'listening on\|starting data transfer loop' "$1"
}

# arrives FROM SENDER TO RECEIVER: both are scripts that print a sum, of what
# they sent and of what they received
arrives() {
	local sent received log receiver

	sent=$(mktemp)
	received=$(mktemp)
	log=$(mktemp)
	on "$3" "$4" >"$received" 2>"$log" &
	receiver=$!
	wait_for 60 receiver_is_ready "$log"
	on "$1" "$2" >"$sent" || fail "the sender: status $?"
	wait $receiver || fail "the receiver: $(cat "$log")"
	[ "$(cat "$sent")" = "$(cat "$received")" ] ||
		fail "what arrived is not what was sent: $(cat "$log")"
	rm "$sent" "$received" "$log"
}

# tcp FROM TO ADDRESS [BYTES=STREAM]: a stream from one place to the other, at ADDRESS
tcp() {
	local family to number=$((20000 + RANDOM % 10000))

	family=$(socat_family "$3")
	to=TCP$family:$(socat_address "$3" $number)
	arrives "$1" "$(random_file "${4:-$STREAM}")
			sha256sum <\$file
			timeout $BOUND socat -u FILE:\$file $to" \
		"$2" "$(receive "TCP$family-LISTEN:$number,reuseaddr")"
}

# tcp_until STOP FROM TO ADDRESS: the same bytes again and again, until there is
# a file STOP at the sender
tcp_until() {
	local family to number=$((20000 + RANDOM % 10000))

	family=$(socat_family "$4")
	to=TCP$family:$(socat_address "$4" $number)
	arrives "$2" "$(random_file 1M)
			{
				n=0
				until [ -e $1 ]; do cat \$file; n=\$((n + 1)); done
				echo \$n >\$file.n
			} | timeout $BOUND socat -u - $to
			read -r n <\$file.n
			while [ \$n -gt 0 ]; do cat \$file; n=\$((n - 1)); done |
				sha256sum" \
		"$3" "$(receive "TCP$family-LISTEN:$number,reuseaddr")"
}

# Receivers of datagrams want room for all that come while they do not run.
# udp_room PLACE...: until the test ends
udp_room() {
	local place file=/proc/sys/net/core/rmem_max before

	for place; do
		before=$(on "$place" "read -r n <$file; echo \$n; echo 16777216 >$file")
		at_exit "on $place 'echo $before >$file'"
	done
}

# udp FROM TO ADDRESS BYTES-OF-A-DATAGRAM [BYTES=DATAGRAMS]: none is lost, none overtakes
# another. The last one is empty, and ends it.
udp() {
	local family to number=$((20000 + RANDOM % 10000))

	family=$(socat_family "$3")
	to=UDP$family-SENDTO:$(socat_address "$3" $number)
	arrives "$1" "$(random_file "${5:-$DATAGRAMS}")
			sha256sum <\$file
			timeout $BOUND socat -u -b $4 FILE:\$file $to,shut-null" \
		"$2" "$(receive "UDP$family-RECV:$number,null-eof,rcvbuf=16777216")"
}

# Datagrams in bulk, so many in a call, which make a large frame. send_in_bulk
# ADDRESS PORT CALLS: script that prints a sum, for arrives
DATAGRAM=1400 PER_CALL=25
send_in_bulk() {
	cat <<-END
	$(random_file $((DATAGRAM * PER_CALL * $3)))
	sha256sum <\$file
	python3 - \$file <<-PYTHON
	import socket, sys
	UDP_SEGMENT = 103
	family = socket.AF_INET6 if ":" in "$1" else socket.AF_INET
	udp = socket.socket(family, socket.SOCK_DGRAM)
	udp.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, $DATAGRAM)
	with open(sys.argv[1], "rb") as file:
	    while data := file.read($((DATAGRAM * PER_CALL))):
	        udp.sendto(data, ("$1", $2))
	udp.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
	udp.sendto(b"", ("$1", $2))
	PYTHON
	END
}

# read_counters INTERFACE: script that prints all counters of an interface
read_counters() { echo "ethtool -S $1; (cd /sys/class/net/$1/statistics; grep -H . *)"; }

# Makes lines of NAME VALUE out of that, summed over queues.
sum_counters() {
	sed -n 's,^.*/,,; s/^ *queue[0-9]*_//; s/^\([a-z0-9_]*\): *\([0-9]*\)$/\1 \2/p' |
		awk '{ sum[$1] += $2 } END { for (n in sum) print n, sum[n] }' | sort
}

# counters PLACE: of the card, at this end
counters() {
	if [ "$1" = host ]; then
		on host "$(read_counters "$port")"
	else
		on "$1" "$(read_counters "$interface")"
	fi | sum_counters
}

# moved PLACE NAME: what a counter has moved by, from $TMPDIR/PLACE.before to
# $TMPDIR/PLACE.after, both made by counters
moved() {
	awk -v name="$2" '$1 == name { n++; d = $2 - d }
		END { if (n != 2) exit 1; print d }' \
		"$TMPDIR/$1.before" "$TMPDIR/$1.after"
}

# The network of guest 1 as it was at its start: closing the interface, and an
# MTU that is too small for IPv6, take addresses and routes away.
restore_guest() { on 1 "$(guest_addresses)"; }
guest_addresses() {
	cat <<-END
		ip -force -batch - <<-BATCH
			link set $interface up
			address replace $(guest4 1)/24 dev $interface
			address replace $(guest6 1)/64 dev $interface nodad
			route replace default via $HOST4 dev $interface
			route replace default via $HOST6 dev $interface
			${1-}
			${2-}
		BATCH
	END
}

# Until the test ends, the port is no member of the bridge, and it and the guest
# have a subnet of their own, 10.78.1.0/24 and fd78:1::/64, where the port is 1
# and the guest is 2.
leave_bridge() {
	at_exit return_to_bridge
	ip link set "$port" nomaster
	ip address add 10.78.1.1/24 dev "$port"
	ip address add fd78:1::1/64 dev "$port" nodad
	on 1 "ip address add 10.78.1.2/24 dev $interface
		ip address add fd78:1::2/64 dev $interface nodad"
}

return_to_bridge() {
	ip address flush dev "$port"
	ip link set "$port" master "$BRIDGE" mtu 1500 up
	wait_for 30 guest_mtu_is 1500
	on 1 "$(guest_addresses "address del 10.78.1.2/24 dev $interface" \
		"address del fd78:1::2/64 dev $interface")" || true
}

# card_with OPTION...: guest 1 gets another card, and port, made by pvethctl add with
# these options. It starts anew: the windows of some, and the memory of others, cannot
# be hot-plugged.
card_with() {
	host guest --stop 1
	host pvethctl del "$port"
	host pvethctl add "$port" --mac 52:54:00:77:00:01 --bridge "$BRIDGE" --allow all "$@" >/dev/null
	host ip link set "$port" master "$BRIDGE" up
	host guest --start 1
	host guest --wait 1
	link_up 1
}

# The options by which the port is what it is
card_options() {
	local options

	options="--queues $(port_field 1 queues) --mode $(port_field 1 mode)"
	[[ $options == *window ]] ||
		options+=" --memory $(port_field 1 memory) --memory-dir $(port_field 1 memory_dir)"
	echo "$options"
}

# port_has N FIELD VALUE: for wait_for
port_has() { [ "$(port_field "$1" "$2")" = "$3" ]; }

guest_mtu_is() {
	guest 1 "read -r mtu </sys/class/net/$interface/mtu; [ \$mtu = $1 ]"
}

# Queues that drop only what does not fit, and then the sender waits: the default
# one drops also what was in it for too long, which slow machines do.
# At both ends, until the test ends
plain_queues() {
	at_exit "tc qdisc del dev $port root"
	at_exit "guest 1 'tc qdisc del dev $interface root'"
	host tc qdisc replace dev "$port" root pfifo
	on 1 "tc qdisc replace dev $interface root pfifo"
}

# Numbered frames from one place to another, whatever the network thinks of
# them. SENDER and RECEIVER are arguments of frames: interface, sizes, options.
# frames FROM SENDER TO RECEIVER
frames() {
	local log receiver status=0

	log=$(mktemp)
	# shellcheck disable=SC2154 # set by lib.sh
	on "$3" "$lib_dir/frames recv -w $((20 * patience)) $4" >"$log" &
	receiver=$!
	wait_for 60 grep -q ready "$log"
	on "$1" "$lib_dir/frames send $2"
	wait $receiver || status=$?
	cat "$log"
	rm "$log"
	return $status
}
