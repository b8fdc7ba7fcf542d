#!/usr/bin/env bash
# The study of docs/layout.md: what the order of functions in a program does to its
# figures, and what the gate makes of it.
#
#   docs/layout.sh study          seeds, inert edits and remedies, the most telling first
#   docs/layout.sh seeds|inert|remedies   one part of it
#   docs/layout.sh accept         twelve inert and twelve planted edits, by the gate as it is
#   docs/layout.sh row NAME       one row again
#   docs/layout.sh rows           the names of all rows
#   docs/layout.sh table          what there is so far, in Markdown
#
# Every row is one gate, and its result is kept: what was interrupted goes on where it
# was. Nothing of the repository itself is changed. It needs git, go and jq.
#
#   LAYOUT_DIR      folder for results; default /var/tmp/eventobench-layout
#   LAYOUT_COMMIT   what is edited; default HEAD, the first time
#   LAYOUT_MINUTES  begin no row after so many minutes; default 25
#   LAYOUT_BLOCKS   blocks of a row of the study; default 8
#   LAYOUT_FLAGS    more flags for every gate, such as --instructions
#   LAYOUT_TURNS    turns of the planted loop that make 1% of CPU; default 200
set -euo pipefail
cd "$(dirname "$0")/.."
work=${LAYOUT_DIR:-/var/tmp/eventobench-layout}
blocks=${LAYOUT_BLOCKS:-8}
turns=${LAYOUT_TURNS:-200}
minutes=${LAYOUT_MINUTES:-25}
read -ra extra <<<"${LAYOUT_FLAGS:-}"
bigcache=github.com/allegro/bigcache/v3@v3.1.0
. docs/planted.sh

# What a row is: NAME KIND SERVER WHAT…
rows() {
  cat <<'ROWS'
seed-1            seeds    store     link - -randlayout=1
seed-2            seeds    store     link - -randlayout=2
seed-3            seeds    store     link - -randlayout=3
seed-4            seeds    store     link - -randlayout=4
bigcache-seed-1   seeds    bigcache  link - -randlayout=1
bigcache-seed-2   seeds    bigcache  link - -randlayout=2
seed-1-2          seeds    store     link -randlayout=1 -randlayout=2
seed-3-4          seeds    store     link -randlayout=3 -randlayout=4
dead-3            inert    store     edit dead server 3
dead-5            inert    store     edit dead server/sqlite 5
dead-10           inert    store     edit dead server/transport 10
comments          inert    store     edit comments server
rename            inert    store     edit rename server core.go
dependency        inert    store     edit dependency cmd/eventobench encoding/xml xml.Marshal(nil)
text              inert    store     edit text cmd/eventobench 300
map               inert    store     edit map server 100
bigcache-dead-3   inert    bigcache  edit dead server 3
bigcache-rename   inert    bigcache  edit rename . bigcache.go
bigcache-comments inert    bigcache  edit comments .
align-32-seed-1   remedies store     link -funcalign=32 -funcalign=32|-randlayout=1
align-64-seed-1   remedies store     link -funcalign=64 -funcalign=64|-randlayout=1
align-64-seed-2   remedies store     link -funcalign=64 -funcalign=64|-randlayout=2
align-64          remedies store     link - -funcalign=64
common-dead-3-1   remedies store     both -randlayout=1 dead server 3
common-dead-3-2   remedies store     both -randlayout=2 dead server 3
common-dead-3-3   remedies store     both -randlayout=3 dead server 3
inert-01          accept   store     edit dead server 7
inert-02          accept   store     edit dead server/sqlite 20
inert-03          accept   store     edit dead cmd/eventobench 1
inert-04          accept   store     edit dead server/transport 2
inert-05          accept   store     edit comments server/transport
inert-06          accept   store     edit comments server/sqlite
inert-07          accept   store     edit rename server/sqlite store.go
inert-08          accept   store     edit rename server/transport fasthttp.go
inert-09          accept   store     edit dependency cmd/eventobench archive/zip zip.NewWriter(nil)
inert-10          accept   store     edit dependency server/sqlite go/parser parser.ParseExpr("")
inert-11          accept   store     edit text server 1000
inert-12          accept   store     edit map server/sqlite 40
planted-03-a      accept   store     edit planted server answer.go Serve 3
planted-03-b      accept   store     edit planted server auth.go authenticate 3
planted-03-c      accept   store     edit planted server decode.go decodeCall 3
planted-03-d      accept   store     edit planted server/transport fasthttp.go fastCall 3
planted-05-a      accept   store     edit planted server answer.go Serve 5
planted-05-b      accept   store     edit planted server auth.go authenticate 5
planted-05-c      accept   store     edit planted server decode.go decodeCall 5
planted-05-d      accept   store     edit planted server/transport fasthttp.go fastCall 5
planted-10-a      accept   store     edit planted server answer.go Serve 10
planted-10-b      accept   store     edit planted server auth.go authenticate 10
planted-10-c      accept   store     edit planted server decode.go decodeCall 10
planted-10-d      accept   store     edit planted server/transport fasthttp.go fastCall 10
ROWS
}

prepare() {
  mkdir -p "$work/results"
  [ -x "$work/eventobench" ] || go build -o "$work/eventobench" ./cmd/eventobench
  if [ ! -d "$work/store" ]; then
    git clone --quiet --no-checkout . "$work/store.new"
    git -C "$work/store.new" checkout --quiet -B base "$(git rev-parse "${LAYOUT_COMMIT:-HEAD}")"
    mv "$work/store.new" "$work/store"
  fi
}

# A server that knows nothing of us, with pages for its profiles.
prepare_bigcache() {
  [ ! -d "$work/bigcache" ] || return 0
  local new=$work/bigcache.new
  rm -rf "$new"
  cp -r "$(cd "$work" && go mod download -json "$bigcache" | jq -r .Dir)" "$new"
  chmod -R u+w "$new"
  printf 'package main\n\nimport _ "net/http/pprof"\n' >"$new/server/pprof.go"
  git -C "$new" init --quiet
  commit "$new" "$bigcache"
  git -C "$new" branch --quiet -m base
  printf 'a value of a few dozen bytes, as caches have them' >"$work/value"
  printf 'PUT /api/v1/cache/key\n@value\n\nGET /api/v1/stats\n' >"$work/targets.txt"
  mv "$new" "$work/bigcache"
}

commit() {
  git -C "$1" add --all
  git -C "$1" -c user.name=study -c user.email=study@example.com commit --quiet --message="$2"
}

# edited SERVER NAME EDIT…: makes a commit of an edit, on a branch of that name.
edited() {
  local tree=$work/$1 name=$2
  shift 2
  ! git -C "$tree" rev-parse --quiet --verify "refs/heads/$name" >/dev/null || return 0
  git -C "$tree" checkout --quiet --detach base
  "edit_$1" "$tree" "${@:2}"
  commit "$tree" "$name"
  git -C "$tree" branch "$name"
}

# never DIR IMPORTS BODY: code that stays linked, and never runs.
never() {
  printf 'package %s\n\nimport (\n\t"os"\n%s)\n\nfunc init() {\n\tif os.Getenv("EVENTOBENCH_NEVER") != "" {\n%s\t}\n}\n' \
    "$(package_of "$1")" "$2" "$3" >"$1/zz_inert.go"
}

edit_dead() {
  local dir=$1/$2 calls="" n
  for n in $(seq "$3"); do calls+=$(printf '\t\tprintln(inert%d(os.Args))' "$n")$'\n'; done
  never "$dir" "" "$calls"
  for n in $(seq "$3"); do
    printf '\n//go:noinline\nfunc inert%d(words []string) (sum int) {\n\tfor i, w := range words {\n\t\tsum += i*%d ^ len(w)\n\t}\n\treturn sum\n}\n' \
      "$n" $((n * 7 + 1)) >>"$dir/zz_inert.go"
  done
}

edit_comments() {
  local file text=""
  for _ in $(seq 40); do text+='\n// A comment that says nothing.'; done
  for file in "$1/$2"/*.go; do sed -i "0,/^package /s|^package .*|&\n$text|" "$file"; done
}

edit_rename() { git -C "$1" mv "$2/$3" "$2/zz_$3"; }

edit_dependency() { never "$1/$2" $'\t"'"$3"$'"\n' $'\t\tprintln('"$4"$')\n'; }

edit_text() {
  never "$1/$2" "" "$(printf '\t\tprintln("%s")' "$(head -c "$3" /dev/zero | tr '\0' v)")"$'\n'
}

edit_map() {
  local n entries=""
  for n in $(seq "$3"); do entries+="\"key $n\": $n, "; done
  never "$1/$2" "" $'\t\tprintln(len(map[string]int{'"$entries"$'}), inertMap["key 1"])\n'
  printf '\nvar inertMap = map[string]int{%s}\n' "$entries" >>"$1/$2/zz_inert.go"
}

# edit_planted TREE DIR FILE FUNCTION PERCENT: a hash that every request pays for.
edit_planted() { plant "$1/$2" "$3" "$4" $(($5 * turns)); }

# gate NAME SERVER HEAD BASE_FLAGS HEAD_FLAGS FLAGS…: records and keeps one result.
gate() {
  local name=$1 server=$2 head=$3 base_flags=$4 head_flags=$5 pkg=./cmd/eventobench mod="" out code=0
  shift 5
  local flags=("$@" "${extra[@]}" --format=json --inconclusive=pass)
  case $server in
  store) flags+=(--base=base=git:base,transport=fasthttp "--head=head=git:$head,transport=fasthttp") ;;
  bigcache)
    prepare_bigcache
    pkg=./server mod="-mod=mod "
    flags+=(--base=base=git:base:./server "--head=head=git:$head:./server" '--start={out} -port={port}'
      "--targets=$work/targets.txt" --build="go build $mod-o {out} $pkg") ;;
  esac
  [ -z "$base_flags" ] || flags+=("--build=base:go build $mod'-ldflags=$base_flags' -o {out} $pkg")
  [ -z "$head_flags" ] || flags+=("--build=head:go build $mod'-ldflags=$head_flags' -o {out} $pkg")
  out=$(mktemp -d)
  (cd "$work/$server" && "$work/eventobench" gate --out="$out" "${flags[@]}") >"$out/result" 2>"$out/log" || code=$?
  if [ "$code" -gt 1 ]; then
    tail -5 "$out/log" >&2
    rm -rf "$out"
    echo "$name: the gate ended with code $code" >&2
    return 1
  fi
  jq --arg name "$name" '. + {row: $name}' "$out/result" >"$out/row"
  mv "$out/row" "$work/results/$name.json"
  rm -rf "$out"
}

# row NAME KIND SERVER WHAT…: one row, unless it is there.
row() {
  local name=$1 kind=$2 server=$3 what=$4
  shift 4
  [ ! -e "$work/results/$name.json" ] || return 0
  if [ "$SECONDS" -ge $((minutes * 60)) ]; then
    echo "$minutes minutes are over; the same command goes on with $name" >&2
    exit 0
  fi
  echo "$(date +%H:%M:%S) $name" >&2
  prepare
  local short=(--blocks="$blocks" --layouts=0 --profiles=none)
  [ "$server" = store ] || prepare_bigcache
  case $what in
  link) gate "$name" "$server" base "$(flags_of "$1")" "$(flags_of "$2")" "${short[@]}" ;;
  both)
    edited "$server" "$name" "${@:2}"
    gate "$name" "$server" "$name" "$1" "$1" "${short[@]}" ;;
  edit)
    edited "$server" "$name" "$@"
    if [ "$kind" = accept ]; then short=(); fi
    gate "$name" "$server" "$name" "" "" "${short[@]}" ;;
  esac
}

# flags_of turns - into nothing, and | into a space.
flags_of() { [ "$1" = - ] || echo "${1//|/ }"; }

# all WHERE: the rows for which an awk condition holds.
all() {
  local line
  while read -ra line <&3; do row "${line[@]}"; done 3< <(rows | awk "$1")
}

# What the table needs of jq: a change with its interval, and a metric.
lib='def signed: ((. * 10 | round) / 10 + 0) as $v | if $v >= 0 then "+\($v)" else "\($v)" end;
  def show: if . == null then "" else "\(.percent | signed)% [\(.low_percent | signed), \(.high_percent | signed)]" end;
  def metric(id): first(.metrics[] | select(.name == id)) // {};'

table() {
  local name
  echo '| row | throughput | CPU | instructions | as built, CPU | verdict |'
  echo '|---|---|---|---|---|---|'
  rows | while read -r name _; do
    [ -e "$work/results/$name.json" ] || continue
    jq -r "$lib"'"| \(.row) | \(metric("ops_per_sec").change | show) | \(metric("cpu_per_op").change | show) | " +
      "\(metric("instructions_per_op").change | show) | \(metric("cpu_per_op").as_built.change | show) | \(.verdict) |"' \
      "$work/results/$name.json"
  done
  local kind
  for kind in inert planted-03 planted-05 planted-10; do
    ls "$work/results/$kind-"[0-9a-d]*.json >/dev/null 2>&1 || continue
    jq -rs --arg kind "$kind" '"\n\($kind): " + (group_by(.verdict) | map("\(length) \(.[0].verdict)") | join(", ")) +
      "; as built \(map(select(any(.metrics[]; .as_built != null) or .verdict == "regressed" or .verdict == "improved")) | length) of \(length) moved"' \
      "$work/results/$kind-"[0-9a-d]*.json
  done
}

case ${1:-} in
study) all '$2 != "accept"' ;;
seeds | inert | remedies | accept) all "\$2 == \"$1\"" ;;
row)
  rm -f "$work/results/${2:?name a row}.json"
  all "\$1 == \"$2\"" ;;
rows) rows ;;
table) table ;;
*)
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
  exit 2 ;;
esac
