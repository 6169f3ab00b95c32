#!/bin/sh
# PID 1 of a user's machine (machine.sh), in its new namespaces: machine-init.sh LAB_ROOT
# Makes what labs change on a host its own, says "ready", reaps orphans, and ends when no lab is left.
set -eu
root=$1

# /proc is still the host's, so this is our pid as the host sees it; field 22 is the start time.
read -r pid rest </proc/self/stat
# shellcheck disable=SC2086
set -- $rest
shift 20
start=$1

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 1777 /run/lock
ip link set lo up

# A directory that nodes mount over: its parent is shown anew with this entry of our own. One of the host's could
# be removed, and all that is mounted on it with it.
mount_point() {
  parent=${1%/*}
  old=/run/machine$parent
  mkdir -p "$old"
  mount --rbind "$parent" "$old"
  mount -t tmpfs -o mode=755 tmpfs "$parent"
  for entry in "$old"/* "$old"/.[!.]*; do
    name=$parent/${entry##*/}
    if [ "$name" = "$1" ]; then continue; fi
    if [ -L "$entry" ]; then
      cp -P "$entry" "$name"
    elif [ -d "$entry" ]; then
      mkdir "$name" && mount --rbind "$entry" "$name"
    elif [ -e "$entry" ]; then
      : >"$name" && mount --bind "$entry" "$name"
    fi
  done
  mkdir "$1"
}
mount_point /var/lib/microceph
if [ ! -d /etc/ceph ]; then mount_point /etc/ceph; fi

printf '%s %s\n' "$pid" "$start" >"$root/.machine"
exec 9>>"$root/.machine"
cd /
echo ready
exec </dev/null >/dev/null 2>&1

# `lab down` sends SIGTERM after the last lab; the sleep is bounded because a signal just before `wait` is lost.
trap : TERM
while :; do
  # Granted when nobody is inside.
  flock --exclusive 9 || continue
  if [ ! -e "$root/numbers.json" ]; then
    rm -f "$root/.machine"
    rmdir "$root" || true
    exit 0
  fi
  flock --unlock 9
  sleep 60 &
  wait $! || true
done
