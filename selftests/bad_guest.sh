#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests that break the protocol.
#
#   portctl ---- pvt0       plays the guest of a port of the test
#
# A request that asks for the impossible, and a guest that breaks the protocol,
# end in the state "error" with the right reason, are counted, and are forgotten
# with the next good request.

# shellcheck source=selftests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=selftests/lib_window.sh
. "$(dirname "$0")/lib_window.sh"

P=pvt0

# The guest's RAM, where a test has direct mode: two regions that touch, and one
# that does not
RAM=(region=0:0x100000 region=0x200000:0x10000 region=0x210000:0x10000)
DIRECT=features=0x200000000
ram=()

# What portctl prints, with less of "show": STATE ERROR PROTOCOL-ERRORS
play() {
	note "portctl attach $P ${*//show/}"
	portctl attach $P "${ram[@]}" "$@" |
		sed 's/.* state=\([^ ]*\) error=\([^ ]*\) .* protocol-errors=\(.*\)/\1 \2 \3/'
}

# refuses ERROR REQUEST...: each is refused, and then a good one is not
refuses() {
	local error=$1 n=0 request
	local -a expected words

	shift
	for request; do
		n=$((n + 1))
		# shellcheck disable=SC2206 # several fields
		words+=(request $request show)
		expected+=("request: refused $error" "error $error $n")
	done
	test_port $P numtxqueues 2 numrxqueues 2
	play vectors=3 window=$WINDOW "${words[@]}" request show |
		diff -u <(printf '%s\n' "${expected[@]}" "request: connected" "connected none $n") -
}

# breaks ERROR STEPS...: in a session of its own, which ends for that
breaks() {
	local error=$1 n=0 steps
	local -a expected words

	shift
	for steps; do
		n=$((n + 1))
		# shellcheck disable=SC2206 # several steps
		words+=(request $steps show)
		expected+=("request: connected" "ended $error" "error $error $n")
	done
	test_port $P
	play window=$WINDOW "${words[@]}" request desc publish buf post frame show |
		sed '/: ended/s/.*: //' |
		diff -u <(printf '%s\n' "${expected[@]}" "request: connected" \
			"publish: id 0 ok" "frame: id 0 length 60" "connected none $n") -
}

# What is not offered, and what needs something else: TSO, ECN and USO in either
# direction
refused_features() {
	refuses features features={0x20,0x200000,0x200000000,0x300000000,0x8000000000000000} \
		features={2,4,16,9,0x20000,0x90000}
}

refused_queues() { refuses queues queue-pairs=0 queue-pairs=3 queue-pairs=17 queue-pairs=65535; }

refused_reserved() {
	refuses reserved reserved0=1 reserved1=1 pair-reserved=1 \
		"queue-pairs=2 pair=1 pair-reserved=1"
}

refused_ring_sizes() {
	refuses ring-size {g2h,h2g}-size={0,1,3,32,65,96,8192,65536,0x80000000,0xffffffff} \
		"queue-pairs=2 pair=1 h2g-size=0"
}

# The rings of a pair are of 2304, 768, 1280 and 2304 bytes.
refused_ring_addresses() {
	refuses ring-addr {g2h,g2h-done,h2g-post,h2g}={0x2008,0,0x1000,0x1f80,$WINDOW} \
		g2h=$((WINDOW - 2304 + 128)) g2h-done=$((WINDOW - 768 + 128)) \
		h2g-post=$((WINDOW - 1280 + 128)) h2g=$((WINDOW - 2304 + 128)) \
		g2h=0xffffffffffffff80 g2h-done=0x8000000000000000 h2g=0xffffffffffff0000 \
		g2h-done=0x2000 h2g=0x2000 g2h-done=$((0x2000 + 2304 - 128)) \
		h2g-post=$((0x2000 + 2304)) "g2h-size=4096 g2h=0xf0000" \
		"queue-pairs=2 pair=1 g2h=0x2000" "queue-pairs=2 pair=1 h2g=$((0x2000 + 6656 - 128))"
}

accepted_ring_addresses() {
	test_port $P numtxqueues 2 numrxqueues 2
	play vectors=3 window=$WINDOW \
		request g2h=$((WINDOW - 2304)) desc publish \
		request h2g-post=$((WINDOW - 1280)) buf post frame \
		request g2h-size=4096 g2h=$((WINDOW - 256 - 4096 * 32)) \
		g2h-done=$((WINDOW / 2)) desc publish \
		request queue-pairs=2 pair=1 g2h=$((WINDOW - 2304)) show |
		diff -u <(cat <<-EOT
		request: connected
		publish: id 0 ok
		request: connected
		frame: id 0 length 60
		request: connected
		publish: id 0 ok
		request: connected
		connected none 0
		EOT
		) -
}

refused_direct_mode() {
	local -a ram=("${RAM[@]}")

	refuses memory "$DIRECT check=1" "$DIRECT check=0" "$DIRECT check-addr0=0x1004" \
		"$DIRECT check-addr0=0x2000" "$DIRECT check-addr1=0x1008" \
		"$DIRECT check-addr"{0,1}={0x100000,0x1ffff8,0x220000,0xfffffffffffffff8}
}

refused_ring_addresses_of_ram() {
	local -a ram=("${RAM[@]}")

	refuses ring-addr "$DIRECT "{g2h,g2h-done,h2g-post,h2g}={0x2008,0x100000,0xfff80,0x20ff80,0x21ff80} \
		"$DIRECT g2h=0xffffffffffffff80" "$DIRECT h2g=0x1fff80" "$DIRECT g2h-done=0x2000" \
		"$DIRECT g2h-size=4096 g2h=0xf0000"
}

# Wherever it is, and whichever pages it is in
accepted_ram() {
	local -a ram=("${RAM[@]}")

	test_port $P
	play request $DIRECT g2h=0 h2g=0x210000 desc publish buf post frame \
		request $DIRECT g2h=$((0x210000 - 2304)) h2g-post=0x21f780 \
		desc addr=$((0x10000 - 1)) publish desc addr=$((0x100000 - 60)) publish \
		desc addr=0x210000 len=1500 publish desc addr=$((0x210000 - 60)) publish \
		buf addr=$((0x10000 - 30)) post frame \
		buf addr=0x20f800 post frame len=1500 \
		buf addr=0x91fff len=0x2001 post frame len=1514 \
		request desc publish request $DIRECT desc publish show |
		diff -u <(cat <<-EOT
		request: connected
		publish: id 0 ok
		frame: id 0 length 60
		request: connected
		publish: id 0 ok
		publish: id 1 ok
		publish: id 2 ok
		publish: id 3 ok
		frame: id 0 length 60
		frame: id 1 length 1500
		frame: id 2 length 1514
		request: connected
		publish: id 0 ok
		request: connected
		publish: id 0 ok
		connected none 0
		EOT
		) -
}

# One that is about an older generation of the host is not answered.
old_request() {
	test_port $P
	play request request host-gen=2 wait-ms=300 show request show |
		diff -u <(cat <<-EOT
		request: connected
		request: no answer
		ready none 0
		request: connected
		connected none 0
		EOT
		) -
}

# Each request takes the host two looks at the guest's word, of which there are 100 a second.
asks_without_end() {
	local requests=300 steps=() start n

	test_port $P
	for ((n = 0; n < requests; n++)); do
		steps+=(request features=2)
	done
	start=${EPOCHREALTIME/./}
	portctl attach $P "${steps[@]}" request show >"$TMPDIR/said"
	note "$requests requests took $((${EPOCHREALTIME/./} - start)) us"
	[ $((${EPOCHREALTIME/./} - start)) -ge 4000000 ] || fail "the host does all that it is asked for"
	[ "$(grep -c '^request: refused features$' "$TMPDIR/said")" = $requests ]
	tail -n 2 "$TMPDIR/said" | grep -q '^request: connected$'
}

broken_index() {
	breaks index "publish index="{65,0x80000000,0xffffffff} \
		"post index="{65,0x80000000,0xffffffff}" frame"
}

# Back to what was consumed
broken_index_later() {
	test_port $P
	play request desc publish publish index=0 show request buf post frame post index=0 frame show |
		diff -u <(cat <<-EOT
		request: connected
		publish: id 0 ok
		publish: ended index
		error index 1
		request: connected
		frame: id 0 length 60
		frame: ended index
		error index 2
		EOT
		) -
}

broken_frame() { breaks frame "desc count=0 publish" "desc count=65 publish" "desc count=2 publish"; }

broken_desc_addr() {
	breaks desc-addr "desc addr="{0,0x1000,0x1fff,$WINDOW,$((WINDOW - 59)),0xffffffffffffffff}" publish" \
		"desc len=0xffffffff publish" "desc count=2 desc count=0 id=0 addr=0 publish" \
		"buf addr="{0,0x1000,$WINDOW,$((WINDOW - 2047)),0xffffffffffffff00}" post frame" \
		"buf len=0xffffffff post frame"
}

broken_desc_addr_of_ram() {
	local -a ram=("${RAM[@]}")

	breaks desc-addr "$DIRECT desc addr="{0x100000,0xfffff,0x1fffff,0x20ffff,0x21fff0,0x220000,0xffffffffffffffff}" publish" \
		"$DIRECT desc len=0xffffffff publish" \
		"$DIRECT desc count=2 desc count=0 id=0 addr=0x100000 publish" \
		"$DIRECT buf addr="{0x100000,0xff801,0x1ffc00,0x20fc00,0x21fc00,0xfffffffffffff800}" post frame" \
		"$DIRECT buf len=0xffffffff post frame"
}

broken_desc_len() {
	breaks desc-len "desc len=0 publish" "desc count=2 desc count=0 id=0 len=0 publish" \
		"buf len=2047 post frame" "buf len=0 post frame"
}

broken_desc_id() { breaks desc-id "desc id=64 publish" "desc id=65535 publish" "buf id=64 post frame"; }

broken_reserved() {
	breaks reserved "desc count=2 desc count=0 id=1 publish" \
		"desc count=2 desc count=1 id=0 publish" "buf reserved=1 post frame"
}

broken_offload() {
	breaks offload "desc "{hdr-flags,gso-type,hdr-len,gso-size,csum-start,csum-offset,flags,hash}"=1 publish" \
		"desc count=2 desc count=0 id=0 hash=1 publish"
}

# Offloads that were not agreed on, beside others that were
broken_offload_beside_others() {
	breaks offload "features=1 desc hdr-flags=1 gso-type="{1,4,5}" publish" \
		"features=3 desc hdr-flags=1 gso-type="{4,5,0x81,3,0x80,0x85}" publish" \
		"features=0x1f desc hdr-flags="{2,3,4,0x80}" publish" \
		"features=0x1f desc hdr-flags=0 gso-type="{1,4,5}" publish" \
		"features=0x1f desc hdr-flags=1 "{flags,hash}"=1 publish" \
		"features=0x1f001f desc count=2 hdr-flags=1 desc count=0 id=0 hdr-flags=1 publish"
}

# Hashes that were agreed on, but are none, or are not a frame's
broken_hash() {
	local hash="features=0x100000000 desc"

	breaks offload "$hash hash=1 publish" "$hash flags="{2,4,5,7,0x8001}" publish" \
		"$hash flags=1 hash=1 hdr-flags=1 publish" \
		"$hash count=2 flags=1 hash=1 desc count=0 id=0 flags=1 hash=1 publish" \
		"features=0x1 desc flags=1 hash=1 hdr-flags=1 csum-start=14 csum-offset=16 publish" \
		"features=0x1f001f desc flags=3 hash=1 publish"
}

good_hash() {
	test_port $P
	play request features=0x100000000 desc flags=1 hash=1 publish \
		desc flags=3 hash=0xffffffff publish desc flags=3 publish desc publish \
		request features=0x100000001 desc flags=3 hash=7 hdr-flags=1 csum-start=14 \
		csum-offset=16 publish show |
		diff -u <(cat <<-EOT
		request: connected
		publish: id 0 ok
		publish: id 1 ok
		publish: id 2 ok
		publish: id 3 ok
		request: connected
		publish: id 0 ok
		connected none 0
		EOT
		) -
}

# Metadata that does not fit its frame makes that frame a bad one, also if it says that
# the network header, which filters look at, is to be changed later.
IPV4=0x0800 IPV6=0x86dd
# bad_offloads FEATURES LENGTH OFFSET: of a frame, and the offset of its last octet
bad_offloads() {
	local n
	local -a steps

	while read -r n; do
		# shellcheck disable=SC2206 # several fields
		steps+=(desc len="$2" hdr-flags=1 $n publish)
	done < <(bad_metadata "$2" "$3")
	# So that none of them is bad for its length
	test_port $P mtu 9000
	portctl attach $P "${ram[@]}" request features="$1" "${steps[@]}" \
		desc hdr-flags=1 csum-start=14 csum-offset=16 publish \
		desc hdr-flags=1 ethertype=$IPV6 csum-start=54 csum-offset=0 publish \
		desc hdr-flags=1 ethertype=$IPV4 csum-start=34 csum-offset=0 publish show |
		sed 's/.* \(state=[^ ]*\).* \(g2h-frames=[^ ]*\).* \(g2h-bad=[^ ]*\).*/\1 \2 \3/' |
		diff -u <(echo "request: connected"
			printf 'publish: id %u bad\n' {0..11}
			printf 'publish: id %u ok\n' {12..14}
			echo "state=connected g2h-frames=3 g2h-bad=12") -
}

bad_offload() { bad_offloads 0x1f 60 45; }

# octets DUMP FIRST COUNT: of the frame that tcpdump has seen, in hex
octets() {
	sed -n 's/^\t0x....: *//p' "$1" | tr -d ' \n' | cut -c $((2 * $2 + 1))-$((2 * ($2 + $3)))
}

# Where it is not TCP's or UDP's, the checksum is there before anybody looks at the frame: it
# could change what filters have seen. That of zeros is 0xffff.
checksum_elsewhere() {
	local place ethertype start dump

	test_port $P
	dump=$(mktemp)
	at_exit "rm $dump $dump.said"
	for place in "0x0806 24" "$IPV4 36" "$IPV6 56"; do
		read -r ethertype start <<<"$place"
		timeout $((60 * patience)) tcpdump -n -xx -s 0 -c 1 -i $P >"$dump" 2>"$dump.said" &
		wait_for 30 grep -q 'listening on' "$dump.said"
		portctl attach $P request features=0x1f desc len=70 hdr-flags=1 \
			ethertype="$ethertype" csum-start="$start" csum-offset=6 publish
		wait $!
		cat "$dump"
		[ "$(octets "$dump" "$start" 8)" = 000000000000ffff ]
	done
}

# The host does not copy these at once.
bad_offload_in_ram() {
	local -a ram=("${RAM[@]}")

	bad_offloads 0x20000001f 4000 3985
}

# Frames that are none are answered, and counted, and nothing else.
bad_frames() {
	test_port $P
	# shellcheck disable=SC2046 # many words
	portctl attach $P request desc len=13 publish desc len=14 publish \
		desc len=1522 publish desc len=1523 publish desc id=7 count=64 len=1 \
		$(printf 'desc id=0 count=0 len=1 %.0s' {1..63}) publish show |
		sed 's/.* \(state=[^ ]*\).*\( g2h-f.*\) h2g-frames.*/\1\2/' |
		diff -u <(cat <<-EOT
		request: connected
		publish: id 0 bad
		publish: id 1 ok
		publish: id 2 ok
		publish: id 3 bad
		publish: id 7 ok
		state=connected g2h-frames=3 g2h-bytes=1600 g2h-bad=2 g2h-dropped=0
		EOT
		) -
}

# A guest that takes no frames, but sends one each second: those of others are dropped
# after the host's five seconds all the same.
sends_and_takes_nothing() {
	local queued=5 played dropped steps=()

	test_port $P
	dropped=/sys/class/net/$P/statistics/tx_dropped
	for _ in {1..10}; do
		steps+=(desc publish run "timeout 1 bash -c 'until [ \$(<$dropped) = $queued ]; do :; done' ||
			[ \$? = 124 ]")
	done
	played=$(play request buf post frame run "frames send $P -n $queued 60" \
		"${steps[@]}" run "cat $dropped")
	echo "$played"
	grep -qx 'publish: id 9 ok' <<<"$played"
	[ "$(tail -n 1 <<<"$played")" = $queued ]
}

run_tests \
	refused_features \
	refused_queues \
	refused_reserved \
	refused_ring_sizes \
	refused_ring_addresses \
	accepted_ring_addresses \
	refused_direct_mode \
	refused_ring_addresses_of_ram \
	accepted_ram \
	old_request \
	asks_without_end \
	broken_index \
	broken_index_later \
	broken_frame \
	broken_desc_addr \
	broken_desc_addr_of_ram \
	broken_desc_len \
	broken_desc_id \
	broken_reserved \
	broken_offload \
	broken_offload_beside_others \
	broken_hash \
	good_hash \
	bad_offload \
	bad_offload_in_ram \
	checksum_elsewhere \
	bad_frames \
	sends_and_takes_nothing
