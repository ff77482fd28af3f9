# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Recipe for kernels that Debian has built. The packages are unpacked into the
# kit, not installed: the machine's own kernel is none of our business.
# shellcheck disable=SC2154 # cache, flavour and here are the caller's

# Where the kernel is, and the release whose compiler built it if that is not
# the machine's
case $flavour in
stock) suite='' toolchain='' ;;
6.12) suite=bookworm-backports toolchain='' ;;
7.3) suite=trixie-backports toolchain=trixie ;;
esac

sources()
{
	local archive

	if [ -z "$suite" ]; then
		debian_archives
		return
	fi
	archive=$(debian_archives | sed -n '1s/ .*//p')
	echo "$archive $suite"
}

inputs()
{
	apt_update
	version=$(apt_version linux-image-amd64 "$suite")
	echo "$version"
}

refresh()
{
	"$here/deps" build >&2
	apt_update now
}

# The release as packages, and so the file system, have it: 6.1.0-56-amd64
release_of()
{
	apt apt-cache show "linux-headers-amd64=$version" |
		sed -n 's/^Depends:.*linux-headers-\([0-9][^ ]*\).*/\1/p'
}

# A root with the compiler that built the kernel. The mounts that debootstrap
# makes are in a namespace that ends with it.
make_root()
{
	local archive

	[ "$(id -u)" = 0 ] || die "$flavour needs root, for debootstrap"
	say "making a $toolchain root for its compiler"
	archive=$(debian_archives | sed -n '1s/ .*//p')
	unshare --mount --propagation private \
		debootstrap --variant=minbase \
		--include=gcc-14,make,pahole,libelf1t64,libssl3t64 \
		"$toolchain" "$1" "$archive" > "$work/debootstrap.log" ||
		die "debootstrap: $(tail -n 5 "$work/debootstrap.log")"
	rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
}

make_kit()
{
	local kit=$1 dest=$1 release deb found

	release=$(release_of)
	[ -n "$release" ] || die "linux-headers-amd64 $version names no headers"

	if [ -n "$toolchain" ]; then
		dest=$kit/root
		make_root "$dest"
	fi

	say "fetching $release"
	{
		apt_closure "linux-image-$release" "$version" \
			'^linux-(binary|modules|base)-[0-9]'
		apt_closure "linux-headers-$release" "$version" \
			'^linux-(headers|kbuild)-[0-9]'
	} | sed "s/\$/=$version/" > "$work/packages"
	mkdir "$work/debs"
	(
		cd "$work/debs" || exit
		mapfile -t packages < "$work/packages"
		apt apt-get -qq download "${packages[@]}" >&2
	)
	for deb in "$work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$dest"
	done

	# Old packages have the modules in /lib and the rest in /boot, new ones
	# all of it in /usr/lib/modules
	for found in "$dest"/{usr/,}lib/modules/"$release"; do
		[ -d "$found/kernel" ] && break
	done
	mkdir -p "$kit/lib/modules"
	[ "$found" -ef "$kit/lib/modules/$release" ] ||
		mv "$found" "$kit/lib/modules/"
	found=$kit/lib/modules/$release
	rm -f "$found/build" "$found/source"
	mv "$(first "$found/vmlinuz" "$dest/boot/vmlinuz-$release")" "$kit/vmlinuz"
	mv "$(first "$found/config" "$dest/boot/config-$release")" "$kit/config"
	rm -rf "${kit:?}"/{boot,usr/share}
	depmod -b "$kit" "$release"
	echo "$release" > "$kit/release"
	ln -s "lib/modules/$release" "$kit/modules"

	# The headers name each other by absolute paths
	# shellcheck disable=SC2016 # for make to expand
	sed -i -e 's|/usr/src/|$(pveth-kit)|' \
		-e '1i pveth-kit := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))../' \
		"$dest/usr/src/linux-headers-$release/Makefile"
	if [ -n "$toolchain" ]; then
		ln -s "/usr/src/linux-headers-$release" "$kit/build"
	else
		ln -s "usr/src/linux-headers-$release" "$kit/build"
	fi
}

first()
{
	local file

	for file; do
		[ -e "$file" ] || continue
		echo "$file"
		return
	done
	die "none of these files was in the packages: $*"
}
