#!/usr/bin/env bash
# Installs what a task of the Makefile needs and this machine lacks. Meant for Debian 12; a second call does
# nothing and takes no time.
#
#   scripts/install.sh [run|test|lint|bench]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tools.sh
. ./tools.sh

build_packages=(ca-certificates gcc libc6-dev pkg-config libvips-dev)
run_packages=("${build_packages[@]}" ffmpeg clamav-daemon curl)
test_packages=("${run_packages[@]}" libvips-tools postgresql mariadb-server rabbitmq-server nginx python3 python3-requests jq procps util-linux)
bench_packages=(clamdscan wrk)

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# ensure PACKAGE... installs the packages that are missing, and asks for nothing when none is.
ensure() {
  local missing=() p
  for p in "$@"; do
    installed "$p" || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    echo "This script installs with apt-get, which is not here. Please install these yourself: ${missing[*]}" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "Installing needs root. Please run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  echo "installing: ${missing[*]}"
  guard_services
  export DEBIAN_FRONTEND=noninteractive
  local log
  log=$(mktemp)
  if ! { apt-get -qq update && apt-get -qq -y --no-install-recommends install "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "The packages above could not be installed; the whole log is $log." >&2
    exit 1
  fi
  rm -f "$log"
}

# guard_services keeps the packages from starting system services: ours run in private folders on private
# ports. A policy that is already there is left alone.
guard_services() {
  local policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return 0
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

# install_updater puts the update client of the tests, with what it needs, beside the scripts that drive it: what the lock file
# says, to the byte. The stamp is written last, so that what was cut off is done again.
install_updater() {
  local home=../e2e/testdata/updater
  local stamp=$home/node_modules/.gatehouse-lock log
  cmp -s "$home/package-lock.json" "$stamp" && return 0
  echo "installing electron-updater for the tests ..."
  log=$(mktemp)
  if ! (cd "$home" && npm ci --no-progress --loglevel=error) >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "electron-updater could not be installed; the whole log is $log. npm asks $(cd "$home" && npm config get registry): if that" \
      "cannot be reached from here, set another with npm config set registry URL." >&2
    exit 1
  fi
  rm -f "$log"
  cp "$home/package-lock.json" "$stamp"
}

install_run() { ensure "${run_packages[@]}"; }

install_test() {
  local extra=()
  command -v chromium >/dev/null || extra+=(chromium)
  command -v node >/dev/null || extra+=(nodejs)
  command -v npm >/dev/null || extra+=(npm)
  ensure "${test_packages[@]}" "${extra[@]}"
  build_tool minio
  build_tool versitygw
  install_updater
}

install_lint() {
  ensure "${build_packages[@]}" shellcheck
  build_tool golangci-lint
  # The vulnerability check is a bonus: where it cannot be built or reach its data, linting goes on.
  build_tool govulncheck || echo "govulncheck could not be built; the lint goes on without it." >&2
}

install_bench() {
  install_test
  ensure "${bench_packages[@]}"
}

case ${1:-run} in
  run | test | lint | bench) "install_${1:-run}" ;;
  *) echo "usage: scripts/install.sh [run|test|lint|bench]" >&2; exit 2 ;;
esac
