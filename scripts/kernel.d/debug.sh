# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Recipe for the kernel that looks for our bugs: Debian's source, which is the
# stock kernel's, with the fragments base, net and debug beside this file.
# shellcheck disable=SC2154 # flavour, here and work are the caller's

fragments=("$here"/kernel.d/{base,net,debug}.config)
uninstrumented=$here/kernel.d/debug.uninstrumented

inputs()
{
	# shellcheck disable=SC2016 # for dpkg-query to expand
	dpkg-query -W -f '${Version}\n' linux-source-6.1 2> /dev/null || echo none
	gcc -dumpfullversion 2> /dev/null || echo none
	cat "${fragments[@]}" "$uninstrumented"
}

refresh()
{
	"$here/deps" build >&2
}

# olddefconfig silently drops what it cannot set: no option may be lost so
check_config()
{
	local line name lost=''

	while read -r line; do
		case $line in
		CONFIG_*=*)
			grep -qxF -- "$line" .config || lost+="  $line"$'\n' ;;
		'# CONFIG_'*' is not set')
			name=${line#\# }
			name=${name%% *}
			! grep -q "^$name=" .config || lost+="  $line"$'\n' ;;
		esac
	done < <(cat "${fragments[@]}")
	[ -z "$lost" ] ||
		die "options that the fragments ask for and the kernel has not:"$'\n'"$lost"
}

# sanitize VALUE [OBJECT]: lines of a Makefile
sanitize()
{
	printf '%s := %s\n' "KASAN_SANITIZE${2:+_$2}" "$1" "UBSAN_SANITIZE${2:+_$2}" "$1"
}

restrict_sanitizers()
{
	local what but object

	while read -r what but; do
		case $what in
		'' | '#'*) ;;
		*.o)
			[ -e "${what%.o}.c" ] || die "$uninstrumented: no source of $what"
			sanitize n "${what##*/}" >> "${what%/*}/Makefile" ;;
		*)
			[ -e "$what/Makefile" ] || die "$uninstrumented: no directory $what"
			{
				sanitize n
				for object in ${but#- }; do
					sanitize y "$object"
				done
			} >> "$what/Makefile" ;;
		esac
	done < "$uninstrumented"
}

# Say every 15 s how far make, whose output is stdin, has come
progress()
{
	local line count=0 next=$((SECONDS + 15))

	while IFS= read -r line; do
		[[ $line != *' CC '* ]] || : $((count++))
		if [ $SECONDS -ge $next ]; then
			say "$count files compiled, $SECONDS s"
			next=$((SECONDS + 15))
		fi
	done
}

build()
{
	if ! nice make -j"$(nproc)" "$@" 2>&1 | tee "$work/make.log" | progress; then
		tail -n 30 "$work/make.log" >&2
		die "make $* failed in the kernel source, see above"
	fi
}

# What building a module takes, as the kernel's own builddeb picks it
copy_headers()
{
	{
		find . arch/x86 -maxdepth 1 -name 'Makefile*'
		find arch/x86 -name Kbuild.platforms
		find arch/x86/include include scripts \
			-type f ! -name '*.o' ! -name '.*.cmd' -o -type l
		echo .config
		echo Module.symvers
		echo tools/objtool/objtool
	} > "$work/headers"
	mkdir "$1"
	tar -c -T "$work/headers" | tar -x -C "$1"
}

make_kit()
{
	local kit release

	kit=$(realpath "$1")
	say "unpacking the source"
	tar -xf /usr/src/linux-source-6.1.tar.xz -C "$work"
	cd "$work/linux-source-6.1" || die "no linux-source-6.1 in the package"

	{
		make allnoconfig
		scripts/kconfig/merge_config.sh -m .config "${fragments[@]}"
		make olddefconfig
	} > "$work/config.log" 2>&1 ||
		die "configuring failed: $(tail -n 5 "$work/config.log")"
	check_config
	restrict_sanitizers

	say "compiling some 2300 files"
	build bzImage modules
	release=$(make -s kernelrelease)
	build INSTALL_MOD_PATH="$kit" modules_install

	rm -f "$kit/lib/modules/$release"/{build,source}
	cp arch/x86/boot/bzImage "$kit/vmlinuz"
	cp .config "$kit/config"
	echo "$release" > "$kit/release"
	ln -s "lib/modules/$release" "$kit/modules"
	copy_headers "$kit/build"
	cd "$here" || exit
}
