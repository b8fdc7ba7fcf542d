#!/bin/sh
# The customary way to compare two servers: ten runs of A, then ten runs of B,
# then benchstat (Mann-Whitney, 5%). Here A and B are the same program, so that
# every difference it reports is a false alarm.
#
#   docs/customary.sh [TRIALS]        default 10; a trial takes about 80 s
#
# Leave the machine alone meanwhile.
set -eu
cd "$(dirname "$0")/.."
trials=${1:-10}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
go build -o "$tmp/" ./cmd/eventobench
benchstat() { go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da "$@"; }

# figure NAME FILE: a number of a run's load-test-results.json.
figure() { sed -n "s/^ *\"$1\": \([0-9.e+-]*\),*$/\1/p" "$2"; }

# runs SIDE: ten runs of one process each, as lines that benchstat reads.
runs() {
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    dir=$("$tmp/eventobench" run --quiet --blocks=1 --transport=fasthttp --out="$tmp/runs")
    ops=$(figure ops_per_sec "$dir/load-test-results.json")
    cpu=$(figure cpu_us_per_op "$dir/load-test-results.json")
    echo "BenchmarkStore 1 $ops ops/s $cpu cpu-us/op"
  done >"$tmp/$1"
}

for trial in $(seq "$trials"); do
  runs A
  runs B
  echo "trial $trial of $trials, $(date +%H:%M:%S)"
  benchstat "$tmp/A" "$tmp/B" 2>/dev/null | grep -E '^Store' | tee -a "$tmp/results"
done
# A difference that is not significant is shown as ~.
echo "$(grep -vc '~' "$tmp/results" || true) of $(wc -l <"$tmp/results") comparisons of the program with itself are called significant"
