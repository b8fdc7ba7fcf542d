#!/usr/bin/env bash
# Gates the checkout against an earlier commit, on a runner of GitHub Actions. See
# action.yml for what comes in and goes out. The verdict is an output, so that the
# steps after this one still run.
set -euo pipefail

folder=$RUNNER_TEMP/eventobench/$EB_NAME
program=$RUNNER_TEMP/eventobench-program/eventobench

output() { printf '%s=%s\n' "$1" "$2" >> "$GITHUB_OUTPUT"; }

# give_up TEXT tells why there is no verdict, wherever one would have stood.
give_up() {
  local data=${1//'%'/%25}
  data=${data//$'\r'/%0D}
  echo "::endgroup::"
  echo "::error title=eventobench gate::${data//$'\n'/%0A}"
  printf '### ⚠️ Performance gate: no verdict\n\n```text\n%s\n```\n' "$1" > "$folder/comment.md"
  cat "$folder/comment.md" >> "$GITHUB_STEP_SUMMARY"
  output exit-code 2
  output comment "$folder/comment.md"
  output folder "$folder"
  exit 0
}

build_program() {
  echo "::group::Building eventobench"
  (cd "$GITHUB_ACTION_PATH/.." &&
    GOFLAGS='' GOWORK=off GOTOOLCHAIN=auto go build -buildvcs=false -o "$program" ./cmd/eventobench) 2>&1 |
    tee "$folder/build.log" || give_up "eventobench could not be built; it needs Go, such as that of actions/setup-go:
$(cat "$folder/build.log")"
  echo "::endgroup::"
}

known() { git cat-file -e "$1^{commit}" 2>/dev/null; }

# fetch COMMIT makes a commit, and the history that leads to it, known.
fetch() {
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    git fetch --quiet --no-tags --unshallow origin
  fi
  known "$1" || git fetch --quiet --no-tags -- origin "$1"
}

# base_commit prints the commit to compare with.
base_commit() {
  if [ -n "$EB_BASE" ]; then
    known "$EB_BASE" || fetch "$EB_BASE" >&2 || true
    git rev-parse --verify "$EB_BASE^{commit}"
  elif [ -n "$EB_TARGET_COMMIT" ]; then
    fetch "$EB_TARGET_COMMIT" >&2
    git merge-base HEAD "$EB_TARGET_COMMIT"
  elif [ -n "${EB_BEFORE//0/}" ]; then # a push; zeros are what was before a new branch
    known "$EB_BEFORE" || fetch "$EB_BEFORE" >&2
    git rev-parse --verify "$EB_BEFORE^{commit}"
  else
    known HEAD^ || fetch HEAD >&2 || true
    git rev-parse --verify 'HEAD^^{commit}'
  fi
}

flags=()
# flag NAME VALUE gives the gate a flag for each line of a value that is not blank.
flag() {
  local line
  while IFS=$' \t\r' read -r line; do
    if [ -n "$line" ]; then flags+=("--$1=$line"); fi
  done <<< "$2"
}

# input_flags are the flags that inputs ask for.
input_flags() {
  flag start "$EB_START"
  flag build "$EB_BUILD"
  flag targets "$EB_TARGETS"
  flag workload "$EB_WORKLOAD"
  flag metric-set "$EB_METRIC_SET"
  flag metric "$EB_METRICS"
  flag tolerance "$EB_TOLERANCE"
  flag inconclusive "$EB_INCONCLUSIVE"
  flag max-time "$EB_MAX_TIME"
  local line
  while IFS=$' \t\r' read -r line; do
    if [[ $line == --* ]]; then
      flags+=("$line")
    elif [ -n "$line" ]; then
      give_up "the line \"$line\" of the input \"flags\" is no flag; write one a line, such as --max-blocks=80"
    fi
  done <<< "$EB_FLAGS"
}

# config is the flag for the configuration. Where there is none, it is what can be
# seen of the module.
config() {
  if [ -n "$EB_CONFIG" ]; then
    flag config "$EB_CONFIG"
  elif [ ! -e eventobench.yaml ]; then
    local said
    said=$("$program" init --out="$folder/eventobench.yaml" 2>&1) || give_up "$said"
    echo "::group::There is no eventobench.yaml. This is what eventobench init found"
    cat "$folder/eventobench.yaml"
    echo "::endgroup::"
    flags+=("--config=$folder/eventobench.yaml")
  fi
}

gate() {
  "$program" gate "${flags[@]}" --out="$folder/runs" --programs="$folder" \
    --write=github="$folder/annotations.txt" --write=comment="$folder/comment.md" \
    --write=json="$folder/gate.json" --write=junit="$folder/junit.xml" --write=html="$folder/report.html"
}

if [[ ! $EB_NAME =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]]; then
  echo "::error title=eventobench gate::the input \"name\" is \"${EB_NAME//[^ -~]/?}\"; use letters, digits, ., _ and -"
  exit 2
fi
rm -rf "$folder"
mkdir -p "$folder"
cd "$EB_WORKING_DIRECTORY" ||
  give_up "there is no folder \"$EB_WORKING_DIRECTORY\", as the input \"working-directory\" has it"
said=$( (base_commit) 2>&1) || give_up "the commit to compare with was not found. It is the merge base of a \
pull request, the commit before a push, or the input \"base\". Give actions/checkout fetch-depth: 0.
$said"
base=${said##*$'\n'}
head=$(git rev-parse HEAD)
if [ "$base" = "$head" ]; then
  give_up "there is nothing to compare: base and head are both $head"
fi
package=${EB_PACKAGE:+:$EB_PACKAGE}
flags+=("--base=base=git:$base$package" "--head=head=git:$head$package")
input_flags
build_program
config
echo "Comparing $head with $base"
code=0
gate 2>&1 | tee "$folder/gate.log" || code=${PIPESTATUS[0]}
if [ ! -e "$folder/gate.json" ]; then
  why=$(sed -n '/^eventobench: /,$p' "$folder/gate.log")
  give_up "${why:-$(tail -n 20 "$folder/gate.log")}"
fi
cat "$folder/annotations.txt"
cat "$folder/comment.md" >> "$GITHUB_STEP_SUMMARY"
output exit-code "$code"
output verdict "$(sed -n 's/^  "verdict": "\(.*\)",$/\1/p' "$folder/gate.json")"
output report "$folder/report.html"
output comment "$folder/comment.md"
output folder "$folder"
