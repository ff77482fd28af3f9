# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The first steps of init, in the host VM and in guests: what systemd would do
# in ten times the time. In a guest under emulation each process costs 50 ms, so
# there are few. To be sourced.

export PATH=/run/rig/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/run/rig/home

here=$top/scripts/rig.d
busybox=/run/rig/busybox

# The rig on the machine reads these lines on the console
say()
{
	echo "rig: $1"
}

# Ends the VM; the rig takes it as a failure
die()
{
	say "FAILED: $1"
	$busybox poweroff -f
}

# File $2 over file $1, which stays as it is for others
replace_file()
{
	[ -e "$1" ] || echo > "$1"
	mount --bind "$2" "$1"
}

# The machine's /tmp changes all the time, which neither 9p's cache nor an overlay
# is made for. So the VM has its own, in which all that was there stays in reach.
# While files come and go a listing may lack others: what is needed is named.
own_tmp()
{
	local path name

	mount --bind /tmp /run/rig/tmp
	mount -t tmpfs -o mode=1777 tmp /tmp
	set -- /run/rig/tmp/*
	[ "$1" = '/run/rig/tmp/*' ] || $busybox ln -s "$@" /tmp/
	# shellcheck disable=SC2154 # the configuration's
	for path in "${rig_paths[@]}"; do
		name=${path#/tmp/}
		name=${name%%/*}
		[ "$path" = "${path#/tmp/}" ] || [ -e "/tmp/$name" ] ||
			$busybox ln -s "/run/rig/tmp/$name" /tmp/
	done
}

# set_up NAME: mounts, modules and accounts
set_up()
{
	local line release

	set -eE
	trap 'die "line $LINENO: $BASH_COMMAND"' ERR
	mount() { $busybox mount "$@"; }
	$busybox mkdir -p /run/rig/bin /run/rig/home/.ssh /run/rig/tmp

	mount -t sysfs sysfs /sys
	mount -t debugfs debugfs /sys/kernel/debug
	# Whoever wants it scanned says so: once in ten minutes takes a twentieth of the time.
	[ ! -e /sys/kernel/debug/kmemleak ] || echo scan=off > /sys/kernel/debug/kmemleak
	$busybox mkdir -p /dev/pts /dev/shm
	mount -t devpts -o ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777,size=100% shm /dev/shm
	own_tmp
	# As udev makes them
	$busybox ln -s /proc/self/fd /dev/fd
	$busybox ln -s /proc/self/fd/0 /dev/stdin
	$busybox ln -s /proc/self/fd/1 /dev/stdout
	$busybox ln -s /proc/self/fd/2 /dev/stderr
	echo "$1" > /proc/sys/kernel/hostname

	# The kit's modules, with ours and what depmod found out on top
	release=$(< /proc/sys/kernel/osrelease)
	# shellcheck disable=SC2154 # run, role and kit are the caller's
	$busybox mkdir -p "/lib/modules/$release"
	mount -t overlay modules "/lib/modules/$release" \
		-o "lowerdir=/run/lower$run/modules/$role:/run/lower$kit/modules"

	# root has a home of its own, and a key that only this rig knows
	while IFS= read -r line; do
		case $line in
		root:*) echo "root:x:0:0:root:$HOME:/bin/bash" ;;
		sshd:*) ;;
		*) echo "$line" ;;
		esac
	done < /etc/passwd > /run/rig/passwd
	echo "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin" >> /run/rig/passwd
	replace_file /etc/passwd /run/rig/passwd
	echo "root:*:19000::::::" > /run/rig/shadow
	replace_file /etc/shadow /run/rig/shadow
	$busybox mkdir -p /run/sshd
	echo "$(< "$run/key.pub")" > $HOME/.ssh/authorized_keys
	$busybox chmod -R go= $HOME /run/rig/shadow

	replace_file /etc/hosts "$run/hosts"
	echo "nameserver 10.77.0.1" > /run/rig/resolv.conf
	replace_file /etc/resolv.conf /run/rig/resolv.conf
	echo "export PATH=$PATH" > /run/rig/profile
	$busybox ip link set lo up
}

# Serves an ssh connection on its standard input and output. The key exchange is the
# one that takes the least time under emulation.
# shellcheck disable=SC2154 # the configuration's
serve_ssh="$sshd -i -e -f /dev/null -h $run/host_key -o AuthorizedKeysFile=$HOME/.ssh/authorized_keys"
serve_ssh+=" -o KexAlgorithms=curve25519-sha256 -o MaxSessions=100 -o LogLevel=ERROR"
serve_ssh+=" -o PasswordAuthentication=no -o PrintLastLog=no -o PrintMotd=no -o UseDNS=no"

# Real udev, but with two rules: load the driver that a device's alias names, as
# everywhere, and give our interfaces their addresses.
start_udev()
{
	local device class

	mount -t tmpfs udev /lib/udev/rules.d
	$busybox cat > /lib/udev/rules.d/80-rig.rules <<-EOT
	ACTION!="remove", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"
	ACTION=="add", SUBSYSTEM=="net", RUN+="$here/net-up \$name"
	EOT
	/lib/systemd/systemd-udevd --daemon 2> /dev/null
	# What "udevadm trigger" does, for those that wait for a driver; bridges don't
	for device in /sys/bus/{pci,virtio}/devices/*; do
		[ ! -e "$device/driver" ] || continue
		class=
		[ ! -e "$device/class" ] || read -r class < "$device/class"
		[[ $class == 0x06* ]] || echo add > "$device/uevent"
	done
	udevadm settle --timeout=600
}
