#!/usr/bin/env bash
# The real services the tests and the benchmark use, on private ports of the loopback and in a private folder:
# PostgreSQL, MariaDB, RabbitMQ, MinIO, versitygw and clamd. Nothing of the system's own services is touched.
#
#   scripts/services.sh up              start all and wait until each really answers
#   scripts/services.sh down            stop all and remove their data (logs stay)
#   scripts/services.sh start NAME      start one on the data it has
#   scripts/services.sh stop NAME       stop one in an orderly way
#   scripts/services.sh restart NAME    stop, then start
#   scripts/services.sh kill NAME       SIGKILL every process of one
#   scripts/services.sh status          which answer; exit 1 when one does not
#   scripts/services.sh env             the variables that lead to these services, for a shell to eval
#   scripts/services.sh ports           every port of the set
#   scripts/services.sh rabbitmqctl ... the broker's own tool, for vhosts and the like
#
# GATEHOUSE_TEST_DIR moves the folder, GATEHOUSE_TEST_PORT_SHIFT moves every port, so that several sets can run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools.sh
. "$here/tools.sh"

names=(postgres mariadb rabbitmq minio versitygw clamd)
root=${GATEHOUSE_TEST_DIR:-/tmp/gatehouse-test-$(id -u)}
shift_by=${GATEHOUSE_TEST_PORT_SHIFT:-0}

postgres_port=$((25432 + shift_by))
mariadb_port=$((23306 + shift_by))
rabbitmq_port=$((25673 + shift_by))
rabbitmq_dist_port=$((25674 + shift_by))
rabbitmq_epmd_port=$((24369 + shift_by))
minio_port=$((29000 + shift_by))
versitygw_port=$((27070 + shift_by))
clamd_port=$((23310 + shift_by))

# One account everywhere. It guards nothing: the services listen on the loopback and hold test data only.
user=gatehouse
password=gatehouse-test

# Each service starts cold in well under this on an idle machine; a busy one gets the rest.
ready_seconds=300
stop_seconds=60

fail() { echo "services.sh: $*" >&2; exit 1; }

# --- the services: prepare (in an empty folder), launch (becomes the process), answers -----------------------

pg_bin() { find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1; }

prepare_postgres() {
  printf '%s\n' "$password" >pwfile
  chmod 644 pwfile
  "${as[@]}" "$(pg_bin)/initdb" -D "$PWD/data" -U "$user" --pwfile=pwfile --auth-local=trust \
    --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8
  rm -f pwfile
}
# Durability stays as PostgreSQL ships it (fsync, synchronous commit): this is the benchmark's database too.
launch_postgres() {
  # No process of ours is left when this runs, so a lock file is a dead one. PostgreSQL would not see that: the
  # number in it may be another's now, or that of a killed process its parent has not yet reaped.
  rm -f data/postmaster.pid .s.PGSQL.*
  exec "${as[@]}" "$(pg_bin)/postgres" -D "$PWD/data" -c listen_addresses=127.0.0.1 -c port="$postgres_port" \
    -c unix_socket_directories="$PWD" -c max_connections=300 -c shared_buffers=256MB -c timezone=UTC
}
answers_postgres() {
  PGPASSWORD=$password PGCONNECT_TIMEOUT=5 "$(pg_bin)/psql" -qAt -h 127.0.0.1 -p "$postgres_port" -U "$user" \
    -d postgres -c 'select 1'
}

prepare_mariadb() {
  mariadb-install-db --no-defaults --datadir="$PWD/data" --auth-root-authentication-method=normal \
    --skip-test-db ${as_user:+--user="$as_user"}
}
launch_mariadb() {
  cat >init.sql <<SQL
CREATE USER IF NOT EXISTS '$user'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON *.* TO '$user'@'127.0.0.1' WITH GRANT OPTION;
SQL
  chmod 644 init.sql
  exec "${as[@]}" "$(command -v mariadbd || echo /usr/sbin/mariadbd)" --no-defaults --datadir="$PWD/data" \
    --socket="$PWD/mariadb.sock" --pid-file="$PWD/data/mariadb.pid" --init-file="$PWD/init.sql" \
    --bind-address=127.0.0.1 --port="$mariadb_port" --skip-name-resolve --max-connections=300 \
    --character-set-server=utf8mb4 --collation-server=utf8mb4_unicode_ci --default-time-zone=+00:00
}
answers_mariadb() {
  mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$mariadb_port" -u "$user" -p"$password" \
    --connect-timeout=5 -N -e 'select 1'
}

# Runs a program of the broker with the environment of our node. The node's name carries the port: two sets on
# one machine must not meet.
broker() {
  local base=$root/rabbitmq
  env HOME="$base" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$rabbitmq_epmd_port" \
    RABBITMQ_NODENAME="gatehouse-$rabbitmq_port@localhost" RABBITMQ_DIST_PORT="$rabbitmq_dist_port" \
    RABBITMQ_BASE="$base" RABBITMQ_MNESIA_BASE="$base/data" RABBITMQ_LOG_BASE="$base/log" RABBITMQ_LOGS=- \
    RABBITMQ_CONFIG_FILE="$base/rabbitmq.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$base/none.config" \
    RABBITMQ_CONF_ENV_FILE="$base/none.env" RABBITMQ_ENABLED_PLUGINS_FILE="$base/enabled_plugins" \
    RABBITMQ_PID_FILE="$base/data/node.pid" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' "$@"
}
prepare_rabbitmq() {
  mkdir data log
  (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >.erlang.cookie)
  chmod 400 .erlang.cookie
  echo '[].' >enabled_plugins
  cat >rabbitmq.conf <<CONF
listeners.tcp.1 = 127.0.0.1:$rabbitmq_port
default_user = $user
default_pass = $password
default_user_tags.administrator = true
log.console.level = warning
disk_free_limit.absolute = 50MB
CONF
}
launch_rabbitmq() {
  broker epmd -port "$rabbitmq_epmd_port" -address 127.0.0.1 &
  broker /usr/lib/rabbitmq/bin/rabbitmq-server
}
# The first bytes of AMQP: the broker answers them with a Start method frame (type 1) once it takes clients.
answers_rabbitmq() {
  local first
  first=$(
    exec 3<>"/dev/tcp/127.0.0.1/$rabbitmq_port"
    printf 'AMQP\0\0\11\1' >&3
    timeout 5 head -c 1 <&3 | od -An -tu1
  ) 2>/dev/null && [ "${first// /}" = 1 ]
}

prepare_minio() { mkdir data; }
launch_minio() {
  export MINIO_ROOT_USER=$user MINIO_ROOT_PASSWORD=$password MINIO_BROWSER=off MINIO_UPDATE=off
  exec "$(tool_path minio)" server --quiet --address "127.0.0.1:$minio_port" "$PWD/data"
}
answers_minio() { s3_answers "$minio_port"; }

prepare_versitygw() { mkdir data meta; }
launch_versitygw() {
  local where=()
  # Object metadata lies in extended attributes; a file system without them gets a folder of its own.
  python3 -c 'import os,sys; os.setxattr(sys.argv[1], "user.t", b"1")' "$PWD/data" 2>/dev/null ||
    where=(--sidecar "$PWD/meta")
  exec "$(tool_path versitygw)" --port "127.0.0.1:$versitygw_port" --access "$user" --secret "$password" --quiet \
    posix "${where[@]}" "$PWD/data"
}
answers_versitygw() { s3_answers "$versitygw_port"; }

# s3_answers PORT lists the buckets with a signed request: only a server whose accounts work says 200.
s3_answers() {
  [ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' --aws-sigv4 aws:amz:us-east-1:s3 --user "$user:$password" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "http://127.0.0.1:$1/")" = 200 ]
}

# The EICAR test file, which every scanner knows, and a made-up signature of our own, the words
# GATEHOUSE-TEST-SIGNATURE anywhere in a file: a second name lets a test tell two findings apart.
prepare_clamd() {
  mkdir db tmp
  local eicar=58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a
  local own
  own=$(printf 'GATEHOUSE-TEST-SIGNATURE' | od -An -v -tx1 | tr -d ' \n')
  printf '%s:0:%s:%s\n' Eicar-Test-Signature 0 "$eicar" Gatehouse-Test-Signature '*' "$own" >db/gatehouse.ndb
  # MaxFileSize >= StreamMaxLength >= the largest upload, or clamd says OK about bytes it never read.
  cat >clamd.conf <<CONF
Foreground yes
DatabaseDirectory $PWD/db
TemporaryDirectory $PWD/tmp
LocalSocket $PWD/clamd.sock
FixStaleSocket yes
TCPSocket $clamd_port
TCPAddr 127.0.0.1
LogFile $root/log/clamd.log
LogFileUnlock yes
LogTime yes
MaxThreads 12
StreamMaxLength 600M
MaxFileSize 600M
MaxScanSize 2400M
MaxFiles 10000
MaxRecursion 17
MaxScanTime 120000
AlertExceedsMax yes
AlertEncrypted yes
DisableCache yes
ExitOnOOM yes
CONF
}
launch_clamd() {
  rm -f clamd.sock
  exec "$(command -v clamd || echo /usr/sbin/clamd)" --config-file="$PWD/clamd.conf"
}
# PING answers while every scan fails, so ask for a scan: ten harmless bytes, as one chunk and the end mark.
answers_clamd() {
  local reply
  reply=$(
    exec 3<>"/dev/tcp/127.0.0.1/$clamd_port"
    printf 'zINSTREAM\0\0\0\0\12harmless!!\0\0\0\0' >&3
    timeout 5 cat <&3 | tr -d '\0'
  ) 2>/dev/null && [ "$reply" = "stream: OK" ] && [ -S "$root/clamd/clamd.sock" ]
}

# --- processes -----------------------------------------------------------------------------------------------

# processes NAME [PROGRAM] prints the ids of every process of a service, those that outlived their parent too.
# A service runs inside its own folder; the program's name keeps a person's shell that stands there out of it.
processes() {
  local link pid exe main
  main=$(cat "$root/$1.pid" 2>/dev/null || true)
  find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' \( -lname "$root/$1" -o -lname "$root/$1/*" \) 2>/dev/null |
    while read -r link; do
      pid=${link#/proc/} pid=${pid%/cwd}
      exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || continue
      exe=${exe% (deleted)} exe=${exe##*/}
      case $exe in
        postgres | mariadbd | beam.smp | epmd | erl_child_setup | inet_gethost | minio | versitygw | clamd) ;;
        *) [ "$pid" = "$main" ] || continue ;;
      esac
      [ "${2:-$exe}" != "$exe" ] || echo "$pid"
    done || true
}

alive() { [ -n "$(processes "$1")" ]; }

# answers NAME asks the service something that only a working one can answer.
answers() { "answers_$1" >/dev/null 2>&1; }

# settle gives "as", the words that put a command under the service's own user: PostgreSQL and MariaDB refuse root.
settle() {
  as=() as_user=
  [ "$(id -u)" = 0 ] || return 0
  case $1 in
    postgres) as_user=postgres ;;
    mariadb) as_user=mysql ;;
    *) return 0 ;;
  esac
  as=(setpriv --reuid="$as_user" --regid="$as_user" --init-groups)
}

# prepare NAME makes the service's folder afresh; a half-made one is never taken for a whole one.
prepare() {
  settle "$1"
  rm -rf "${root:?}/$1"
  mkdir -m 755 "$root/$1"
  [ -z "$as_user" ] || chown "$as_user:" "$root/$1"
  cd "$root/$1"
  "prepare_$1"
  touch .prepared
}

# launch NAME becomes the service.
launch() {
  settle "$1"
  cd "$root/$1"
  echo $$ >"$root/$1.pid"
  "launch_$1"
}

start() {
  local name=$1 log=$root/log/$1.log deadline
  answers "$name" && alive "$name" && return 0
  finish "$name" KILL 5
  if [ ! -e "$root/$name/.prepared" ]; then
    "$here/services.sh" prepare "$name" >"$log" 2>&1 ||
      fail "$name could not be prepared. The end of its log: $(tail -n 10 "$log")"
  fi
  # A session of its own: ctrl-C in the terminal reaches the tests, not the services under them.
  setsid "$here/services.sh" launch "$name" </dev/null >>"$log" 2>&1 9>&- &
  deadline=$((SECONDS + ready_seconds))
  until answers "$name"; do
    if [ $SECONDS -ge $deadline ]; then
      fail "$name did not answer within $ready_seconds s. The end of its log: $(tail -n 10 "$log")"
    fi
    if [ $((deadline - SECONDS)) -lt $((ready_seconds - 5)) ] && ! alive "$name"; then
      fail "$name ended. The end of its log: $(tail -n 10 "$log")"
    fi
    sleep 0.2
  done
}

# finish NAME SIGNAL SECONDS signals the service, waits until no process of it is left, and makes sure of it.
finish() {
  local name=$1 signal=$2 deadline=$((SECONDS + $3)) pids main
  pids=$(processes "$name")
  if [ -n "$pids" ]; then
    main=$(cat "$root/$name.pid" 2>/dev/null || true)
    if [ "$signal" != KILL ] && [ -n "$main" ] && grep -qx "$main" <<<"$pids"; then
      kill -s "$signal" "$main" 2>/dev/null || true
    else
      # shellcheck disable=SC2086 # a list of ids
      kill -s KILL $pids 2>/dev/null || true
    fi
    while pids=$(processes "$name") && [ -n "$pids" ]; do
      if [ $SECONDS -ge $deadline ] || [ "$signal" = KILL ]; then
        # shellcheck disable=SC2086 # a list of ids
        kill -s KILL $pids 2>/dev/null || true
      fi
      sleep 0.1
    done
  fi
  rm -f "$root/$name.pid"
}

# end_node asks the Erlang node to end in an orderly way and waits for it.
end_node() {
  local deadline=$((SECONDS + stop_seconds)) node
  node=$(processes rabbitmq beam.smp)
  [ -z "$node" ] || kill "$node" 2>/dev/null || true
  while [ -n "$(processes rabbitmq beam.smp)" ] && [ $SECONDS -lt $deadline ]; do
    sleep 0.1
  done
}

stop() {
  case $1 in
    postgres) finish postgres INT "$stop_seconds" ;; # "fast": ends sessions, then a clean checkpoint
    rabbitmq)
      # The node first; its port mapper and the shell around both have no other reason to end.
      end_node
      finish rabbitmq KILL 5 ;;
    *) finish "$1" TERM "$stop_seconds" ;;
  esac
}

# locked NAME COMMAND... keeps two calls from working on one service at the same time.
locked() {
  local name=$1
  shift
  ( flock 9; "$@" ) 9>"$root/$name.lock"
}

# --- commands ------------------------------------------------------------------------------------------------

open_root() {
  [ -d "$root" ] || (umask 022 && mkdir -p "$root")
  [ -O "$root" ] || fail "$root belongs to somebody else; set GATEHOUSE_TEST_DIR to a folder of your own."
  mkdir -p "$root/log"
}

# each FUNCTION runs it for all services at once and fails when one did.
each() {
  local name pids=() code=0
  for name in "${names[@]}"; do
    locked "$name" "$1" "$name" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || code=1
  done
  return $code
}

status() {
  local name code=0
  for name in "${names[@]}"; do
    if answers "$name"; then
      echo "$name answers"
    elif alive "$name"; then
      echo "$name runs but does not answer"
      code=1
    else
      echo "$name is down"
      code=1
    fi
  done
  return $code
}

print_env() {
  cat <<ENV
export GATEHOUSE_TEST_DIR=$root
export GATEHOUSE_TEST_PORT_SHIFT=$shift_by
# postgres://$user:$password@127.0.0.1:$postgres_port/postgres?sslmode=disable
# mysql://$user:$password@127.0.0.1:$mariadb_port/
# amqp://$user:$password@127.0.0.1:$rabbitmq_port/
# MinIO      http://127.0.0.1:$minio_port  access key $user, secret key $password
# versitygw  http://127.0.0.1:$versitygw_port  access key $user, secret key $password
# clamd      unix:$root/clamd/clamd.sock, tcp://127.0.0.1:$clamd_port
ENV
}

usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p' >&2; exit 2; }

remove_data() {
  stop "$1"
  rm -rf "${root:?}/$1"
}

known() { [[ " ${names[*]} " == *" $1 "* ]] || fail "no such service: $1 (there are: ${names[*]})"; }

case ${1:-} in
  up) open_root; each start; status ;;
  down) [ -d "$root" ] || exit 0; open_root; each remove_data ;;
  start | stop) known "${2:-}"; open_root; locked "$2" "$1" "$2" ;;
  restart) known "${2:-}"; open_root; locked "$2" stop "$2"; locked "$2" start "$2" ;;
  kill) known "${2:-}"; open_root; locked "$2" finish "$2" KILL 5 ;;
  prepare | launch) "$1" "$2" ;; # of this script's own
  status) status ;;
  env) print_env ;;
  ports)
    echo $postgres_port $mariadb_port $rabbitmq_port $rabbitmq_dist_port $rabbitmq_epmd_port $minio_port \
      $versitygw_port $clamd_port ;;
  rabbitmqctl) broker /usr/lib/rabbitmq/bin/rabbitmqctl "${@:2}" ;;
  *) usage ;;
esac
