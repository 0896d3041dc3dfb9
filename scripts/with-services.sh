#!/usr/bin/env bash
# Runs a command with a set of test services of its own and stops them afterwards, whatever happened. Its exit
# code is the command's. The set has its own folder and free ports: it works beside scripts/services.sh up,
# beside make run, and beside the same call in another checkout.
#
#   scripts/with-services.sh COMMAND [ARG...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || { echo "usage: scripts/with-services.sh COMMAND [ARG...]" >&2; exit 2; }

# One folder a checkout: what a run left that was killed is found and stopped by the next.
GATEHOUSE_TEST_DIR=/tmp/gatehouse-test-$(id -u)-$(cksum <<<"$here" | cut -d' ' -f1)
GATEHOUSE_TEST_PORT_SHIFT=0
export GATEHOUSE_TEST_DIR GATEHOUSE_TEST_PORT_SHIFT

# A shift is ours while its lock file is held, by this script or by a service it started, and none of its
# ports is in use by anybody else.
take_ports() {
  local shift_by port
  for shift_by in $(seq 100 50 1500); do
    { exec 7>>"/tmp/gatehouse-test-ports-$shift_by.lock"; } 2>/dev/null || continue
    flock -n 7 || continue
    GATEHOUSE_TEST_PORT_SHIFT=$shift_by
    for port in $("$here/services.sh" ports); do
      (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
    done
    return 0
  done
  echo "No free ports for the test services: too many sets run on this machine." >&2
  return 1
}

mkdir -p "$GATEHOUSE_TEST_DIR"
exec 8>"$GATEHOUSE_TEST_DIR/.run.lock"
flock -n 8 || { echo "Another run in this checkout is using its test services; wait for it to end." >&2; exit 1; }

finish() {
  local code=$?
  trap '' INT TERM HUP
  "$here/services.sh" down 8>&- || code=1
  if [ "$code" = 0 ]; then
    rm -rf "$GATEHOUSE_TEST_DIR"
  else
    echo "The logs of the test services are in $GATEHOUSE_TEST_DIR/log." >&2
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$here/services.sh" down 8>&-
take_ports
"$here/services.sh" up 8>&-
# The terminal's ctrl-C reaches the command too: it is in the same group of processes.
"$@" 7>&- 8>&-
