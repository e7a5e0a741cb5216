# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# host.sh: sourced by scripts that use the host's huge pages. What was reserved is given back at
# the end of the script that reserved it, also when it fails; other reservations are left alone.

huge_pages_file=/proc/sys/vm/nr_hugepages
huge_pages_reserved=0

# reserve_huge_pages N: have at least N free 2 MiB pages, if we are root and the host has them.
reserve_huge_pages() {
    [ "$(id -u)" -eq 0 ] && [ -w "$huge_pages_file" ] || return 0
    local free before after
    free=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
    [ "${free:-0}" -lt "$1" ] || return 0
    before=$(cat "$huge_pages_file")
    # A host may refuse, or give fewer: the program says so itself when it falls back.
    echo $((before + $1 - free)) 2>/dev/null >"$huge_pages_file" || return 0
    after=$(cat "$huge_pages_file")
    huge_pages_reserved=$((after - before))
}

give_back_huge_pages() {
    [ "$huge_pages_reserved" -gt 0 ] || return 0
    local now
    now=$(cat "$huge_pages_file")
    echo $((now > huge_pages_reserved ? now - huge_pages_reserved : 0)) >"$huge_pages_file" || true
    huge_pages_reserved=0
}
