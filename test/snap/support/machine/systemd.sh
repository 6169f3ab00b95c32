#!/bin/bash
# Number 1 of the virtual machine before systemd: what its kernel needs for snapd, and a disk for what snapd keeps.
mount -t securityfs securityfs /sys/kernel/security
mkfs.ext4 -q /dev/vda
mount /dev/vda /mnt
mkdir /mnt/snapd /mnt/snap
cp -a /var/lib/snapd/. /mnt/snapd/
mount --bind /mnt/snapd /var/lib/snapd
mount --bind /mnt/snap /var/snap
ip link add eth0 type dummy
ip addr add 10.9.0.1/24 dev eth0
ip link set eth0 up
exec /lib/systemd/systemd --unit=multi-user.target
