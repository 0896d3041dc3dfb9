#!/usr/bin/env bash
# All checks of the source that need no running service.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools.sh
. scripts/tools.sh

"$(tool_path golangci-lint)" run ./...

# The process that faces the internet links no C and nothing of the worker.
if CGO_ENABLED=0 go list -deps ./gateway | grep -E '^gatehouse/worker(/|$)|h2non/bimg|u2takey|go-clamd'; then
  echo "The gateway must not link the packages above." >&2
  exit 1
fi

if command -v shellcheck >/dev/null; then
  shellcheck -x -P SCRIPTDIR scripts/*.sh .ci/run
fi

# Exit code 3 says that a known vulnerability is reached; anything else that the check itself did not work,
# which is so on a machine without the internet and no fault of the source.
govulncheck=$(tool_path govulncheck)
if [ -x "$govulncheck" ]; then
  code=0
  findings=$(timeout 300 "$govulncheck" ./... 2>&1) || code=$?
  case $code in
    0) echo "govulncheck: no known vulnerability is reached." ;;
    3) echo "$findings"; exit 1 ;;
    *) echo "govulncheck did not run, its database cannot be reached: $(tail -n 1 <<<"$findings")" ;;
  esac
else
  echo "govulncheck did not run: it is not built."
fi
