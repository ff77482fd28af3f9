# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Kits: what scripts/kernel and scripts/qemu make of Debian's packages, in the cache.
# shellcheck disable=SC2154 # flavour and recipe are the caller's

cache=$(realpath -m "${PVETH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pveth}")

# stdout is for the kit's path
say()
{
	echo "${0##*/}: $*" >&2
}

die()
{
	say "$@"
	exit 1
}

# apt with lists and a cache of our own, so that the machine's stay as they are
# and no lock of theirs is waited for; the machine's settings still hold.
apt()
{
	local tool=$1 state=$cache/apt/$flavour
	shift

	mkdir -p "$state/lists" "$state/cache"
	: >> "$state/status"
	"$tool" -o Dir::Etc::SourceList="$state/sources.list" \
		-o Dir::Etc::SourceParts=/nonexistent \
		-o Dir::State::Lists="$state/lists" \
		-o Dir::State::Status="$state/status" \
		-o Dir::Cache="$state/cache" \
		-o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# The machine's Debian archives as lines of "URI SUITE", its main one first
debian_archives()
{
	local codename

	codename=$(. /etc/os-release; echo "${VERSION_CODENAME-}")
	[ "$codename" = bookworm ] ||
		die "this machine is \"$codename\": Debian 12 (bookworm) is needed"
	# shellcheck disable=SC2016 # for apt to expand
	apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' \
		'Created-By: Packages' 'Component: main' |
		grep -E " $codename(-security|-updates)?\$" | sort -u -k 2 |
		grep . || die "no Debian archive in the machine's apt sources"
}

# Read the lists of the recipe's sources(), lines of "URI SUITE". Lists younger
# than a week are kept, unless $1 says now.
apt_update()
{
	local state=$cache/apt/$flavour
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg

	if [ -z "${1-}" ] && [ -n "$(find "$state/updated" -mtime -7 2> /dev/null)" ]
	then
		return
	fi
	mkdir -p "$state"
	sources | sed "s|.*|deb [signed-by=$keys] & main|" > "$state/sources.list"
	if apt apt-get -qq --error-on=any update >&2; then
		touch "$state/updated"
	elif [ -e "$state/updated" ]; then
		say "package lists could not be renewed: using the old ones"
	else
		die "package lists could not be read, see above"
	fi
}

# Version of package $1 in suite $2, or of its newest
apt_version()
{
	apt apt-cache madison "$1" |
		awk -F ' *[|] *' -v suite="${2-}" '
			suite == "" || $3 ~ "[ ]" suite "/" { print $2; exit }' |
		grep . || die "no package $1${2:+ in $2}"
}

# Packages that package $1 version $2 wants, those matching regex $3, and
# theirs; one name each line, itself too
apt_closure()
{
	local dep

	echo "$1"
	for dep in $(apt apt-cache show "$1=$2" 2> /dev/null |
		sed -n 's/^Depends: //p' | tr -s ',|' '\n' |
		awk -v want="$3" '$1 ~ want { print $1 }'); do
		apt_closure "$dep" "$2" "$3"
	done | sort -u
}

# A recipe defines
#   inputs          prints what the kit depends on, apart from the recipe
#   refresh         called when no kit fits, before anything is downloaded
#   make_kit DIR    makes the kit in DIR, with its version in the file "release"
#   check_kit DIR   dies if that is no kit
find_kit()
{
	local key

	inputs > "$work/inputs"
	key=$(cat "$work/inputs" "$recipe" | sha256sum | cut -c 1-12)
	kit=$1/$flavour-$key
}

# cached_kit DIR: print the path of the kit of that flavour in DIR, where kits are
cached_kit()
{
	local kits=$1

	mkdir -p "$kits"
	work=$kits/.$flavour.work
	exec 9> "$kits/.$flavour.lock"
	if ! flock -n 9; then
		say "another process is at the kit \"$flavour\", waiting for it"
		flock 9
	fi

	# What an interrupted run left behind
	rm -rf "$work"
	mkdir "$work"
	trap 'rm -rf "$work"' EXIT

	# With what is known already, then with what is true now
	find_kit "$kits"
	if [ ! -d "$kit" ]; then
		refresh
		find_kit "$kits"
	fi
	if [ ! -d "$kit" ]; then
		say "making the kit \"$flavour\" in $kit"
		mkdir "$work/kit"
		make_kit "$work/kit"
		check_kit "$work/kit"
		mv "$work/inputs" "$work/kit/"
		mv "$work/kit" "$kit"
		say "kit \"$flavour\": $(cat "$kit/release"), $SECONDS s"
	fi
	echo "$kit"
}
