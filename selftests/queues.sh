#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Queue pairs: how many there are, what goes by which, and flows' hashes.
#
# Guest 1 has a card with as many as there can be, for the time of this test:
#
#   guest 1: pveth ---- 16 queue pairs ---- vm1 ---- br0
#
# Counters of the port tell by which of them frames went.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

MAX=16
CPUS=$(guest 1 nproc)
FLOWS=256

# channels PLACE: "MAX USED" of the card at this end
channels() {
	if [ "$1" = host ]; then ethtool -l "$port"; else guest "$1" ethtool -l "$interface"; fi |
		combined
}
channels_are() { [ "$(channels "$1")" = "$2 $3" ]; }

# use PLACE PAIRS: until the test ends; afterwards all may be used, and as many as
# there are CPUs are
use() {
	local card=$port

	at_exit_once all_pairs
	[ "$1" = host ] || card=$interface
	on "$1" "ethtool -L $card combined $2"
	link_up 1
}

all_pairs() {
	[ "$(channels host)" = "$MAX $MAX" ] || ethtool -L "$port" combined $MAX
	wait_for 20 all_are_offered
	channels_are 1 $MAX "$CPUS" || guest 1 ethtool -L "$interface" combined "$CPUS"
	link_up 1
}
all_are_offered() { [[ "$(channels 1)" == "$MAX "* ]]; }

session_has() { [ "$(port_field 1 session_queues)" = "$1" ]; }

# What the guest's stack knows, as numbers of queues
stack_has() {
	[ "$(guest 1 "cd /sys/class/net/$interface/queues; ls -d tx-* | wc -l; ls -d rx-* | wc -l" |
		xargs)" = "$1 $1" ]
}

# frames_by DIRECTION: for each queue pair of the port, how many it carried
frames_by() { ethtool -S "$port" | sed -n "s/^ *queue\([0-9]*\)_$1_frames: /\1 /p" | sort; }

start_counting() {
	frames_by g2h >"$TMPDIR/g2h"
	frames_by h2g >"$TMPDIR/h2g"
}
# frames_since DIRECTION: the same since start_counting
frames_since() { frames_by "$1" | join "$TMPDIR/$1" - | awk '{ print $1, $3 - $2 }'; }

# busiest DIRECTION: queue pair that carried most, and its share in percent
busiest() {
	frames_since "$1" | awk '{ sum += $2; if ($2 > max) { max = $2; pair = $1 } }
		END { print pair, int(100 * max / sum) }'
}

# Without a word, there is one for each CPU.
one_for_each_cpu() {
	channels_are host $MAX $MAX
	channels_are 1 $MAX "$CPUS"
	session_has "$CPUS"
	stack_has "$CPUS"
}

guest_changes_how_many() {
	local n

	for n in 2 $MAX 1; do
		use 1 "$n"
		channels_are 1 $MAX "$n"
		session_has "$n"
		stack_has "$n"
		tcp 1 host $HOST6 64K
		tcp host 1 "$(guest6 1)" 64K
	done
}

# The host says how many at most. What the guest wanted, it has when it can.
host_changes_how_many() {
	local n

	use 1 12
	for n in 4 8; do
		use host $n
		wait_for 20 channels_are 1 $n $n
		channels_are host $MAX $n
		session_has $n
		stack_has $n
		tcp 1 host $HOST4 64K
	done
	use host $MAX
	wait_for 20 channels_are 1 $MAX 12
	session_has 12
}

# With the interface down, the number counts from the next time on.
changed_while_down() {
	at_exit restore_guest
	at_exit "ip link set $port up"
	on 1 "ip link set $interface down; ethtool -L $interface combined 3"
	on host "ip link set $port down; ethtool -L $port combined 2; ip link set $port up"
	restore_guest
	at_exit all_pairs
	link_up 1
	wait_for 20 channels_are 1 2 2
	session_has 2
	use host $MAX
	wait_for 20 channels_are 1 $MAX 3
}

# refused PLACE CARD WHY CHANNELS...: and all is as it was
refused() {
	local place=$1 card=$2 why=$3 before sessions
	shift 3

	before=$(channels host; channels 1)
	sessions=$(port_field 1 sessions)
	if on "$place" "ethtool -L $card $*" 2>"$TMPDIR/err"; then
		fail "$* was taken"
	fi
	cat "$TMPDIR/err"
	grep -q "$why" "$TMPDIR/err"
	[ "$(channels host; channels 1)" = "$before" ]
	[ "$(port_field 1 sessions)" = "$sessions" ] || fail "there is a new session"
}

bad_numbers() {
	local end

	use host 4
	for end in "1 $interface" "host $port"; do
		# shellcheck disable=SC2086
		set -- $end
		refused "$1" "$2" "exceeds maximum" combined $((MAX + 1))
		refused "$1" "$2" "exceeds maximum" rx 1
		refused "$1" "$2" "no RX or TX channel" combined 0
	done
	refused 1 "$interface" "exceeds maximum" combined 5
	use 1 4
	channels_are 1 4 4
}

# The window has room for so many only with rings of their first size.
window_too_small() {
	at_exit "guest 1 ethtool -G $interface rx 512 tx 512"
	on 1 "ethtool -G $interface rx 4096 tx 4096"
	link_up 1
	refused 1 "$interface" "No space left" combined $MAX
	guest 1 dmesg | grep "the window is too small for $MAX queue pairs"
	use 1 2
	session_has 2
}

# A guest that asks for more than it may is refused.
more_than_offered() {
	test_port pvt0 numtxqueues 4 numrxqueues 4
	host ethtool -L pvt0 combined 2
	portctl attach pvt0 vectors=5 request queue-pairs=3 request queue-pairs=2 page \
		run "ethtool -L pvt0 combined 3" ended request queue-pairs=3 page |
		sed 's/page: .*\(queue-pairs=[0-9]*\).*/\1/' |
		diff -u <(cat <<-EOT
		request: refused queues
		request: connected
		queue-pairs=2
		ended: ended
		request: connected
		queue-pairs=3
		EOT
		) -
}

# Streams in both directions live through it.
changed_under_traffic() {
	local stop=$TMPDIR/stop out in n

	tcp_until "$stop" host 1 "$(guest4 1)" &
	out=$!
	at_exit "guest 1 rm -f /tmp/queues.stop"
	tcp_until /tmp/queues.stop 1 host $HOST4 &
	in=$!
	for n in $MAX 3 1; do
		use 1 "$n"
		use host $((MAX + 1 - n))
		use host $MAX
	done
	touch "$stop"
	guest 1 touch /tmp/queues.stop
	wait $out || fail "the stream to the guest"
	wait $in || fail "the stream to the host"
}

# A datagram for each of many flows: datagrams PLACE ADDRESS FIRST-PORT
datagrams() {
	on "$1" "python3 - <<-PYTHON
	import socket
	for n in range($FLOWS):
	    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
	        udp.sendto(b'', ('$2', $3 + n))
	PYTHON
	"
}

none_is_empty() { frames_since "$1" | awk '{ n += $2 > 0 } END { exit n != '$MAX' }'; }

flows_spread() {
	use 1 $MAX
	start_counting
	datagrams 1 $HOST4 20000
	datagrams host "$(guest4 1)" 30000
	wait_for 20 none_is_empty g2h
	wait_for 20 none_is_empty h2g
}

# Both directions of each are on one queue pair.
flows_stay() {
	local n g2h h2g pairs

	use 1 $MAX
	for n in 1 2; do
		for end in "1 host $HOST4" "host 1 $(guest6 1)"; do
			start_counting
			# shellcheck disable=SC2086
			tcp $end 2M
			g2h=$(busiest g2h)
			h2g=$(busiest h2g)
			note "most frames: pair and percent: $g2h to the host, $h2g to the guest"
			[ "${g2h#* }" -gt 50 ] && [ "${h2g#* }" -gt 50 ]
			[ "${g2h% *}" = "${h2g% *}" ]
			pairs+="${g2h% *} "
		done
	done
	[ "$(xargs -n 1 <<<"$pairs" | sort -u | wc -l)" -gt 1 ]
}

# The CPUs have their shares of the queue pairs, and no pair is without.
cpus_have_queue_pairs() {
	local n

	for n in 2 $MAX 1; do
		use 1 "$n"
		guest 1 "cat /sys/class/net/$interface/queues/tx-*/xps_cpus" >"$TMPDIR/out"
		cat "$TMPDIR/out"
		[ "$(wc -l <"$TMPDIR/out")" = "$n" ]
		if grep -x '[0,]*' "$TMPDIR/out"; then
			fail "there is a queue pair without a CPU"
		fi
	done
	# Of those that nobody uses, no interrupt comes.
	interrupts >"$TMPDIR/before"
	tcp 1 host $HOST4 1M
	tcp host 1 "$(guest4 1)" 1M
	interrupts | diff "$TMPDIR/before" - >"$TMPDIR/out" || true
	cat "$TMPDIR/out"
	grep "> .*$interface-0$" "$TMPDIR/out"
	if grep "> .*$interface-[1-9]" "$TMPDIR/out"; then
		fail "there are interrupts of idle queue pairs"
	fi
}
interrupts() { guest 1 grep "$interface-" /proc/interrupts; }

# Script that prints the hashes of the first long frames to a TCP port, modulo
# 256, or "none": a filter reads them, and says how much of the frame it wants.
hashes() {
	cat <<-END
	timeout $BOUND python3 - <<-PYTHON
	import ctypes, socket, struct
	HASH, LEN = 0xfffff000 + 32, 0x80
	LDH, LDB, LDW, LDLEN = 0x28, 0x30, 0x20, LEN
	JEQ, JGE, AND, ADD, RET, RETA = 0x15, 0x35, 0x54, 0x04, 0x06, 0x16
	code = b"".join(struct.pack("HBBI", *i) for i in (
	    (LDH, 0, 0, 12), (JEQ, 0, 11, 0x0800),
	    (LDB, 0, 0, 23), (JEQ, 0, 9, 6),
	    (LDH, 0, 0, 36), (JEQ, 0, 7, $2),
	    (LDLEN, 0, 0, 0), (JGE, 0, 5, 1000),
	    (LDW, 0, 0, HASH), (JEQ, 4, 0, 0),
	    (AND, 0, 0, 255), (ADD, 0, 0, 100), (RETA, 0, 0, 0),
	    (RET, 0, 0, 0), (RET, 0, 0, 99)))
	packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	# Room for all that come while this does not run: SO_RCVBUFFORCE
	packets.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
	buffer = ctypes.create_string_buffer(code)
	packets.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(code) // 8,
	                                                      ctypes.addressof(buffer)))
	packets.bind(("$1", 3))
	print("listening on $1", flush=True)
	seen = [len(packets.recv(2048)) - 100 for _ in range(10)]
	print(*sorted({"none" if n < 0 else n for n in seen}))
	PYTHON
	END
}

# hash_of FROM TO ADDRESS: what each end sees of a stream of its own; sets $sent
# and $came
hash_of() {
	local number=$((20000 + RANDOM % 10000)) from=$interface to=$port sender receiver reader

	[ "$1" = 1 ] || from=$port to=$interface
	# What an earlier one has said is not to be taken for this one's.
	rm -f "$TMPDIR"/{sent,came,reader}
	on "$1" "$(hashes "$from" $number)" >"$TMPDIR/sent" &
	sender=$!
	on "$2" "$(hashes "$to" $number)" >"$TMPDIR/came" &
	receiver=$!
	wait_for 60 grep -q 'listening on' "$TMPDIR/sent"
	wait_for 60 grep -q 'listening on' "$TMPDIR/came"
	on "$2" "timeout $BOUND socat -d -d -u TCP4-LISTEN:$number,reuseaddr - | wc -c" \
		>/dev/null 2>"$TMPDIR/reader" &
	reader=$!
	wait_for 60 receiver_is_ready "$TMPDIR/reader"
	on "$1" "head -c 2M /dev/zero | timeout $BOUND socat -u - TCP4:$3:$number"
	wait $sender || fail "the sender has seen no hashes"
	wait $receiver || fail "the receiver has seen no hashes"
	wait $reader
	sent=$(sed 1d "$TMPDIR/sent")
	came=$(sed 1d "$TMPDIR/came")
	note "hashes: $sent went out, $came came"
	[ "$sent" ] && [ "$came" ] && [ "$sent" != none ]
}

hash_travels() {
	local n

	for n in 1 2; do
		hash_of 1 host $HOST4
		[ "$came" = "$sent" ]
		hash_of host 1 "$(guest4 1)"
		[ "$came" = "$sent" ]
	done
}

HASH=0x100000000
hash_is_agreed_on() { [ $(($(port_field 1 features) & HASH)) != 0 ]; }
no_hash_is_agreed_on() { ! hash_is_agreed_on; }

# no_rxhash PLACE: until the test ends
no_rxhash() {
	local card=$port

	[ "$1" = host ] || card=$interface
	at_exit "link_up 1"
	at_exit "on $1 'ethtool -K $card rxhash on'"
	on "$1" "ethtool -K $card rxhash off"
	link_up 1
	wait_for 20 no_hash_is_agreed_on
}

guest_wants_no_hash() {
	no_rxhash 1
	hash_of host 1 "$(guest4 1)"
	[ "$came" = none ]
	ethtool -k "$port" | grep 'receive-hashing: on'
}

host_wants_no_hash() {
	no_rxhash host
	hash_of 1 host $HOST4
	[ "$came" = none ]
	wait_for 20 guest 1 "ethtool -k $interface | grep 'receive-hashing: off'"
}

hash_is_agreed_on_again() {
	wait_for 20 hash_is_agreed_on
	hash_travels
}

needs_guest 1
if [ "$(port_field 1 queues)" != $MAX ]; then
	at_exit "card_with $(card_options)"
	# shellcheck disable=SC2046
	card_with $(card_options) --queues $MAX
fi
run_tests one_for_each_cpu \
	guest_changes_how_many \
	host_changes_how_many \
	changed_while_down \
	bad_numbers \
	window_too_small \
	more_than_offered \
	changed_under_traffic \
	flows_spread \
	flows_stay \
	cpus_have_queue_pairs \
	hash_travels \
	guest_wants_no_hash \
	host_wants_no_hash \
	hash_is_agreed_on_again
