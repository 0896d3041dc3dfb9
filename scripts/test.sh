#!/usr/bin/env bash
# Runs every test with the race detector, but for those of little memory: first each package beside its services,
# then the two real programs end to end. Called inside scripts/with-services.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# SQLite is C turned into Go: watched by the race detector, it doubles the time of the tests that use it, and none of what it
# does to its own heap could be a race of ours.
race=(-race '-gcflags=modernc.org/...=-race=false')

mapfile -t packages < <(go list ./... | grep -Ev '/e2e(/|$)')
go test "${race[@]}" -count=1 -timeout=40m "${packages[@]}"
# The race detector's own memory would count against what these allow.
go test -count=1 -timeout=10m -run='^TestMemory' ./worker/tools/...
# One package at a time: some of them restart and kill the services they share.
go test "${race[@]}" -count=1 -timeout=30m -p=1 ./e2e/...
