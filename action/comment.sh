#!/usr/bin/env bash
# Puts the result below the pull request: in the comment that an earlier run of the
# gate left there, or a new one. Where that is not possible, as with the token of a
# pull request from a fork, it says so and fails nothing: the step summary has the
# same text.
set -euo pipefail

skip() {
  echo "There is no comment: $1. The summary of the step \"Gate\" has the same text."
  exit 0
}

# api METHOD PATH [FILE] asks GitHub, and sends a file.
api() {
  curl --silent --show-error --fail-with-body --max-time 30 --retry 2 --request "$1" \
    --header @<(printf 'Authorization: Bearer %s\n' "$EB_TOKEN") \
    --header 'Accept: application/vnd.github+json' --header 'Content-Type: application/json' \
    ${3:+--data @"$3"} "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/$2"
}

# message is what GitHub says in an answer that is an error; curl has said the rest.
message() { jq --raw-output '.message // "no answer"' <<< "${1:-{\}}" 2> /dev/null || true; }

# ours prints the id of the gate's comment, if there is one. A comment of a person
# is none, whatever it begins with.
ours() {
  local page=1 comments id
  while true; do
    comments=$(api GET "$EB_PULL/comments?per_page=100&page=$page") || { echo "$comments"; return 1; }
    id=$(jq --arg mark "$mark" \
      'map(select(.user.type == "Bot" and (.body | startswith($mark))))[0].id // empty' <<< "$comments")
    if [ -n "$id" ] || [ "$(jq length <<< "$comments")" -lt 100 ]; then
      echo "$id"
      return
    fi
    page=$((page + 1))
  done
}

if [ -z "$EB_PULL" ]; then skip "this run is of no pull request"; fi
if [ -z "$EB_TOKEN" ]; then skip "the input \"token\" is empty"; fi
for tool in curl jq; do
  command -v "$tool" > /dev/null || skip "the runner has no $tool"
done
mark="<!-- eventobench gate: $EB_NAME -->"
body=$(mktemp)
trap 'rm -f "$body"' EXIT
jq --null-input --arg mark "$mark" --rawfile text "$EB_COMMENT" '{body: ($mark + "\n" + $text)}' > "$body"
id=$(ours) || skip "the comments cannot be read ($(message "$id"))"
if [ -n "$id" ]; then
  said=$(api PATCH "comments/$id" "$body") || skip "comment $id cannot be changed ($(message "$said"))"
else
  said=$(api POST "$EB_PULL/comments" "$body") ||
    skip "the token may not comment, as on a pull request from a fork ($(message "$said"))"
fi
echo "The comment is at $(jq --raw-output .html_url <<< "$said")"
