# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts on the machine have in common. To be sourced.

top=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
# The name that messages begin with
me=${0##*/}

# Progress, with the seconds since the start
say()
{
	printf '%s: %3d s  %s\n' "$me" "$SECONDS" "$*" >&2
}

die()
{
	printf '%s: %s\n' "$me" "$*" >&2
	exit "${die_status:-1}"
}

# An error in the command line
usage_error()
{
	printf '%s: %s\n' "$me" "$*" >&2
	printf "'%s help' shows what there is.\n" "$0" >&2
	exit 2
}
