# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What is made on the machine before a VM starts: kernel, modules and initramfs
# for host and guests, keys, the configuration. To be sourced by scripts/rig.
# shellcheck disable=SC2154 # options and directories are the caller's

# Kernels unpack themselves for seconds under emulation: QEMU starts an unpacked
# one as well, if it has the entry point for it (CONFIG_PVH). Prints the path of
# what to boot for kit $1; made once for each kernel, in the cache.
bootable()
{
	local image=$1/vmlinuz sum unpacked

	sum=$(sha256sum < "$image" | cut -c 1-12)
	unpacked=$cache/vmlinux/$sum
	if [ ! -s "$unpacked" ]; then
		mkdir -p "$cache/vmlinux"
		unpack "$image" > "$unpacked.$$"
		# The entry is a note of Xen's
		if [[ $(readelf -n "$unpacked.$$" 2>&1) != *"(0x00000012)"* ]]; then
			rm "$unpacked.$$"
			realpath "$image"
			return
		fi
		# Another rig may do the same now: the last one to rename wins
		mv "$unpacked.$$" "$unpacked"
	fi
	echo "$unpacked"
}

# number FILE OFFSET SIZE
number()
{
	od -An -v "-tu$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The kernel in a bzImage, Documentation/x86/boot.rst: its header says where
unpack()
{
	local offset length

	offset=$((($(number "$1" 0x1f1 1) + 1) * 512 + $(number "$1" 0x248 4)))
	length=$(number "$1" 0x24c 4)
	head -c $((offset + length)) "$1" | tail -c "$length" > "$run/payload"
	# After the data comes its unpacked length: complaints about that are
	# expected, and a broken result has no entry point. The debug kernel, which is
	# LZ4, stays packed: by its PVH entry it says nothing.
	case $(od -An -tx1 -N 4 "$run/payload" | tr -d ' ') in
	1f8b*) gzip -dcq "$run/payload" ;;
	fd377a58) xz -dcq --single-stream "$run/payload" ;;
	28b52ffd) zstd -dcq "$run/payload" ;;
	esac 2> /dev/null || :
	rm "$run/payload"
}

# module_tree ROLE KIT: build our modules for it. They and depmod's files go to
# $run/modules/ROLE, to be seen on top of the kit's own in /lib/modules/RELEASE.
module_tree()
{
	local dir=$run/modules/$1 kit=$2 release file ours

	ours=$("$top/scripts/modules" "$kit")
	release=$(< "$kit/release")
	mkdir -p "$dir/updates"
	# Another rig may want them built anew
	flock -s "$ours/.lock" \
		cp -L "$ours/pveth.ko" "$ours/pveth_host.ko" "$dir/updates/"
	for file in "$kit"/modules/*; do
		case ${file##*/} in
		build | source | updates) ;;
		modules.builtin | modules.builtin.modinfo | modules.order)
			cp "$file" "$dir/" ;;
		modules.*) ;;
		*) ln -s "$file" "$dir/" ;;
		esac
	done
	mkdir -p "$run/depmod/lib/modules"
	ln -s "$dir" "$run/depmod/lib/modules/$release"
	depmod -b "$run/depmod" "$release"
	rm -r "$run/depmod"
	find "$dir" -type l -delete
}

# What tests start all the time is in memory from the beginning. By 9p each start of a
# program takes dozens of requests: with a debug kernel a third of its time.
hot_programs=(bash sh ssh awk basename cat ethtool grep head ip jq mktemp ping pidof readlink
	rm sed sleep sort tee)

# with_links FILE: its path without links to directories, and so with all that it leads to
with_links()
{
	local file=$1 dir

	while :; do
		dir=$(realpath "${file%/*}")
		file=$dir/${file##*/}
		echo "${file#/}"
		[ -L "$file" ] || return 0
		file=$(readlink "$file")
		[[ $file = /* ]] || file=$dir/$file
	done
}

# In $run/hot, as in /
copy_hot_files()
{
	local name file files

	mkdir "$run/hot"
	files=(/etc/ld.so.cache "$sshd" "$top"/build/bin/pvethctl)
	for name in "${hot_programs[@]}"; do
		files+=("$(command -v "$name")")
	done
	{
		for name in bin lib lib64 sbin; do
			[ ! -L /$name ] || echo $name
		done
		for file in "${files[@]}" \
			$(ldd "${files[@]:1}" | grep -o '/[^ :]* (0x' | sed 's/ (0x//' | sort -u); do
			with_links "$file"
		done
	} | sort -u > "$run/hot.list"
	xargs -a "$run/hot.list" tar -C / -c --no-recursion | tar -C "$run/hot" -x
}

# initramfs ROLE KIT: for role host or guest, in $run/ROLE.initramfs
initramfs()
{
	local role=$1 kit=$2 dir=$run/initramfs file name release
	local modules=(virtio_pci 9pnet_virtio 9p overlay)

	# How commands reach a guest
	[ "$role" = host ] || modules+=(vmw_vsock_virtio_transport)
	release=$(< "$kit/release")
	mkdir -p "$dir"/{bin,dev,lower,modules,overlay,proc,root} "$run/kit/lib/modules"
	cp /bin/busybox "$dir/bin/"
	cp "$top/scripts/rig.d/initramfs" "$dir/init"
	cp -a "$run/hot" "$dir/"
	declare -p role run top > "$dir/rig.conf"
	sed -i 's/^declare -- //' "$dir/rig.conf"

	ln -sfn "$kit/modules" "$run/kit/lib/modules/$release"
	modprobe -d "$run/kit" -S "$release" --show-depends -a \
		"${modules[@]}" > "$run/depends"
	sed -n 's/^insmod \([^ ]*\).*/\1/p' "$run/depends" | awk '!seen[$0]++' |
	while read -r file; do
		name=${file##*/}
		case $name in
		*.xz) name=${name%.xz}; xz -dc "$file" > "$dir/modules/$name" ;;
		*.zst) name=${name%.zst}; zstd -dcq "$file" > "$dir/modules/$name" ;;
		*) cp "$file" "$dir/modules/" ;;
		esac
		echo "$name"
	done > "$dir/modules/order"
	# Not compressed: unpacking takes longer than reading, under emulation
	(cd "$dir" && find . | cpio -o -H newc --quiet) > "$run/$role.initramfs"
	rm -rf "$dir" "$run/kit" "$run/depends"
}

# Is it a kernel whose every step takes many times as long?
is_debug_kernel()
{
	grep -qs '^CONFIG_KASAN=y' "$1/config" "$1/build/.config"
}

# The processor's flags decide: /dev/kvm may be there, and of no use
choose_acceleration()
{
	local nested

	accel=tcg
	kvm_module=kvm_amd
	if grep -qw vmx /proc/cpuinfo; then
		accel=kvm kvm_module=kvm_intel
	elif grep -qw svm /proc/cpuinfo; then
		accel=kvm
	fi
	[ "$accel" = kvm ] || return 0
	nested=/sys/module/$kvm_module/parameters/nested
	if [ ! -w /dev/kvm ]; then
		say "no right to use /dev/kvm, so all is emulated: join the group kvm"
	elif [[ $(cat "$nested" 2> /dev/null) != [1Y] ]]; then
		say "$nested is not Y, so all is emulated"
	else
		return 0
	fi
	accel=tcg kvm_module=kvm_amd
}

# sshd, out of its package: installed, it would serve the machine's network. It is to
# have several sessions in a connection, which Debian 12's dropbear does not do: it
# closes one that is just being opened when the process of another ends (its issue
# 321, mended in 2024.86).
get_sshd()
{
	local version kept dir=$run/sshd

	version=$(LC_ALL=C apt-cache policy openssh-server | sed -n 's/^ *Candidate: //p')
	case $version in
	'' | '(none)') die "apt knows no package openssh-server: run apt-get update" ;;
	esac
	# A colon means something to socat
	kept=$cache/sshd/${version#*:}
	sshd=$kept/usr/sbin/sshd
	[ ! -x "$sshd" ] || return 0
	mkdir -p "$dir" "$cache/sshd"
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download "openssh-server=$version") ||
		die "cannot download openssh-server $version: run apt-get update"
	dpkg-deb -x "$dir"/*.deb "$dir/root"
	# Another rig may do the same now: the first one to rename wins
	mv -T "$dir/root" "$kept" 2> /dev/null || [ -x "$sshd" ] ||
		die "cannot write to $cache"
	rm -rf "$dir"
}

# The emulated time stamp counter is this machine's, whose frequency a kernel that loses the
# processor while it finds that out gets wrong: in one of ours time went 41 times too fast.
find_tsc_khz()
{
	gcc -O2 -o "$run/tsc_khz" "$top/scripts/rig.d/tsc_khz.c" ||
		die "cannot compile $top/scripts/rig.d/tsc_khz.c"
	tsc_khz=$("$run/tsc_khz")
}

# What depends on kernels and acceleration
set_defaults()
{
	local mem=1024

	# A bound for what hangs: machines may be busy
	boot_timeout=600
	if is_debug_kernel "$guest_kit"; then
		boot_timeout=1800
		guest_mem=${guest_mem:-1024}
	fi
	if is_debug_kernel "$host_kit"; then
		boot_timeout=1800
		mem=2048
	fi
	guest_mem=${guest_mem:-512}
	host_mem=${host_mem:-$((mem + guests * (guest_mem + 256)))}
	tcg=yes
	if [ "$accel" = kvm ]; then
		tcg=no
		host_cpus=${host_cpus:-2}
		host_cpu=${host_cpu:-host}
	fi
	host_cpus=${host_cpus:-1}
	# Without the flags by which kernels copy and clear bytewise
	host_cpu=${host_cpu:-max,-erms,-fsrm}
	# An emulated processor does not leak what it speculates on
	[ "$tcg" = no ] || kernel_args="mitigations=off$kernel_args"
	host_kernel_args=$kernel_args
	host_qemu=(qemu-system-x86_64)
	if [ "$accel" = tcg ]; then
		find_tsc_khz
		host_kernel_args+=" tsc_early_khz=$tsc_khz"
		mapfile -t host_qemu < <("$top/scripts/qemu")
		[ ${#host_qemu[@]} = 2 ] || die "no QEMU to emulate with, see above"
		host_qemu=("${host_qemu[0]}" -L "${host_qemu[1]}")
	fi
}

prepare()
{
	local n

	command -v qemu-system-x86_64 ssh-keygen > /dev/null ||
		die "programs are missing: run scripts/deps"
	choose_acceleration

	say "kernels: host $host_kernel, guest $guest_kernel"
	host_kit=$("$top/scripts/kernel" "$host_kernel")
	guest_kit=$host_kit
	[ "$guest_kernel" = "$host_kernel" ] ||
		guest_kit=$("$top/scripts/kernel" "$guest_kernel")
	module_tree host "$host_kit"
	if [ "$guest_kit" = "$host_kit" ]; then
		ln -s host "$run/modules/guest"
	else
		module_tree guest "$guest_kit"
	fi
	mkdir -p "$top/build"
	flock "$top/build/.bin.lock" \
		make -s -C "$top/hypervisor-side/pvethd" "O=$top/build/bin" >&2

	host_vmlinux=$(bootable "$host_kit")
	guest_vmlinux=$(bootable "$guest_kit")
	get_sshd
	copy_hot_files
	initramfs host "$host_kit"
	initramfs guest "$guest_kit"

	ssh-keygen -q -t ed25519 -N '' -C rig -f "$run/key"
	ssh-keygen -q -t ed25519 -N '' -C rig -f "$run/host_key"
	{
		echo "127.0.0.1 localhost"
		echo "::1 localhost"
		echo "10.77.0.1 rig"
		echo "fd77::1 rig"
		for n in 1 2 3 4; do
			echo "10.77.0.1$n vm$n"
			echo "fd77::1$n vm$n"
		done
	} > "$run/hosts"

	set_defaults
	write_config > "$run/config"
}

# What the VMs need to know, in their shell's language
write_config()
{
	local rig_top=$top rig_cwd=$PWD guest_initrd=$run/guest.initramfs
	local guest_kernel=$guest_vmlinux
	local rig_paths=("$run" "$top" "$PWD" "$script")

	declare -p rig_top rig_cwd rig_paths sshd host_kit guest_kit guests nics queues mode dhcp \
		wire wire_mac guest_cpus guest_mem guest_kernel guest_initrd qemu_args \
		kvm_module tcg boot_timeout kernel_args
}
