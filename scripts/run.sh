#!/usr/bin/env bash
# Runs the gateway and the worker on this machine in embedded mode, with a demo tenant, and prints commands to
# try it with. Everything it keeps lies in ./data (GATEHOUSE_DATA_DIR); ctrl-C stops both programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export GATEHOUSE_DATA_DIR=${GATEHOUSE_DATA_DIR:-./data}
export GATEHOUSE_HTTP_ADDR=${GATEHOUSE_HTTP_ADDR:-:8080}
export GATEHOUSE_WORKER_HTTP_ADDR=${GATEHOUSE_WORKER_HTTP_ADDR-127.0.0.1:8081}
# A database meant for another program, or the places of test services, must not leak in.
unset DATABASE_URL GATEHOUSE_TEST_DIR GATEHOUSE_TEST_PORT_SHIFT GATEHOUSE_TOOLS

data=$GATEHOUSE_DATA_DIR
port=${GATEHOUSE_HTTP_ADDR##*:}
base=http://127.0.0.1:$port
key_file=$data/demo-tenant.json
sample=$data/sample.jpg
ready_seconds=60

fail() { echo "run.sh: $*" >&2; exit 1; }

for program in bin/gateway bin/worker; do
  [ -x "$program" ] || fail "$program is not built; run: make build"
done
# port_free PORT VARIABLE EXAMPLE says how to choose another port than one that is taken.
port_free() {
  if (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    fail "Port $1 is already in use. Stop the program that listens there, or choose another: $2=$3 make run"
  fi
}
port_free "$port" GATEHOUSE_HTTP_ADDR :9080
port_free "${GATEHOUSE_WORKER_HTTP_ADDR##*:}" GATEHOUSE_WORKER_HTTP_ADDR 127.0.0.1:9081

mkdir -p "$data/log"
chmod 700 "$data"
# The logs are kept out of the terminal: what should be read there are the commands below. Those of the run before
# are kept as .1.
gateway_log=$data/log/gateway.log worker_log=$data/log/worker.log
for log in "$gateway_log" "$worker_log"; do
  if [ -s "$log" ]; then mv -f "$log" "$log.1"; fi
done

# Whole, because a list of what is wrong with the configuration begins with its heading.
bin/gateway migrate >"$gateway_log" 2>&1 || fail "The database could not be prepared: $(cat "$gateway_log")"

# The key is shown once by the program and kept here, readable by its owner only.
# When that file is lost the tenant is still there, and gets a further key.
if [ ! -s "$key_file" ]; then
  (umask 077 &&
    { bin/gateway tenant create demo --plan pro --json || bin/gateway key create demo --json; } \
      >"$key_file.part" 2>>"$gateway_log") ||
    fail "The demo tenant could not be created: $(tail -n 5 "$gateway_log")"
  mv "$key_file.part" "$key_file"
fi
key=$(sed -n 's/.*"api_key": *"\([^"]*\)".*/\1/p' "$key_file")
[ -n "$key" ] || fail "$key_file holds no API key; remove $data to start afresh."

if [ ! -s "$sample" ] && command -v ffmpeg >/dev/null; then
  ffmpeg -nostdin -loglevel error -f lavfi -i testsrc2=size=1600x1200 -frames:v 1 -q:v 3 -y "$sample" || rm -f "$sample"
fi

gateway_pid='' worker_pid=''
# shellcheck disable=SC2317 # called by the trap
finish() {
  local code=$? pid
  trap '' INT TERM HUP
  for pid in $gateway_pid $worker_pid; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  wait
  if [ -n "$worker_pid" ]; then echo "Stopped."; fi
  exit "$code"
}
trap finish EXIT
trap 'echo; echo "Stopping ..."; exit 0' INT
trap 'exit 0' TERM HUP

# Sessions of their own: a ctrl-C reaches only this script, which then stops each of them once, in order.
setsid bin/gateway serve >>"$gateway_log" 2>&1 &
gateway_pid=$!
setsid bin/worker run >"$worker_log" 2>&1 &
worker_pid=$!

# check_alive fails with the end of the log of a program that is gone.
check_alive() {
  kill -0 "$gateway_pid" 2>/dev/null || fail "The gateway ended. The end of $gateway_log: $(tail -n 5 "$gateway_log")"
  kill -0 "$worker_pid" 2>/dev/null || fail "The worker ended. The end of $worker_log: $(tail -n 5 "$worker_log")"
}

deadline=$((SECONDS + ready_seconds))
until curl -fsS -m 5 -o /dev/null "$base/readyz" 2>/dev/null; do
  check_alive
  [ $SECONDS -lt $deadline ] ||
    fail "Not ready within $ready_seconds s: $(curl -sS -m 5 "$base/readyz" 2>&1). The logs are in $data/log."
  sleep 0.2
done
# Another program may have taken the port in the meantime, and answered in our place.
check_alive

notice=
if ! compgen -G '/var/lib/clamav/*.c[lv]d' >/dev/null; then
  notice='

NO VIRUS SIGNATURES are installed: only the EICAR test file is found. For the official ones:
  apt-get install clamav-freshclam     # its service fetches them; the worker takes them within a minute'
fi

cat <<TEXT

Gatehouse is up on $base, its data in $data, its logs in $data/log.$notice

Try it from another terminal, in this folder. First the key of the demo tenant, and an upload:

  export KEY=$key
  curl -sS -H "Authorization: Bearer \$KEY" -F file=@$sample $base/api/v1/assets | tee upload.json; echo
  export ID=\$(grep -o '"id": *"[^"]*"' upload.json | head -n 1 | cut -d'"' -f4)

Watch it being scanned and made web-ready (ends by itself), then see the result:

  curl -sSN -H "Authorization: Bearer \$KEY" $base/api/v1/assets/\$ID/events
  curl -sS -H "Authorization: Bearer \$KEY" $base/api/v1/assets/\$ID; echo

Read the original and the WebP of 640 pixels:

  curl -sS -H "Authorization: Bearer \$KEY" -o original.jpg $base/api/v1/assets/\$ID/content
  curl -sS -H "Authorization: Bearer \$KEY" -o small.webp $base/api/v1/assets/\$ID/variants/w640

And what it is for: a harmless file that every scanner calls a virus is taken, found, and never readable:

  printf %s 'X5O!P%@AP[4\\PZX54(P^)7CC)7}\$' 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!\$H+H*' >eicar.txt
  curl -sS -H "Authorization: Bearer \$KEY" -F file=@eicar.txt $base/api/v1/assets | tee upload.json; echo

The answer is 202 with "state": "quarantined". A moment later it is "rejected", with a signature named Eicar:

  export ID=\$(grep -o '"id": *"[^"]*"' upload.json | head -n 1 | cut -d'"' -f4)
  curl -sS -H "Authorization: Bearer \$KEY" $base/api/v1/assets/\$ID; echo
  curl -sS -H "Authorization: Bearer \$KEY" $base/api/v1/assets/\$ID/content; echo

ctrl-C stops both programs; the data stays for the next run.
TEXT

wait -n "$gateway_pid" "$worker_pid" || true
check_alive
fail "A program ended; the logs are in $data/log."
