# shellcheck shell=bash
# Versions and places of the programs that are built from source, in one list. Sourced, never run.

GATEHOUSE_TOOLS=${GATEHOUSE_TOOLS:-${HOME:-/root}/.cache/gatehouse/tools}

# Name, version and package of each tool. A tool lies in its own folder, named by its version, so that every
# checkout on the machine shares one build and an upgrade never meets an old binary.
# MinIO: the last community commit of the server; it has no tagged module version.
tool_spec() {
  case $1 in
    minio) echo "v0.0.0-20260212201848-7aac2a2c5b7c github.com/minio/minio" ;;
    versitygw) echo "v1.8.0 github.com/versity/versitygw/cmd/versitygw" ;;
    golangci-lint) echo "v2.15.0 github.com/golangci/golangci-lint/v2/cmd/golangci-lint" ;;
    govulncheck) echo "v1.1.4 golang.org/x/vuln/cmd/govulncheck" ;;
    *) echo "no such tool: $1" >&2; return 1 ;;
  esac
}

# tool_path NAME prints where the tool's program is, built or not.
tool_path() {
  local version package
  read -r version package < <(tool_spec "$1") && [ -n "$package" ] || return 1
  echo "$GATEHOUSE_TOOLS/$1@$version/$1"
}

# build_tool NAME builds the tool unless it is there. One build at a time on a machine: two at once starve
# each other on a small one. The finished folder appears in one rename, so a broken build leaves nothing.
build_tool() {
  local name=$1 version package bin home part
  bin=$(tool_path "$name") || return 1
  [ -x "$bin" ] && return 0
  read -r version package < <(tool_spec "$name")
  home=$(dirname "$bin")
  mkdir -p "$GATEHOUSE_TOOLS"
  (
    flock 9
    [ -x "$bin" ] && exit 0
    echo "building $name $version (once a machine) ..."
    part=$(mktemp -d "$GATEHOUSE_TOOLS/.part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    cd "$part" &&
      GOWORK=off GOFLAGS=-buildvcs=false CGO_ENABLED=0 GOBIN=$part nice -n 10 go install "$package@$version" &&
      chmod 755 "$part" &&
      rm -rf "$home" &&
      mv "$part" "$home"
  ) 9>"$GATEHOUSE_TOOLS/.lock"
}
