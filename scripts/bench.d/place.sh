# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the bench does in the host VM and in guests alike, with few processes: one
# takes 50 ms in an emulated guest. To be sourced.

pktgen=/proc/net/pktgen
# A loop for this long means that something is broken
patience=40

# pause SECONDS: without a process
pause()
{
	[ -p /run/bench.never ] || mkfifo /run/bench.never
	read -rt "$1" <> /run/bench.never || :
}

# device MAC: name of the interface
device()
{
	local file mac

	for file in /sys/class/net/*/address; do
		read -r mac < "$file"
		[ "$mac" = "$1" ] || continue
		file=${file%/address}
		echo "${file##*/}"
		return
	done
	echo "no interface has the address $1"
	return 1
}

# irqs INTERFACE: how many interrupts its device has had
irqs()
{
	local file line list=' ' sum=0 n=0 numbers

	# A virtio device is a child of the PCI device
	for file in "/sys/class/net/$1"/device/{,../}msi_irqs/*; do
		list+="${file##*/} "
	done
	while read -ra line; do
		[[ $list == *" ${line[0]%:} "* ]] || continue
		n=$((n + 1))
		for numbers in "${line[@]:1}"; do
			[[ $numbers =~ ^[0-9]+$ ]] || break
			sum=$((sum + numbers))
		done
	done < /proc/interrupts
	[ $n -gt 0 ] && echo "$sum"
}

# From now on, what arrives on INTERFACE over IPv4 is counted and goes no further:
# drop INTERFACE, keep INTERFACE
drop()
{
	tc qdisc add dev "$1" clsact &&
		tc filter add dev "$1" ingress protocol ip matchall action drop
}

keep()
{
	tc qdisc del dev "$1" clsact 2> /dev/null || :
}

# arrived INTERFACE: how many packets that were, once no more come
arrived()
{
	local before=-1 count=0 end=$((SECONDS + patience)) text

	while [ "$count" != "$before" ]; do
		[ $SECONDS -lt $end ] || return
		before=$count
		text=$(tc -s filter show dev "$1" ingress)
		[[ $text =~ bytes\ ([0-9]+)\ pkt ]] || return
		count=${BASH_REMATCH[1]}
	done
	echo "$count"
}

# send INTERFACE MAC ADDRESS SECONDS: packets of 64 octets (60 and a checksum), as
# fast as they go. Prints how many, and the microseconds.
send()
{
	local word thread=$pktgen/kpktgend_0 text end=$((SECONDS + patience))

	[ -d $pktgen ] || modprobe pktgen
	echo rem_device_all > $thread
	echo "add_device $1" > $thread
	for word in "pkt_size 60" "count 0" "delay 0" "clone_skb 0" \
		"dst_mac $2" "dst $3" "udp_dst_min 9" "udp_dst_max 9"; do
		echo "$word" > "$pktgen/$1" || return
	done
	{
		pause "$4"
		echo stop > $pktgen/pgctrl
	} &
	echo start > $pktgen/pgctrl
	wait $!
	# Its thread starts, and so stops, when it comes to it
	until text=$(< "$pktgen/$1"); [[ $text =~ OK:\ ([0-9]+)\(.*usec,\ ([0-9]+)\ \( ]]; do
		[ $SECONDS -lt $end ] || {
			echo "pktgen: ${text##*Result:}"
			return 1
		}
		pause 0.02
	done
	echo "${BASH_REMATCH[2]} ${BASH_REMATCH[1]}"
}

# background NUMBER COMMAND: its output goes to a file
output=/run/bench.out
declare -A jobs
background()
{
	$2 > "$output.$1" 2>&1 &
	jobs[$1]=$!
}
