#!/bin/sh
# three-nodes-parallel.sh DIR IP NUMBER CONF...: monitor, manager and OSD of one of three nodes, all at once, from
# what three-nodes-material.sh left in DIR.
set -eu
D=$1
IP=$2
N=$3
shift 3
NAME=host$N
FSID=$(cat "$D/fsid")
. "$(dirname "$0")/parts.sh"
write_conf "$(cat "$D/hosts")" "$@"
read -r uuid key <"$D/osd.$N"
osd_folder "$N" 4G "$key"
format_osd "$N" "$uuid" &
formatting=$!
ceph-mon --mkfs -i "m$N" --monmap "$D/monmap" --keyring "$D/mon.keyring" -c "$D/ceph.conf"
cp "$D/mon.keyring" "$D/mon/m$N/keyring" 2>/dev/null || true
start ceph-mon -i "m$N"
start ceph-mgr -i "m$N"
if [ "$N" = 0 ]; then ceph -c "$D/ceph.conf" <"$D/commands" >/dev/null; fi
wait $formatting
start ceph-osd -i "$N"
