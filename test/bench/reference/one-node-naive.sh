#!/bin/sh
# one-node-naive.sh DIR IP CONF...: a monitor, a manager and three OSDs in loop files, one after the other.
set -eu
D=$1
IP=$2
shift 2
NAME=a
FSID=$(cat /proc/sys/kernel/random/uuid)
. "$(dirname "$0")/parts.sh"
mkdir -p "$D"
write_conf "$IP" "$@"
ceph="ceph -c $D/ceph.conf"

ceph-authtool --create-keyring "$D/mon.keyring" --gen-key -n mon. --cap mon 'allow *'
ceph-authtool --create-keyring "$D/keyring" --gen-key -n client.admin \
  --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *'
ceph-authtool "$D/mon.keyring" --import-keyring "$D/keyring"
monmaptool --create --addv a "[v2:$IP:3300,v1:$IP:6789]" --fsid "$FSID" "$D/monmap"
ceph-mon --mkfs -i a --monmap "$D/monmap" --keyring "$D/mon.keyring" -c "$D/ceph.conf"
start ceph-mon -i a
$ceph osd crush rule create-replicated fd_osd default osd
$ceph config set global osd_pool_default_crush_rule 1

$ceph auth get-or-create mgr.a mon 'allow profile mgr' osd 'allow *' mds 'allow *' >>"$D/keyring"
start ceph-mgr -i a
until [ "$($ceph mgr stat -f json | grep -c '"available": *true')" = 1 ]; do sleep 0.5; done

for id in 0 1 2; do
  uuid=$(cat /proc/sys/kernel/random/uuid)
  key=$(new_key)
  osd_folder "$id" 4G "$key"
  echo "{\"cephx_secret\":\"$key\"}" | $ceph osd new "$uuid" -i - >/dev/null
  format_osd "$id" "$uuid"
  start ceph-osd -i "$id"
done
until [ "$($ceph osd stat -f json | grep -c '"num_up_osds": *3')" = 1 ]; do sleep 0.5; done
