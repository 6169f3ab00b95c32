#!/bin/bash
# Number 1 of the virtual machine before systemd: the disk with the state, and a network with nobody else on it.
mount /dev/vda /var/lib/microceph
ip link add eth0 type dummy
ip addr add 10.9.0.1/24 dev eth0
ip link set eth0 up
exec /lib/systemd/systemd --unit=multi-user.target
