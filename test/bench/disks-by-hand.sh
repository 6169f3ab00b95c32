#!/bin/sh
# OSDs as one makes them by hand: disks-by-hand.sh parallel|sequence DEVICE…
# Register, format, start; ends when all are up. Uses the ceph.conf of CEPH_CONF and its administrator's key.
set -eu
mode=$1
shift
home=/run/by-hand
mkdir -p "$home"
wanted=$(($(ceph osd ls | wc -l) + $#))

make() {
  uuid=$(cat /proc/sys/kernel/random/uuid)
  key=$(ceph-authtool --gen-print-key)
  id=$(printf '{"cephx_secret":"%s"}' "$key" | ceph osd new "$uuid" -i -)
  data=$home/ceph-$id
  mkdir "$data"
  ln -s "$1" "$data/block"
  printf '[osd.%s]\n\tkey = %s\n' "$id" "$key" >"$data/keyring"
  set -- -i "$id" -c "$CEPH_CONF" --osd-data "$data" --keyring "$data/keyring"
  ceph-osd --mkfs "$@" --osd-uuid "$uuid" --osd-objectstore bluestore --no-mon-config >>"$home/log" 2>&1
  setsid ceph-osd -f "$@" >>"$home/log" 2>&1 </dev/null &
}

pids=
for device in "$@"; do
  if [ "$mode" = parallel ]; then
    make "$device" &
    pids="$pids $!"
  else
    make "$device"
  fi
done
for pid in $pids; do wait "$pid"; done
until ceph osd stat --format json | grep -q "\"num_up_osds\":$wanted,"; do sleep 0.2; done
