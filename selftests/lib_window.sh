# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Guest 1 with a window of portctl's, in the slot of its card, and a host that is played

WINDOW=0x100000
DIR=$(mktemp -d)
# shellcheck disable=SC2034 # the tests'
FILE=$DIR/window
at_exit "rm -r $DIR"
at_exit put_card_in

card_is_out() { [ "$(pci_devices)" = 0 ]; }
card_is_in() { ! card_is_out; }
pci_devices() { guest 1 'cat /sys/bus/pci/devices/*/device' | grep -cx 0x1110 || true; }

take_card_out() {
	[ -e /run/rig/1 ] || skip "no guest 1"
	if card_is_in; then
		host guest --unplug 1
	fi
}

put_card_in() {
	if [ -e /run/rig/1 ] && card_is_out; then
		guest --plug 1
		link_up 1
	fi
}

qmp() { guest --qmp 1 "$1" >/dev/null; }

# The kernel says that it went, then QEMU takes it away.
window_is_out() {
	! guest --qmp 1 '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}' |
		grep -q '"name": "window"'
}

take_window_out() {
	qmp '{"execute": "device_del", "arguments": {"id": "window"}}'
	wait_for 60 window_is_out
}

# put_window_in DRIVER: with an argument in JSON
put_window_in() {
	qmp '{"execute": "device_add", "arguments":
		{"driver": "'"$1"'", "id": "window", "bus": "rp1", '"$2"'}}'
	at_exit take_window_out
	wait_for 60 card_is_in
}

# put_file_in FILE: a window without doorbells
put_file_in() {
	qmp '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-file",
		"id": "file", "mem-path": "'"$1"'", "size": '"$(stat -c %s "$1")"', "share": true}}'
	at_exit "qmp '{\"execute\": \"object-del\", \"arguments\": {\"id\": \"file\"}}'"
	put_window_in ivshmem-plain '"memdev": "file"'
}

# put_served_in serve|host FILE VECTORS [RAM]: a window with doorbells
put_served_in() {
	rm -f "$DIR/socket"
	if [ "$1" = host ]; then
		# Its pipes are those of HOST.
		coproc HOST { exec portctl host "$DIR/socket" "${@:2}"; }
		# shellcheck disable=SC2153 # bash's
		at_exit "kill $HOST_PID 2>/dev/null"
	else
		portctl serve "$DIR/socket" "$2" "$3" &
	fi
	wait_for 60 test -S "$DIR/socket"
	qmp '{"execute": "chardev-add", "arguments": {"id": "served", "backend": {"type": "socket",
		"data": {"server": false, "addr": {"type": "unix",
		"data": {"path": "'"$DIR/socket"'"}}}}}}'
	at_exit "qmp '{\"execute\": \"chardev-remove\", \"arguments\": {\"id\": \"served\"}}'"
	put_window_in ivshmem-doorbell '"chardev": "served", "vectors": '"$3"
}

# What the driver makes of the window as it is now: whether it takes it, what
# interfaces there are, and what is said: of an error, but for -ENODEV, by the kernel, too
probe() {
	guest 1 bash -s <<-'EOT'
	device=$(grep -lx 0x1110 /sys/bus/pci/devices/*/device)
	device=${device%/device}
	echo "window.sh: probe" >/dev/kmsg
	echo "${device##*/}" >/sys/bus/pci/drivers_probe
	if [ -e "$device/driver" ]; then echo taken; else echo "left alone"; fi
	ls /sys/class/net | sed '/^lo$/d; s/.*/an interface/'
	dmesg | awk '/window.sh: probe/ { said = ""; next }
		/pveth/ { said = said $0 "\n" }
		END { printf "%s", said }' |
		sed "s/^\[[^]]*\] //; s/${device##*/}/DEVICE/; s/.*probe.* failed with/failed with/"
	EOT
}

DIRECT=0x200000000
# The interface of guest 1
card=
# What its host offers, as portctl prints it
offer=

# Where its RAM is, in direct mode, and nothing otherwise. The command is quoted.
guest_ram() { tr -d "\\\\" </run/rig/1/command | sed -n 's/.*mem-path=\([^ ,]*\).*/\1/p'; }

# play_host [FEATURES [FIELD=VALUE]...]: a host that offers these, and direct mode if the rig's
# guests use that, in a window with these fields changed. The guest sends nothing by itself.
play_host() {
	local ram

	ram=$(guest_ram)
	offer=$((${1-0} | ${ram:+$DIRECT} + 0))
	take_card_out
	portctl window "$FILE" $WINDOW features=$offer "${@:2}"
	guest 1 sysctl -q net.ipv6.conf.default.disable_ipv6=1
	at_exit "guest 1 sysctl -q net.ipv6.conf.default.disable_ipv6=0"
	# shellcheck disable=SC2086 # or none
	put_served_in host "$FILE" 17 $ram
	wait_for 60 card_is_driven
	card=$(guest_if 1)
	in_guest 1 ip link set "$card" up
	offer=$(printf '%#x' $offer)
}

card_is_driven() { [ -n "$(guest_if 1)" ]; }

# tells STEPS: the host has them to do
tells() {
	note "portctl: $*"
	echo "$*" >&"${HOST[1]}" || fail "portctl is gone"
}

# What the guest answered is in $said, when all is done
hears() {
	local line status=0

	said=
	# shellcheck disable=SC2154 # lib.sh's
	while read -r -t $((120 * patience)) line <&"${HOST[0]}" || { status=$?; false; }; do
		if [ "$line" = . ]; then
			note "portctl said: ${said//$'\n'/, }"
			return
		fi
		said+=${said:+$'\n'}$line
	done
	# bash has so much to say of a read that takes too long
	[ $status -gt 128 ] || fail "portctl ended, after: $said"
	fail "portctl is not done, but said: $said"
}

plays() {
	tells "$@"
	hears
}

said_is() { diff -u <(printf '%s\n' "$@") - <<<"$said"; }

# The one that starts anew
good_again() {
	plays connect desc publish
	[[ $said == *$'\n'"publish: taken" ]] || fail "the guest does not take a frame"
}

# bad_metadata LENGTH OFFSET: fields of descriptors with a partial checksum that do not fit a
# frame of this length, nor does a checksum so far behind its start at 14, one in a line
bad_metadata() {
	local ipv4=0x0800 ipv6=0x86dd

	cat <<-EOT
	ethertype=$ipv6 csum-start=53 csum-offset=0
	ethertype=$ipv4 csum-start=33 csum-offset=0
	csum-start=$1
	csum-start=14 csum-offset=$2
	csum-start=65535
	csum-start=14 csum-offset=65535
	gso-type=1 csum-start=34 csum-offset=16 gso-size=0
	gso-type=1 csum-start=34 csum-offset=6 gso-size=8
	gso-type=1 csum-start=34 csum-offset=16 gso-size=65535
	gso-type=4 csum-start=$(($1 - 10)) csum-offset=16 gso-size=8
	gso-type=5 csum-start=34 csum-offset=6 gso-size=0
	gso-type=5 csum-start=34 csum-offset=16 gso-size=8
	EOT
}
