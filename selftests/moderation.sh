#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Moderation of doorbells and interrupts, on the guest's card and on its port:
# settings, what they save under load, that they cost nothing when there is no
# load, and that nobody waits for a frame that is there.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_traffic.sh
. "$lib_dir/lib_traffic.sh"

FLOOD_FRAMES=20000
# Doorbells, or interrupts, for 1000 frames of a flood, at most: with a fixed wait, and where
# the wait adapts, which takes its time
FIXED_PER_MILLE=125 FIXED_US=500
ADAPTIVE_PER_MILLE=250
# Those of a slow sender are far apart: with the longest wait there is, fewer share one
[ $patience = 1 ] ||
	FLOOD_FRAMES=5000 FIXED_PER_MILLE=500 FIXED_US=1000 ADAPTIVE_PER_MILLE=750
IDLE_SECONDS=3

# Of the port and of the card
name_at() { if [ "$1" = host ]; then echo "$port"; else echo "$interface"; fi; }

# setting PLACE LINE-OF-ETHTOOL: its value
setting() {
	on "$1" "ethtool -c $(name_at "$1")" | sed -n "s/^$2 *//p"
}

set_at() { on "$1" "ethtool -C $(name_at "$1") ${*:2}"; }

is_refused() {
	local said

	said=$(set_at "$1" "$2" 2>&1) && fail "$2 was taken"
	grep -q "$3" <<<"$said" || fail "the error is: $said"
}

# Both ends as they were, when the test ends
keep_settings() {
	local place

	for place in host 1; do
		at_exit "set_at $place rx-usecs $(setting $place rx-usecs:) \
			rx-frames $(setting $place rx-frames:) \
			adaptive-rx $(setting $place 'Adaptive RX:' | cut -d' ' -f1)"
	done
}

settings_are_taken() {
	local place

	keep_settings
	for place in host 1; do
		set_at $place adaptive-rx off rx-usecs 1000 rx-frames 1
		[ "$(setting $place rx-usecs:)" = 1000 ]
		[ "$(setting $place rx-frames:)" = 1 ]
		[[ "$(setting $place 'Adaptive RX:')" = off* ]]
		set_at $place adaptive-rx on rx-usecs 0 rx-frames 4096
		[ "$(setting $place rx-usecs:)" = 0 ]
		[ "$(setting $place rx-frames:)" = 4096 ]
		[[ "$(setting $place 'Adaptive RX:')" = on* ]]
	done
}

bad_settings_are_refused() {
	local place before

	for place in host 1; do
		before=$(on $place "ethtool -c $(name_at $place)")
		is_refused $place "rx-usecs 1001" "rx-usecs is at most 1000"
		is_refused $place "rx-frames 0" "rx-frames is 1 to 4096"
		is_refused $place "rx-frames 4097" "rx-frames is 1 to 4096"
		is_refused $place "tx-usecs 8" "."
		[ "$before" = "$(on $place "ethtool -c $(name_at $place)")" ]
	done
}

# Interrupts of the card's queues
interrupts() {
	on 1 "grep ' $interface-' /proc/interrupts" |
		awk '{ for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }'
}

# flood PLACE MAC [BURST]: FLOOD_FRAMES small frames, as fast as they go, so many of which are
# handed over at once. Nobody answers.
flood() {
	local sink=host

	[ "$1" != host ] || sink=1
	on $sink "tc qdisc add dev $(name_at $sink) clsact
		tc filter add dev $(name_at $sink) ingress protocol ip matchall action drop"
	at_exit "on $sink 'tc qdisc del dev $(name_at $sink) clsact'"
	on "$1" "modprobe pktgen
		cd /proc/net/pktgen
		echo rem_device_all >kpktgend_0
		echo add_device $(name_at "$1") >kpktgend_0
		for word in 'pkt_size 60' 'count $FLOOD_FRAMES' 'delay 0' 'clone_skb 0' \
			'dst 192.0.2.1' 'dst_mac $2' 'burst ${3-1}'; do
			echo \$word >$(name_at "$1")
		done
		echo start >pgctrl
		echo rem_device_all >kpktgend_0"
	on $sink "tc qdisc del dev $(name_at $sink) clsact"
}

# few_signals PER-MILLE FRAMES SIGNALS WHAT
few_signals() {
	note "$2 frames, $3 $4"
	[ "$2" -ge $FLOOD_FRAMES ] || fail "the flood has not arrived"
	[ $(($3 * 1000)) -le $(($2 * $1)) ] || fail "too many $4"
}

flood_of_the_host() {
	counters host >"$TMPDIR/host.before"
	flood 1 "$(cat "/sys/class/net/$BRIDGE/address")"
	counters host >"$TMPDIR/host.after"
	few_signals "$1" "$(moved host g2h_frames)" "$(moved host kicks)" doorbells
}

flood_of_the_guest() {
	local before after

	counters host >"$TMPDIR/host.before"
	before=$(interrupts)
	flood host "$(on 1 "cat /sys/class/net/$interface/address")"
	after=$(interrupts)
	counters host >"$TMPDIR/host.after"
	few_signals "$1" "$(moved host h2g_frames)" "$(moved host calls)" calls
	few_signals "$1" "$(moved host h2g_frames)" $((after - before)) interrupts
}

adaptive_flood_to_guest() { flood_of_the_guest $ADAPTIVE_PER_MILLE; }

fixed_flood_to_host() {
	keep_settings
	set_at host adaptive-rx off rx-usecs $FIXED_US rx-frames 256
	flood_of_the_host $FIXED_PER_MILLE
}

fixed_flood_to_guest() {
	keep_settings
	set_at 1 adaptive-rx off rx-usecs $FIXED_US rx-frames 256
	flood_of_the_guest $FIXED_PER_MILLE
}

# Of frames that the stack hands over in one go there is at most one doorbell, whoever the
# host's thread preempts. The first few are on their own, and so is one with which the ring
# is full.
BURST=16
bursts_ring_once() {
	local thread

	thread=$(thread)
	at_exit "chrt --other --pid 0 $thread"
	keep_settings
	set_at host rx-usecs 0
	host chrt --fifo --pid 1 "$thread"
	counters 1 >"$TMPDIR/1.before"
	flood 1 "$(cat "/sys/class/net/$BRIDGE/address")" $BURST
	counters 1 >"$TMPDIR/1.after"
	few_signals $((1500 / BURST)) $FLOOD_FRAMES "$(moved 1 doorbells)" "doorbells for bursts of $BURST"
}

# What a port and its card do: all counters, interrupts, and how often the port's
# threads have run
activity() {
	local pid

	counters host | sed -n 's/^\([a-z0-9]*_frames\|kicks\|calls\|polls\) /host \1 /p'
	counters 1 | sed -n 's/^\([a-z0-9]*_frames\|doorbells\|polls\) /guest \1 /p'
	echo "interrupts $(interrupts)"
	for pid in $(pgrep "^napi/$port-"); do
		echo "thread $pid $(sed -n 's/^voluntary_ctxt_switches:\s*//p' "/proc/$pid/status")"
	done
}

frames_of() { grep _frames "$1"; }

# The first of the port's threads
thread() { pgrep "^napi/$port-" | head -n 1; }
policy_is() { chrt --pid "$(thread)" | grep "policy: $1"; }

# Frames one at a time, and many
exchanges() { on 1 "ping -q -A -c $1 $HOST4"; }
policy_after_exchanges() { exchanges 50 && policy_is "$1"; }
policy_after_flood() { flood 1 "$(cat "/sys/class/net/$BRIDGE/address")" && policy_is "$1"; }

# A thread that finds single frames is to run at once, and one that finds many if it
# has waited is to wait.
threads_wait_for_batches() {
	[ "$(nproc)" = 1 ] || skip "with a CPU of its own a thread has nobody to wait for"
	wait_for 60 policy_after_exchanges SCHED_OTHER
	wait_for 60 policy_after_flood SCHED_BATCH
	wait_for 60 policy_after_exchanges SCHED_OTHER
}

# An administrator may want it otherwise. There are more exchanges than a thread is
# eager for, and than it is patient for.
EXCHANGES=300
other_policies_stay() {
	local thread

	thread=$(thread)
	at_exit "chrt --other --pid 0 $thread"
	host chrt --fifo --pid 1 "$thread"
	exchanges $EXCHANGES
	policy_is SCHED_FIFO
}

# Frames that others send now and then, neighbour discovery for one, are no
# business of the test: it takes the first while that has none, not even in the time that
# it takes to look.
idle_costs_nothing() {
	local n

	# Just after load
	ping -q -f -c 1000 "$(guest4 1)"
	activity >"$TMPDIR/activity.before"
	grep -q thread "$TMPDIR/activity.before"
	for n in 1 2 3 4 5 6 7 8 9 10; do
		sleep $IDLE_SECONDS
		activity >"$TMPDIR/activity.after"
		activity >"$TMPDIR/activity.again"
		[ "$(frames_of "$TMPDIR/activity.before")" != \
		  "$(frames_of "$TMPDIR/activity.again")" ] || break
		mv "$TMPDIR/activity.again" "$TMPDIR/activity.before"
	done
	diff "$TMPDIR/activity.before" "$TMPDIR/activity.after"
}

# pingpongs ROUNDS MAX-BURST MAX-PAUSE-US
pingpongs() { on host "$lib_dir/pingpong $(guest4 1) $*"; }

# Pauses of up to twice the time that moderation waits for
no_lost_wake_up() {
	local usecs

	keep_settings
	pingpongs 300 8 500
	for usecs in 50 200 1000; do
		set_at host adaptive-rx off rx-usecs $usecs rx-frames 4
		set_at 1 adaptive-rx off rx-usecs $usecs rx-frames 4
		pingpongs 100 8 $((2 * usecs))
	done
	set_at host rx-usecs 0
	set_at 1 rx-usecs 0
	pingpongs 100 8 200
}

# While the file $1 is there
change_settings() {
	while [ -e "$1" ]; do
		set_at host adaptive-rx off rx-usecs 1000 rx-frames 4096
		set_at 1 adaptive-rx off rx-usecs 1000 rx-frames 1
		set_at host rx-usecs 0
		set_at 1 rx-usecs 200 rx-frames 4096
		set_at host adaptive-rx on rx-usecs 256 rx-frames 256
		set_at 1 adaptive-rx on rx-usecs 256 rx-frames 256
	done >/dev/null 2>&1
}

settings_change_under_traffic() {
	local changer

	keep_settings
	touch "$TMPDIR/changing"
	change_settings "$TMPDIR/changing" &
	changer=$!
	tcp 1 host $HOST4 2M
	tcp host 1 "$(guest4 1)" 2M
	pingpongs 100 8 500
	rm "$TMPDIR/changing"
	wait $changer
}

# BQL holds back what the host has not taken yet, which here it does after a while.
# With next to no limit, each datagram waits until the host says that it took the one
# before; otherwise many go at once. Datagrams are small enough to be copied in either
# mode: BQL counts those.
byte_queue_limits() {
	local bql=/sys/class/net/$interface/queues/tx-0/byte_queue_limits
	local size=64 bytes=65536 max calls

	keep_settings
	plain_queues
	udp_room host
	udp 1 host $HOST4 $size $bytes
	on 1 "read -r limit <$bql/limit; echo limit \$limit; [ \$limit -gt $size ]"

	max=$(guest 1 "cat $bql/limit_max")
	at_exit "guest 1 'echo $max >$bql/limit_max'"
	on 1 "echo 1 >$bql/limit_max"
	# It counts from when the guest looks at completions again.
	udp 1 host $HOST4 $size $bytes
	set_at host adaptive-rx off rx-usecs 1000 rx-frames 4096
	calls=$(host_stat 1 calls)
	udp 1 host $HOST6 $size $bytes
	calls=$(($(host_stat 1 calls) - calls))
	note "$((bytes / size)) datagrams, the host rang $calls times"
	# A guest that is slow finds most of its frames gone when it looks.
	[ $calls -ge $((bytes / size / 8 / (patience * patience))) ]
	[ "$(guest 1 "cat $bql/limit")" -le 1 ]
}

# What BQL has counted in a session that ends does not count in the next one: with next
# to no limit, nothing would be sent any more.
sessions_change_at_the_limit() {
	local bql=/sys/class/net/$interface/queues/tx-0/byte_queue_limits
	local stop=$TMPDIR/stop stream max entries

	keep_settings
	on 1 "mkdir -p $TMPDIR"
	at_exit "guest 1 'rm -r $TMPDIR'"
	max=$(guest 1 "cat $bql/limit_max")
	at_exit "guest 1 'echo $max >$bql/limit_max'"
	at_exit "guest 1 'ethtool -G $interface tx 512'; link_up 1"
	on 1 "echo 1 >$bql/limit_max"
	set_at host adaptive-rx off rx-usecs 1000 rx-frames 4096
	counters 1 >"$TMPDIR/1.before"
	tcp_until "$stop" 1 host $HOST4 &
	stream=$!
	for entries in 256 512 256 512; do
		on 1 "ethtool -G $interface tx $entries"
		link_up 1
	done
	on 1 "touch $stop"
	wait $stream
	counters 1 >"$TMPDIR/1.after"
	[ "$(moved 1 stalls)" = 0 ] || fail "the transmit queue stood still"
}

run_tests settings_are_taken \
	bad_settings_are_refused \
	adaptive_flood_to_guest \
	fixed_flood_to_host \
	fixed_flood_to_guest \
	bursts_ring_once \
	threads_wait_for_batches \
	other_policies_stay \
	idle_costs_nothing \
	no_lost_wake_up \
	settings_change_under_traffic \
	byte_queue_limits \
	sessions_change_at_the_limit
