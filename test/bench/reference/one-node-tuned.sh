#!/bin/sh
# one-node-tuned.sh DIR IP CONF...: a monitor, a manager and three OSDs in loop files, all at once.
set -eu
D=$1
IP=$2
shift 2
NAME=a
FSID=$(cat /proc/sys/kernel/random/uuid)
. "$(dirname "$0")/parts.sh"
mkdir -p "$D/mgr"
printf '[global]\nosd crush chooseleaf type = 0\n' >"$D/own.conf"
write_conf "$IP" "$D/own.conf" "$@"

admin=$(new_key)
mgr=$(new_key)
printf '[client.admin]\n\tkey = %s\n[mgr.a]\n\tkey = %s\n' "$admin" "$mgr" >"$D/keyring"
{
  caps mon. "$(new_key)" 'allow *'
  caps client.admin "$admin" 'allow *' 'allow *'
  caps mgr.a "$mgr" 'allow profile mgr' 'allow *'
} >"$D/mon.keyring"
for id in 0 1 2; do
  uuid=$(cat /proc/sys/kernel/random/uuid)
  key=$(new_key)
  osd_folder "$id" 4G "$key"
  { printf '[osd.%s]\n\tkey = %s\n' "$id" "$key"
    printf '\tcaps mon = "allow profile osd"\n\tcaps mgr = "allow profile osd"\n\tcaps osd = "allow *"\n'
  } >>"$D/mon.keyring"
  echo "osd new $uuid $id" >>"$D/commands"
  format_osd "$id" "$uuid" &
done
monmaptool --create --addv a "[v2:$IP:3300,v1:$IP:6789]" --fsid "$FSID" "$D/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$D/monmap" --keyring "$D/mon.keyring" -c "$D/ceph.conf"
start ceph-mon -i a
start ceph-mgr -i a
ceph -c "$D/ceph.conf" <"$D/commands" >/dev/null
wait_for_formats() { while pgrep -f "ceph-osd --mkfs.*$D/ceph.conf" >/dev/null; do sleep 0.02; done; }
wait_for_formats
for id in 0 1 2; do start ceph-osd -i "$id"; done
