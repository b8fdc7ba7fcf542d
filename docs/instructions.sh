#!/usr/bin/env bash
# The counts of docs/instructions.md: the event store against itself, and against itself with 1%
# more instructions, beside a process that keeps one CPU busy.
#
#   docs/instructions.sh record [N]   N experiments of either kind more (default 1), a line each in
#                                     compare/testdata/instructions.jsonl
#   docs/instructions.sh table        what there is: an experiment's own verdict and CPU time
#
# Both sides are built of a throwaway clone; nothing of the repository itself is changed but that
# file. It needs git, go, jq and valgrind. Counts of other commits are other counts: remove the
# file first.
#
#   INSTRUCTIONS_DIR      folder for the clone; default /var/tmp/eventobench-instructions
#   INSTRUCTIONS_COMMIT   what is counted; default HEAD, the first time
#   INSTRUCTIONS_TURNS    turns of the planted loop that make 1% of the instructions; default 92
#   INSTRUCTIONS_KIND     alike or planted, to record one of the two only
set -euo pipefail
cd "$(dirname "$0")/.."
work=${INSTRUCTIONS_DIR:-/var/tmp/eventobench-instructions}
turns=${INSTRUCTIONS_TURNS:-92}
file=$PWD/compare/testdata/instructions.jsonl
. docs/planted.sh

prepare() {
  mkdir -p "$work"
  [ -d "$work/store" ] || clone
  [ -x "$work/eventobench" ] || go build -o "$work/eventobench" ./cmd/eventobench
}

# clone makes a repository with a branch base and, a commit further, a branch planted.
clone() {
  local new=$work/store.new
  rm -rf "$new"
  git clone --quiet --no-checkout . "$new"
  git -C "$new" checkout --quiet -B base "$(git rev-parse "${INSTRUCTIONS_COMMIT:-HEAD}")"
  git -C "$new" checkout --quiet -b planted
  plant "$new/server" answer.go Serve "$turns"
  git -C "$new" add --all
  git -C "$new" -c user.name=study -c user.email=study@example.com commit --quiet --message="1% more instructions"
  mv "$new" "$work/store"
}

# run OUT HEAD FLAGS…: one experiment of base and HEAD, without the clock of a user's own.
run() {
  (cd "$work/store" && "$work/eventobench" run --quiet --seed=1 --blocks=1 --rounds=1 --slice=5ms --warmup=5 --profiles=none \
    "--subject=base=git:base,transport=fasthttp" "--subject=head=git:$2,transport=fasthttp" "--out=$1" "${@:3}")
}

# experiment KIND HEAD: records one, and adds its counts to the file.
# shellcheck disable=SC2064 # what is to be removed is known now
experiment() {
  local out busy spent
  out=$(mktemp -d)
  trap "rm -rf '$out'" EXIT
  run "$out" "$2" >/dev/null 2>&1 # so that both are built
  rm -rf "${out:?}"/*
  sh -c 'while :; do :; done' &
  busy=$!
  trap "kill $busy; rm -rf '$out'" EXIT
  TIMEFORMAT='%U %S %R'
  spent=$({ time run "$out" "$2" --instructions >/dev/null 2>"$out/log"; } 2>&1)
  kill "$busy"
  trap "rm -rf '$out'" EXIT
  jq -cs --arg kind "$1" --arg spent "$spent" --arg commit "$(git -C "$work/store" rev-parse --short base)" '
    def counts(name): first(.[] | select(.subject.name == name)) | [.instructions.blocks[].counted];
    ($spent | split(" ") | map(tonumber)) as $times |
    {commit: $commit, kind: $kind, requests: (.[0].instructions | .to_requests - .from_requests),
     cpu_s: ($times[0] + $times[1] | . * 10 | round / 10), wall_s: $times[2], base: counts("base"), head: counts("head")}' \
    "$out"/*/manifest.json >>"$file"
  rm -rf "$out"
  trap - EXIT
}

record() {
  prepare
  for _ in $(seq "$1"); do
    [ "${INSTRUCTIONS_KIND:-alike}" != alike ] || experiment alike base
    [ "${INSTRUCTIONS_KIND:-planted}" != planted ] || experiment planted planted
  done
}

case ${1:-} in
record) record "${2:-1}" ;;
table) jq -r 'def mean: add / length; "\(.kind)\t\(.commit)\t\(.requests) requests\t\(((.head | mean) / (.base | mean) - 1) * 100000 | round / 1000)%\t\(.cpu_s) s of CPU\t\(.wall_s) s"' "$file" ;;
*)
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
  exit 2 ;;
esac
