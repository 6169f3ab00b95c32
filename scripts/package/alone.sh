#!/bin/sh
# alone.sh TREE fresh|cluster: run the installed daemon in a tree of Debian, in namespaces of its own; part of trial.sh
set -eu
tree=$1
for folder in sys dev; do mount --rbind "/$folder" "$tree/$folder"; done
mount -t tmpfs tmpfs "$tree/run"
hostname node1
ip link set lo up
# A line whose other end nobody answers at.
ip link add lan0 type veth peer name other0
ip link set other0 up
ip addr add 10.97.0.1/24 dev lan0
ip link set lan0 up
inside() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root "$@"; }
# What the unit does.
start() {
  inside mkdir -p /var/lib/microceph
  inside /usr/bin/microcephd >>"$tree/var/log/microcephd.log" 2>&1 &
  daemon=$!
  tries=0
  until inside microceph mesh status >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { tail -5 "$tree/var/log/microcephd.log"; exit 1; }
    sleep 0.2
  done
}
start
case $2 in
  fresh)
    inside microceph mesh status --format json | grep -q '"state": *"fresh"'
    inside ss -Hltn | awk '{ print $4 }' | sort -u
    # Nothing is open but the lobby (7443/tcp) and mDNS (5353/udp).
    [ "$(inside ss -Hltn | sed 's/.*:\([0-9]*\) .*:.*/\1/' | sort -u | tr '\n' ' ')" = "7443 " ]
    [ "$(inside ss -Hlun | sed 's/.*:\([0-9]*\) .*:.*/\1/' | sort -u | tr '\n' ' ')" = "5353 " ]
    ! inside pgrep 'ceph-|etcd'
    ;;
  cluster)
    inside microceph cluster bootstrap
    # The tree shares its disk with whatever else is on this machine.
    inside microceph cluster config set mon_data_avail_warn 1 --section mon
    inside microceph disk add loop,1G,3
    inside microceph waitready --storage --timeout 300
    inside microceph pool create data
    healthy() {
      tries=0
      until inside ceph health 2>/dev/null | grep -q HEALTH_OK; do
        tries=$((tries + 1))
        [ $tries -lt 240 ] || { inside microceph status; inside ceph health detail; exit 1; }
        sleep 0.5
      done
    }
    healthy
    echo kept >"$tree/tmp/object"
    inside rados -p data put object /tmp/object
    kill "$daemon"
    wait "$daemon" || true
    inside pgrep ceph-osd >/dev/null
    start
    healthy
    [ "$(inside rados -p data get object -)" = kept ]
    ;;
esac
