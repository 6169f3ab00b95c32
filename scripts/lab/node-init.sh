#!/bin/sh
# PID 1 of a lab node, in new network, mount, UTS, IPC and PID namespaces: node-init.sh NODE_DIR NAME
# Makes the node look like a host of its own, says "ready" and then only reaps orphans. When it dies, the
# kernel ends every process of the node.
set -eu
dir=$1
name=$2

# /proc is still the host's, so this is our pid as the host sees it; field 22 is the start time.
read -r pid rest </proc/self/stat
set -- $rest
shift 20
printf '%s %s\n' "$pid" "$1" >"$dir/holder.new"

mount -t proc -o nosuid,nodev,noexec proc /proc
hostname "$name"
# Addresses are usable at once: no duplicate address detection.
for switch in all default; do
  if [ -e "/proc/sys/net/ipv6/conf/$switch/accept_dad" ]; then
    echo 0 >"/proc/sys/net/ipv6/conf/$switch/accept_dad"
  fi
done

# A fresh sysfs shows this node's interfaces. Block devices have no namespace: hide the host's.
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
for folder in /sys/block /sys/class/block; do
  mount -t tmpfs -o mode=755,size=1m tmpfs "$folder"
done

# A state directory with a disk of its own; the host's loop devices are still in sight.
if [ -e "$dir/state.img" ]; then mount -o loop "$dir/state.img" "$dir/state"; fi

# Made beside the host's, because in a user namespace no device can be made: there the host's are shown.
mkdir -p "$dir/dev"
mount -t tmpfs -o mode=755,size=16m tmpfs "$dir/dev"
device() { # NAME MAJOR MINOR
  if mknod -m 666 "$dir/dev/$1" c "$2" "$3" 2>/dev/null; then return; fi
  if [ -e "/dev/$1" ]; then
    : >"$dir/dev/$1"
    mount --bind "/dev/$1" "$dir/dev/$1"
  fi
}
mkdir "$dir/dev/pts" "$dir/dev/shm" "$dir/dev/mqueue" "$dir/dev/net"
device null 1 3
device zero 1 5
device full 1 7
device random 1 8
device urandom 1 9
device tty 5 0
device fuse 10 229
device net/tun 10 200
mount --move "$dir/dev" /dev
rmdir "$dir/dev"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue 2>/dev/null || true
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 1777 /run/lock

mount --bind "$dir/state" /var/lib/microceph
mount --bind "$dir/etc/ceph" /etc/ceph
for file in hosts hostname resolv.conf machine-id; do
  # Some of them are links into /run, which is new.
  target=$(readlink -m "/etc/$file")
  case "$target" in
    /run/*) mkdir -p "${target%/*}" && : >"$target" ;;
  esac
  if [ -e "$target" ]; then mount --bind "$dir/etc/$file" "$target"; fi
done

mv "$dir/holder.new" "$dir/holder"
echo ready
cd /
exec </dev/null >/dev/null 2>&1
# `wait` reaps every child, adopted ones too; the sleep only gives it something to wait for.
while :; do
  sleep 2147483647 &
  wait
done
