#!/bin/sh
# boot.sh TREE: run systemd in a tree of Debian as in a container: a machine of its own, with one line to nobody.
# Part of trial.sh, which starts it in new namespaces.
set -eu
tree=$1
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount -t sysfs sysfs "$tree/sys"
mount -t tmpfs tmpfs "$tree/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
for device in null zero full random urandom tty; do
  touch "$tree/dev/$device"
  mount --bind "/dev/$device" "$tree/dev/$device"
done
mkdir "$tree/dev/pts" "$tree/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tree/dev/pts"
ln -s pts/ptmx "$tree/dev/ptmx"
ln -s /proc/self/fd "$tree/dev/fd"
mount -t tmpfs tmpfs "$tree/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
hostname node1
ip link set lo up
ip link add lan0 type veth peer name other0
ip link set other0 up
ip addr add 10.97.0.1/24 dev lan0
ip link set lan0 up
exec env -i container=trial PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$tree" /lib/systemd/systemd --unit=multi-user.target
