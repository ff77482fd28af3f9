# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Traffic for the tests: who sends what to whom, and whether it arrived as it
# was sent. To be sourced after lib.sh.
#
# A place is "host", the number of a guest, or "ns:NAME", a network namespace.

# What a script writes goes here, files of mktemp as well.
TMPDIR=$(mktemp -d)
export TMPDIR
at_exit "rm -r $TMPDIR"
trap run_cleanup EXIT

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
			out=\$(ping -c 2 -i 0.01 -W 10 -s \$size \$address) || {
				echo \"\$out\"
				exit 1
			}
			case \$out in
			*wrong*) echo \"\$out\"; exit 1 ;;
			esac
		done
	done"
}

# Ends of a connection as socat wants them: one word for the family, and the
# address in brackets for IPv6
socat_family() { case $1 in *:*) echo 6 ;; *) echo 4 ;; esac; }
socat_address() { case $1 in *:*) echo "[$1]" ;; *) echo "$1" ;; esac; }

# Prints the sum of a file with random bytes, and sends it
# send_random PLACE BYTES SOCAT-ARGUMENT...
send_random() {
	on "$1" "file=\$(mktemp)
		trap 'rm \$file' EXIT
		head -c $2 /dev/urandom >\$file
		sha256sum <\$file
		timeout 60 socat -u ${*:3}"
}

same_sum() {
	[ "$(cat "$1")" = "$(cat "$2")" ] ||
		fail "what arrived is not what was sent: $(cat "$1" "$2")"
}

# tcp FROM TO ADDRESS [BYTES]: a stream from one place to the other, at ADDRESS
tcp() {
	local family port=$((20000 + RANDOM % 10000)) sent received receiver
	local address

	family=$(socat_family "$3")
	address=$(socat_address "$3")
	sent=$(mktemp)
	received=$(mktemp)
	on "$2" "timeout 60 socat -u TCP$family-LISTEN:$port,reuseaddr - |
		sha256sum" >"$received" &
	receiver=$!
	send_random "$1" "${4:-2M}" "FILE:\$file" \
		"TCP$family:$address:$port,retry=600,interval=0.1" >"$sent"
	wait $receiver
	same_sum "$sent" "$received"
	rm "$sent" "$received"
}

# tcp_until STOP FROM TO ADDRESS: a stream that ends when there is a file STOP at
# its sender
tcp_until() {
	local chunks="n=0
		until [ -e $1 ]; do cat \$file; n=\$((n + 1)); done
		echo \$n >\$file.n"
	local again="read -r n <\$file.n
		while [ \$n -gt 0 ]; do cat \$file; n=\$((n - 1)); done"

	local family port=$((20000 + RANDOM % 10000)) sent received receiver
	local address

	family=$(socat_family "$4")
	address=$(socat_address "$4")
	sent=$(mktemp)
	received=$(mktemp)
	on "$3" "timeout 100 socat -u TCP$family-LISTEN:$port,reuseaddr - |
		sha256sum" >"$received" &
	receiver=$!
	on "$2" "file=\$(mktemp)
		trap 'rm \$file*' EXIT
		head -c 64K /dev/urandom >\$file
		{ $chunks
		} | timeout 100 socat -u - \
			TCP$family:$address:$port,retry=600,interval=0.1
		{ $again
		} | sha256sum" >"$sent"
	wait $receiver
	same_sum "$sent" "$received"
	rm "$sent" "$received"
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

# udp FROM TO ADDRESS BYTES-OF-A-DATAGRAM [BYTES]: none is lost, none overtakes
# another. The last one is empty, and ends it.
udp() {
	local family port=$((20000 + RANDOM % 10000)) sent received receiver
	local address

	family=$(socat_family "$3")
	address=$(socat_address "$3")
	sent=$(mktemp)
	received=$(mktemp)
	on "$2" "timeout 60 socat -u -b 65536 \
		UDP$family-RECV:$port,null-eof,rcvbuf=16777216 - |
		sha256sum" >"$received" &
	receiver=$!
	wait_for 30 on "$2" "ss -Hlun sport = :$port | grep -q ."
	send_random "$1" "${5:-1M}" "-b $4 FILE:\$file" \
		"UDP$family-SENDTO:$address:$port,shut-null" >"$sent"
	wait $receiver
	same_sum "$sent" "$received"
	rm "$sent" "$received"
}

# counters PLACE INTERFACE: lines of NAME VALUE, summed over queues
counters() {
	on "$1" "ethtool -S $2; cd /sys/class/net/$2/statistics; grep -H . *" |
		sed -n 's/^ *queue[0-9]*_//; s/^\([a-z0-9_]*\): *\([0-9]*\)$/\1 \2/p' |
		awk '{ sum[$1] += $2 } END { for (n in sum) print n, sum[n] }'
}

# delta NAME BEFORE AFTER: what a counter has moved by, between two files with
# counters
delta() {
	awk -v name="$1" '$1 == name { n++; d = $2 - d }
		END { if (n != 2) exit 1; print d }' "$2" "$3"
}

# The network of a guest as it was at its start: closing the interface, and an
# MTU that is too small for IPv6, take addresses and routes away.
restore_guest() {
	local interface

	interface=$(guest_if "$1")
	on "$1" "ip -batch - <<-END
		link set $interface up
		address replace $(guest4 "$1")/24 dev $interface
		address replace $(guest6 "$1")/64 dev $interface nodad
		route replace default via $HOST4 dev $interface
		route replace default via $HOST6 dev $interface
	END"
}

# Until the test ends, the port of guest N is no member of the bridge, and the
# two have a subnet of their own, 10.78.N.0/24 and fd78:N::/64, where the port
# is 1 and the guest is 2.
# leave_bridge N
leave_bridge() {
	local port interface

	port=$(port "$1")
	interface=$(guest_if "$1")
	at_exit "return_to_bridge $1 $interface"
	ip link set "$port" nomaster
	ip address add "10.78.$1.1/24" dev "$port"
	ip address add "fd78:$1::1/64" dev "$port" nodad
	on "$1" "ip address add 10.78.$1.2/24 dev $interface
		ip address add fd78:$1::2/64 dev $interface nodad"
}

return_to_bridge() {
	local port

	port=$(port "$1")
	ip address flush dev "$port"
	ip link set "$port" master "$BRIDGE" mtu 1500 up
	on "$1" "ip address del 10.78.$1.2/24 dev $2
		ip address del fd78:$1::2/64 dev $2" || true
	wait_for 30 guest_mtu_is "$1" "$2" 1500
	restore_guest "$1"
}

# port_has N FIELD VALUE: for wait_for
port_has() { [ "$(port_field "$1" "$2")" = "$3" ]; }

guest_mtu() { guest "$1" "read -r mtu </sys/class/net/$2/mtu; echo \$mtu"; }
# guest_mtu_is N INTERFACE MTU
guest_mtu_is() { [ "$(guest_mtu "$1" "$2")" = "$3" ]; }

# Queues that drop only what does not fit, and then the sender waits: the default
# one drops also what was in it for too long, which slow machines do.
# plain_queues N: of the port and of guest N, until the test ends
plain_queues() {
	local interface port place

	port=$(port "$1")
	interface=$(guest_if "$1")
	for place in "host $port" "$1 $interface"; do
		at_exit "on ${place% *} 'tc qdisc del dev ${place#* } root'"
		on "${place% *}" "tc qdisc replace dev ${place#* } root pfifo"
	done
}

# Numbered frames from one place to another, whatever the network thinks of
# them. SENDER and RECEIVER are arguments of frames: interface, sizes, options.
# frames FROM SENDER TO RECEIVER
frames() {
	local log receiver status=0

	log=$(mktemp)
	# shellcheck disable=SC2154 # set by lib.sh
	on "$3" "$lib_dir/frames recv $4" >"$log" &
	receiver=$!
	wait_for 30 grep -q ready "$log"
	on "$1" "$lib_dir/frames send $2"
	wait $receiver || status=$?
	cat "$log"
	rm "$log"
	return $status
}
