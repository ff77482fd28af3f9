# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests have in common. They run as root in the host VM of the rig:
#
#   guest 1            guest 2
#   pveth              pveth            10.77.0.(10+N)/24, fd77::(10+N)/64
#     |                  |
#   vm1                vm2              ports, kind pveth
#     '------ br0 -------'              10.77.0.1/24, fd77::1/64
#
# A test is a function that returns 0 or the exit status of what failed, or
# calls skip. run_tests runs each in a subshell with errexit, prints KTAP, and
# shows the output of those that fail.

# What tests start and leave, connections to guests for example, is not to keep the files
# of the kernel's runner: it would wait for their end.
exec 3>&- 4>&-

KSFT_SKIP=4
if [ ! -e /run/rig/config ]; then
	echo "1..0 # SKIP this is not the host VM of scripts/rig"
	exit $KSFT_SKIP
fi
BRIDGE=br0
HOST4=10.77.0.1
HOST6=fd77::1

lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The test programs in C are beside the scripts.
PATH=$lib_dir:$PATH

guest4() { echo "10.77.0.$((10 + $1))"; }
guest6() { echo "fd77::$((10 + $1))"; }
port() { echo "vm$1"; }

# Say what is done before doing it, where.
note() { echo "# $*" >&2; }
host() { note "host: $*"; "$@"; }
in_guest() { note "guest $1: ${*:2}"; guest "$@"; }

fail() { note "FAILED: $*"; exit 1; }
skip() { note "SKIP: $*"; exit $KSFT_SKIP; }

# All times are only bounds for what is broken: rigs are slow, and those with a
# debug kernel, at either end, slower by about this factor.
patience=1
is_debug_kernel='[ -e /sys/kernel/debug/kmemleak ]'
if eval "$is_debug_kernel" ||
	{ [ -e /run/rig/1/pid ] && guest 1 "$is_debug_kernel" </dev/null; }; then
	patience=6
fi

# A moment, without a process
pause() { read -rt 0.1 <>/run/rig/never || true; }

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
	local end=$((SECONDS + $1 * patience)) said=${TMPDIR:-/tmp}/waited.$BASHPID
	shift
	while ! "$@" >"$said" 2>&1; do
		if [ $SECONDS -ge $end ]; then
			cat "$said" >&2
			fail "in vain waited for: $*"
		fi
		pause
	done
}

# port_field N FIELD: what pvethctl knows of the port of guest N
port_field() { pvethctl show "$(port "$1")" --get "$2"; }
port_is() { [ "$(port_field "$1" state)" = "$2" ]; }
host_carrier() { [ "$(cat "/sys/class/net/$(port "$1")/carrier")" = 1 ]; }
host_no_carrier() { ! host_carrier "$1"; }

# The name of the pveth interface in guest N
guest_if() {
	# shellcheck disable=SC2016
	guest "$1" 'basename "$(ls -d /sys/bus/pci/drivers/pveth/0*/net/*)"'
}
guest_carrier() { guest "$1" "[ \$(cat /sys/class/net/$2/carrier) = 1 ]"; }
guest_no_carrier() { guest "$1" "[ \$(cat /sys/class/net/$2/carrier) = 0 ]"; }

# link_up N: the port of guest N carries frames in both directions
link_up() {
	wait_for 60 ping -c 1 -W 1 "$(guest4 "$1")"
	wait_for 60 ping -6 -c 1 -W 1 "$(guest6 "$1")"
}

# restore_pvethd: start it again, as the rig does
restore_pvethd() {
	pidof pvethd >/dev/null && return
	setsid pvethd --foreground >>/run/rig/pvethd.log 2>&1 </dev/null &
	wait_for 30 pvethctl list
}

# kill_pvethd: it is gone when this returns, which restore_pvethd would take for running
# before
pvethd_is_gone() { ! pidof pvethd; }
kill_pvethd() {
	at_exit restore_pvethd
	host kill -KILL "$(pidof pvethd)"
	wait_for 60 pvethd_is_gone
}

# guests: the numbers of those that the rig has
guests() {
	local dir

	for dir in /run/rig/[1-4]; do
		[ ! -e "$dir/pid" ] || echo "${dir##*/}"
	done
}

# all_links_up: no guest is worse off than before the test
all_links_up() {
	local n

	for n in $(guests); do
		link_up "$n"
	done
}

# traffic N: large frames one way and small ones the other, until stop_traffic. The
# guest's end survives what happens to its interface.
traffic() {
	local already

	mapfile -t already < <(port_frames "$1")
	traffic_guest=$1
	ping -f -q -s 1400 "$(guest4 "$1")" >/dev/null 2>&1 &
	traffic_host_pid=$!
	# shellcheck disable=SC2016
	traffic_guest_pid=$(guest "$1" 'ping -f -q '$HOST4' >/dev/null 2>&1 & echo $!')
	at_exit stop_traffic
	wait_for 60 traffic_flows "${already[@]}"
}

# port_frames N: how many were received, and sent
port_frames() { cat "/sys/class/net/$(port "$1")"/statistics/{rx,tx}_packets; }

# traffic_flows RECEIVED SENT: both ends send, and more than these have come through
traffic_flows() {
	local now enough=50

	mapfile -t now < <(port_frames "$traffic_guest")
	[ $((now[0] - $1)) -ge $enough ] && [ $((now[1] - $2)) -ge $enough ] &&
		kill -0 "$traffic_host_pid" &&
		guest "$traffic_guest" "kill -0 $traffic_guest_pid"
}

stop_traffic() {
	kill "$traffic_host_pid" 2>/dev/null || true
	# After a reboot it is another process, if any.
	guest "$traffic_guest" "[ \"\$(cat /proc/$traffic_guest_pid/comm)\" != ping ] ||
		kill $traffic_guest_pid" 2>/dev/null || true
}

# port_says PORT FIELD: what the kernel knows of a port, asked by portctl
port_says() { portctl get "$1" | sed -n "s/.* $2=\([^ ]*\).*/\1/p"; }
port_says_that() { [ "$(port_says "$1" "$2")" = "$3" ]; }

# What the kernel tells of ports, in $log until the test ends
monitor() {
	log=$(mktemp)
	portctl monitor >"$log" &
	at_exit "kill $!; rm $log"
	wait_for 60 grep -q listening "$log"
}

# test_port NAME [OPTION...]: a port for portctl to play with, that is up and
# sends nothing by itself
test_port() {
	ip link add "$1" "${@:2}" type pveth
	at_exit "ip link del $1 2>/dev/null"
	echo 1 >"/proc/sys/net/ipv6/conf/$1/disable_ipv6"
	ip link set "$1" up
}

# The value of a counter of ethtool -S, summed over queues
# host_stat N NAME, guest_stat N NAME
sum_stat() { awk -v n="_$1:" 'index($1, n) { s += $2 } END { print s + 0 }'; }
host_stat() { ethtool -S "$(port "$1")" | sum_stat "$2"; }
guest_stat() { guest "$1" ethtool -S "$(guest_if "$1")" | sum_stat "$2"; }

# combined: the numbers of combined channels that ethtool -l prints, "MAX USED"
combined() { sed -n 's/^Combined:[[:space:]]*//p' | xargs; }

# Kept until the script ends, then run in reverse order.
cleanup_commands=()
at_exit() { cleanup_commands+=("$*"); }
at_exit_once() { [[ " ${cleanup_commands[*]} " == *" $* "* ]] || at_exit "$@"; }
run_cleanup() {
	local i
	for ((i = ${#cleanup_commands[@]} - 1; i >= 0; i--)); do
		eval "${cleanup_commands[i]}" || true
	done
}

show_state() {
	pvethctl show 2>&1 || true
	ip -s -d link show type pveth 2>&1 || true
	bridge link 2>&1 || true
	dmesg | tail -n 20
}

# run_tests NAME...: functions of these names, described by their names
run_tests() {
	local name status failed=0 n=0 log
	log=$(mktemp)
	trap 'run_cleanup; rm -f "$log"' EXIT
	echo "TAP version 13"
	echo "1..$#"
	for name in "$@"; do
		n=$((n + 1)) SECONDS=0
		# In a condition errexit would be off.
		set +e
		(set -eE; trap run_cleanup EXIT; cleanup_commands=(); "$name") \
			>"$log" 2>&1
		status=$?
		set -e
		case $status in
		0)
			echo "ok $n $name # $SECONDS s" ;;
		"$KSFT_SKIP")
			echo "ok $n $name # SKIP $(sed -n 's/^# SKIP: //p' "$log")" ;;
		*)
			failed=$((failed + 1))
			# The reason comes last: of long logs it is what people see.
			{ show_state 2>&1; cat "$log"; } | sed 's/^\(# \)\?/# /'
			echo "not ok $n $name" ;;
		esac
	done
	[ $failed -eq 0 ]
}

set -e
