# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The host VM from start to end, and the verdict. To be sourced by scripts/rig.
# shellcheck disable=SC2154 # options and directories are the caller's

# Patterns of what makes a run fail
reports=$top/scripts/rig.d/reports

start_host()
{
	local line="console=ttyS0 loglevel=5 panic=-1" netdev wire_args=()

	line+=" panic_on_warn=1 oops=panic unknown_nmi_panic $host_kernel_args"
	if [ "$wire" ]; then
		# Datagrams: none of the two has to be there first.
		rm -f "$wire_dir/$wire"
		netdev=dgram,id=wire,local.type=unix,local.path=$wire_dir/$wire
		netdev+=,remote.type=unix,remote.path=$wire_dir/$((3 - wire))
		wire_args=(-netdev "$netdev"
			-device "virtio-net-pci,netdev=wire,mac=$wire_mac")
	fi
	rm -f "$out"/{host,guest[1-4]}.{console,dmesg,registers} "$out"/{pvethd.log,.status}
	: > "$out/host.console"
	say "starting the host VM: $accel, CPUs: $host_cpus, memory: $host_mem MB"
	# Even kill -9 of the rig leaves no QEMU
	setpriv --pdeathsig TERM \
		"${host_qemu[@]}" -name rig \
		-machine q35 -accel "$accel" -cpu "$host_cpu" \
		-smp "$host_cpus" -m "$host_mem" \
		-nodefaults -no-user-config -display none -nic none -no-reboot \
		-serial "file:$out/host.console" \
		-monitor "unix:$run/monitor,server=on,wait=off" \
		-kernel "$host_vmlinux" -initrd "$run/host.initramfs" \
		-append "$line" \
		-fsdev local,id=root,path=/,security_model=none,multidevs=remap,readonly=on \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=share,path=$out,security_model=none,multidevs=remap" \
		-device virtio-9p-pci,fsdev=share,mount_tag=share \
		-device virtio-serial-pci \
		-chardev "socket,id=session,path=$run/session,server=on,wait=off" \
		-device virtserialport,chardev=session,name=session "${wire_args[@]}" \
		< /dev/null > "$run/qemu.log" 2>&1 &
	qemu=$!
}

# stage NAME SECONDS: what the host VM does now, and for how long at most
stage()
{
	echo "$1 $2 $SECONDS" > "$run/stage.new"
	mv "$run/stage.new" "$run/stage"
}

pause()
{
	read -rt 0.5 <> "$run/never" || :
}

has_report()
{
	grep -qsE -f "$reports" "$out"/{host,guest[1-4]}.console
}

# What init says on the console of host VM and guests
show_progress()
{
	local line

	while IFS= read -r line; do
		line=${partial-}${line%$'\r'}
		partial=
		case $line in
		"rig: ready")
			say "ready"
			stage session "$timeout" ;;
		"rig: end" | "rig: FAILED"*) ;;
		"rig: "*) say "${line#rig: }" ;;
		esac
	done
	partial=$line
}

# In the background: ends the host VM when a console has a report, or when a
# stage takes too long; says so in $run/verdict.
watch_consoles()
{
	local name limit since partial=''

	exec < "$out/host.console"
	while kill -0 "$qemu" 2> /dev/null; do
		show_progress
		read -r name limit since < "$run/stage"
		if has_report; then
			# The rest of it
			settle
			echo report > "$run/verdict"
			break
		fi
		if [ "$limit" -gt 0 ] && [ $((SECONDS - since)) -ge "$limit" ]; then
			echo "timeout $name $limit" > "$run/verdict"
			where_it_is
			break
		fi
		pause
	done
	show_progress
	kill "$qemu" 2> /dev/null
}

# The last words of a host VM that was too slow or hangs: QEMU's view of its
# processor, and, if that still takes an NMI, the kernel's of all tasks that run.
where_it_is()
{
	local i

	for i in 1 2 3; do
		echo "info registers"
		pause
	done | timeout 10 socat -t 2 - "UNIX-CONNECT:$run/monitor" |
		tr -d '\r' | grep -E '^(RIP|GS|CR0|EFER)|HLT' > "$out/host.registers" || :
	echo nmi | timeout 10 socat -t 2 - "UNIX-CONNECT:$run/monitor" > "$run/nmi" || :
	settle
}

# Until no console has grown for two seconds, or for ten
settle()
{
	local now before='' quiet=$SECONDS end=$((SECONDS + 10))

	while [ $SECONDS -lt $end ] && [ $((SECONDS - quiet)) -lt 2 ]; do
		now=$(stat -c %s "$out"/*.console)
		[ "$now" = "$before" ] || quiet=$SECONDS
		before=$now
		pause
	done
}

# Run $run/session.sh in the host VM, as soon as that is ready. A port of a virtio
# console is at its end while nobody is connected, so we are, from the start.
session()
{
	local tty=-T

	[ "$action" != shell ] || tty=-t
	exec ssh $tty -F none -i "$run/key" -o LogLevel=QUIET \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o ProxyCommand="socat - UNIX-CONNECT:$run/session" \
		root@rig "exec bash $run/session.sh"
}

boot_and_run()
{
	mkfifo "$run/never"
	start_host
	stage boot "$boot_timeout"
	watch_consoles &
	watcher=$!
	until [ -S "$run/session" ] || ! kill -0 "$qemu" 2> /dev/null; do
		pause
	done
	# A signal for us is not to wait for the session's end
	session <&0 &
	session=$!
	wait "$session" || :
	session=
	stage end "$boot_timeout"
	wait "$qemu" && qemu_status=0 || qemu_status=$?
	qemu=
	wait "$watcher" || :
	watcher=
}

# Print the reports in files $@, with what came just before and after
print_reports()
{
	local file line

	for file; do
		line=$(grep -snE -m 1 -f "$reports" "$file") || continue
		printf '%s: report in %s:\n' "$me" "${file##*/}" >&2
		awk -v line="${line%%:*}" 'NR >= line - 5 && NR < line + 150' \
			"$file" | tr -d '\r' >&2
	done
}

print_tails()
{
	local file

	for file in "$out"/*.console "$out/pvethd.log"; do
		[ -e "$file" ] || continue
		printf '%s: the end of %s:\n' "$me" "${file##*/}" >&2
		tail -n 25 "$file" | tr -d '\r' >&2
	done
}

# QEMU's emulation of SVM with several CPUs, Documentation/rig.rst
is_emulators_fault()
{
	[ "$accel" = tcg ] && [ "$host_cpus" -gt 1 ] &&
		grep -qs 'stack guard page was hit' "$out/host.console" &&
		grep -qs '__svm_vcpu_run' "$out/host.console"
}

# Exit status of the rig, with the reason on stderr
verdict()
{
	local verdict='' name limit

	[ ! -e "$run/verdict" ] || read -r verdict name limit < "$run/verdict"
	if is_emulators_fault; then
		print_reports "$out/host.console"
		say "QEMU's emulation of SVM with several host CPUs failed, not what ran"
		return 75
	fi
	print_reports "$out"/*.console "$out"/*.dmesg
	if [ "$verdict" = timeout ]; then
		print_tails
		cat "$out/host.registers" >&2
		case $name in
		session)
			say "FAILED: not done after $limit s (--timeout)"
			return 124 ;;
		boot) say "FAILED: not up after $limit s" ;;
		end) say "FAILED: did not power off within $limit s" ;;
		esac
		return 125
	fi
	if grep -qsE -f "$reports" "$out"/*.{console,dmesg}; then
		say "FAILED: see the report above"
		return 125
	fi
	if [ ! -s "$out/.status" ] || [ "$qemu_status" != 0 ]; then
		cat "$run/qemu.log" >&2
		print_tails
		say "FAILED: the host VM ended before its time"
		return 125
	fi
	return "$(< "$out/.status")"
}
