#!/usr/bin/env bash
# Runs each fuzz target of the repository for FUZZTIME (5m), one after another; stops at the first finding.
#
#   scripts/fuzz.sh [PATTERN]      only targets whose name matches
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

grep -rnoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' . | sed -E 's|^\./(.*)/[^/]*:[0-9]+:func (.*)$|\1 \2|' | sort |
  while read -r folder target; do
    [[ $target =~ ${1:-} ]] || continue
    echo "== $target in $folder"
    # Minimising an input that is merely new is bounded: by default it eats the time of the search.
    go test -run='^$' -fuzz="^$target\$" -fuzztime="${FUZZTIME:-5m}" -fuzzminimizetime=20x "./$folder" </dev/null
  done
