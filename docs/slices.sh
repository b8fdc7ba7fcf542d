#!/usr/bin/env bash
# How much slices of several lengths tell of a program against itself: TURNS times, for
# each of LENGTHS in turn, BLOCKS blocks of the usual length. Prints, per length and
# metric, the standard deviation of a round's ln(head/base) and of a block's, which is the
# Hodges-Lehmann estimate over its rounds, around 0, which is the truth; in percent.
#
#   TURNS=6 BLOCKS=5 LENGTHS="10 25 50" docs/slices.sh [FLAG OF RUN...]
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
go build -o "$out/eventobench" ./cmd/eventobench
for turn in $(seq "${TURNS:-6}"); do
  for length in ${LENGTHS:-10 25 50}; do
    "$out/eventobench" run --quiet --transport=fasthttp,fasthttp --profiles=none "$@" \
      --blocks="${BLOCKS:-5}" --slice="${length}ms" --out="$out/$length/$turn" >/dev/null
  done
done

logarithms() { # METRIC LENGTH: turn, block and ln(head/base) of every round
  for turn in "$out/$2"/*; do
    paste -d, "$turn"/*-fasthttp/samples.csv "$turn"/*-fasthttp-2/samples.csv |
      awk -F, -v metric="$1" -v turn="${turn##*/}" '
        NR == 1 { for (i = 1; i <= NF / 2; i++) column[$i] = i; half = NF / 2; next }
        function ops(side) { return $(side + column["write_ops"]) + $(side + column["read_ops"]) }
        function value(side) {
          return metric == "CPU" ? $(side + column["server_cpu_ns"]) / ops(side) : ops(side) / $(side + column["duration_ns"])
        }
        { print turn, $1, log(value(half) / value(0)) }'
  done
}

estimates() { # of lines as above, per block, the median of the means of all pairs
  awk '{ key = $1 " " $2; if (key != last) n = 0; last = key; d[n++] = $3
         for (i = 0; i < n; i++) print key, (d[i] + $3) / 2 }' | sort -k1,1n -k2,2n -k3,3g |
    awk 'function flush() { if (n) print last, (v[int((n - 1) / 2)] + v[int(n / 2)]) / 2 }
         { key = $1 " " $2; if (key != last) { flush(); n = 0 } last = key; v[n++] = $3 } END { flush() }'
}

deviation() { awk '{ sum += $3 * $3 } END { printf "%.2f%%", 100 * sqrt(sum / NR) }'; }

printf '%-8s  %-10s  %10s  %10s\n' slice metric "of a round" "of a block"
for length in ${LENGTHS:-10 25 50}; do
  for metric in throughput CPU; do
    printf '%-8s  %-10s  %10s  %10s\n' "${length}ms" $metric \
      "$(logarithms $metric "$length" | deviation)" "$(logarithms $metric "$length" | estimates | deviation)"
  done
done
