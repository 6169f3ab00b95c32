#!/bin/sh
# join.sh DIR IP CONF...: one more node for a Ceph whose ceph.conf and keyring lie in DIR: an OSD in a loop file, up.
set -eu
D=$1
IP=$2
NAME=b
shift 2
FSID=unused
. "$(dirname "$0")/parts.sh"
mkdir -p "$D/run" "$D/log" "$D/osd"
ceph="ceph -c $D/ceph.conf --keyring $D/keyring"
uuid=$(cat /proc/sys/kernel/random/uuid)
key=$(new_key)
id=$(echo "{\"cephx_secret\":\"$key\"}" | $ceph osd new "$uuid" -i -)
cat >>"$D/ceph.conf" <<CONF
[osd]
osd data = $D/osd/\$id
keyring = $D/osd/\$id/keyring
crush location = root=default host=$NAME
log file = $D/log/\$name.log
admin socket = $D/run/\$cluster-\$name.asok
run dir = $D/run
pid file = $D/run/\$name.pid
public addr = $IP
CONF
cat "$@" >>"$D/ceph.conf"
osd_folder "$id" 4G "$key"
format_osd "$id" "$uuid"
start ceph-osd -i "$id"
until $ceph osd dump -f json | grep -q "\"osd\":$id,\"uuid\":\"$uuid\",\"up\":1"; do sleep 0.1; done
