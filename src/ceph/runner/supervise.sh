#!/bin/sh
# Keeps one program running, on its own, whatever becomes of the daemon:
#   supervise.sh FOLDER HASH STOP_MS FIRST_MS MOST_MS RESET_MS
# FOLDER holds run.sh (records itself in `child`, then becomes the program), and for whoever asks:
# `supervisor.pid` and `child` (pid, start time, boot id), `status` (JSON), `log`. A file named `stop` forbids a start.
# TERM ends the program, with TERM and after STOP_MS with KILL, and then the supervisor.
#
# There are never two programs of one unit: a supervisor holds `lock`, and each program inherits `child.lock`,
# which the kernel frees only when it is gone, also if its supervisor was killed between fork and record.
set -u

# Files that the daemon inherited without close-on-exec would be held open for as long as the program lives
# (a harness that waits for the end of a pipe would wait for ever). Plain sh cannot name those above 9; its own
# script is 10.
for open in "/proc/$$/fd/"*; do
  case ${open##*/} in
    0 | 1 | 2 | 10) ;;
    [3-9]) eval "exec ${open##*/}>&-" ;;
    *) if [ -z "${inherited_closed-}" ] && [ -e "$open" ]; then wide=1; fi ;;
  esac
done
if [ -n "${wide-}" ] && command -v bash >/dev/null; then
  # shellcheck disable=SC2016
  inherited_closed=1 exec bash -c '
    for open in /proc/$$/fd/*; do
      number=${open##*/}
      if [ "$number" -gt 2 ]; then eval "exec $number>&-"; fi
    done
    exec /bin/sh "$0" "$@"' "$0" "$@"
fi
set -f

# Start time of a process in clock ticks since boot, in $started; fails when it is gone or only a zombie.
start_of() {
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086
  set -- ${line##*) }
  case $1 in Z | X) return 1 ;; esac
  started=${20}
}

# Whether the recorded program lives; sets $child_pid and $child_hash.
child_alive() {
  { read -r child_pid child_start child_boot child_hash <child; } 2>/dev/null || return 1
  [ "$child_boot" = "$boot" ] && start_of "$child_pid" && [ "$started" = "$child_start" ]
}

milliseconds() {
  printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
}

# Sleep that a signal ends (see the trap: one that comes before `wait` ends it too).
nap() {
  sleep "$(milliseconds "$1")" 8>&- 9>&- &
  napping=$!
  if [ -z "$stopping" ]; then wait "$napping"; fi
  if [ -n "$stopping" ]; then kill "$napping" 2>/dev/null; fi
  napping=
}

# write_status STATE PID REASON
write_status() {
  printf '{"v":1,"state":"%s","pid":%s,"restarts":%d,"lastExit":%s,"reason":"%s","since":%d}\n' \
    "$1" "$2" "$restarts" "$last_exit" "$3" "$(date +%s)" >.status.new 2>/dev/null &&
    mv -f .status.new status
}

# End a process: TERM, and KILL after the time allowed.
end_process() {
  write_status stopping "$1" "asked to stop"
  kill -TERM "$1" 2>/dev/null
  waited=0
  start_of "$1" || return 0
  was=$started
  while start_of "$1" && [ "$started" = "$was" ]; do
    if [ "$waited" -ge "$stop_ms" ]; then
      kill -KILL "$1" 2>/dev/null
    fi
    sleep 0.05 8>&- 9>&-
    waited=$((waited + 50))
  done
}

# The program of a supervisor that was killed: watch over it until it ends.
watch_left_over() {
  write_status running "$child_pid" "taken over from a supervisor that was killed"
  while [ -z "$stopping" ] && child_alive; do
    if flock -n 8; then
      flock -u 8
      nap 1000
    else
      flock -w 60 8 9>&- &
      napping=$!
      if [ -z "$stopping" ]; then wait "$napping"; fi
      if [ -n "$stopping" ]; then kill "$napping" 2>/dev/null; fi
      napping=
      flock -u 8
    fi
  done
  if child_alive; then end_process "$child_pid"; fi
  reason="ended; its exit status is not known"
}

# Only one program at a time, even if the last supervisor died before its program was recorded.
lock_child() {
  tries=0
  until flock -n 8; do
    if child_alive; then return 1; fi
    tries=$((tries + 1))
    if [ "$tries" -ge 100 ]; then
      # The program itself records itself at once and is gone: something that it left behind holds the file.
      rm -f child.lock
      exec 8>>child.lock
    fi
    nap 100
    if [ -n "$stopping" ]; then return 1; fi
  done
}

run_program() {
  if [ "$(wc -c <log)" -gt 1048576 ]; then
    mv -f log log.1
    exec >>log 2>&1
  fi
  read -r up rest </proc/uptime
  begun=${up%%.*}
  sh ./run.sh 9>&- &
  pid=$!
  write_status running "$pid" "$reason"
  while :; do
    if [ -n "$stopping" ]; then end_process "$pid"; fi
    wait "$pid"
    last_exit=$?
    # A signal to us ends `wait` too; 127 says that there is nothing to wait for.
    if [ "$last_exit" -eq 127 ] || ! kill -0 "$pid" 2>/dev/null; then break; fi
  done
  read -r up rest </proc/uptime
  ran_ms=$(((${up%%.*} - begun) * 1000))
  if [ "$last_exit" -gt 128 ]; then
    reason="killed by signal $((last_exit - 128))"
  else
    reason="ended with status $last_exit"
  fi
}

main() {
  hash=$2 stop_ms=$3 first_ms=$4 most_ms=$5 reset_ms=$6
  cd "$1" || exit 0
  exec </dev/null >>log 2>&1 || exit 1
  exec 9>>lock
  flock -n 9 || exit 0
  exec 8>>child.lock
  stopping='' napping=''
  # The program is not signalled from here: some of Ceph's daemons take a second TERM badly.
  trap 'stopping=1; if [ -n "$napping" ]; then kill "$napping" 2>/dev/null; fi' TERM INT
  trap : HUP
  read -r boot </proc/sys/kernel/random/boot_id
  restarts=0 last_exit=null delay=$first_ms reason="started"
  start_of $$ || exit 1
  own_start=$started
  write_status starting null "the supervisor has started"
  printf '%s %s %s\n' $$ "$own_start" "$boot" >.supervisor.new && mv -f .supervisor.new supervisor.pid || exit 1

  if child_alive && [ "$child_hash" != "$hash" ]; then end_process "$child_pid"; fi
  while [ -z "$stopping" ] && ! [ -e stop ]; do
    ran_ms=0
    if child_alive; then
      watch_left_over
      last_exit=null
    elif lock_child; then
      run_program
    else
      continue
    fi
    if [ -n "$stopping" ]; then break; fi
    if [ "$ran_ms" -ge "$reset_ms" ]; then delay=$first_ms; fi
    write_status waiting null "$reason; starts again in $(milliseconds "$delay") s"
    nap "$delay"
    delay=$((delay * 2))
    if [ "$delay" -gt "$most_ms" ]; then delay=$most_ms; fi
    restarts=$((restarts + 1))
    reason="$reason, then started again"
  done
  if child_alive; then end_process "$child_pid"; fi
  write_status stopped null "stopped as asked"
  rm -f supervisor.pid
  exit 0
}

# All of it is read before any of it runs: replacing this file disturbs no running supervisor.
main "$@"
exit
