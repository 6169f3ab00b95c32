#!/bin/sh
# three-nodes-material.sh DIR IP1 IP2 IP3: what all three nodes of three-nodes-parallel.sh know from the start.
set -eu
D=$1
shift
FSID=$(cat /proc/sys/kernel/random/uuid)
. "$(dirname "$0")/parts.sh"
mkdir -p "$D"
echo "$FSID" >"$D/fsid"
admin=$(new_key)
{
  caps mon. "$(new_key)" 'allow *'
  caps client.admin "$admin" 'allow *' 'allow *'
} >"$D/mon.keyring"
printf '[client.admin]\n\tkey = %s\n' "$admin" >"$D/keyring"
set -- "$@"
n=0
monitors=
hosts=
for ip in "$@"; do
  mgr=$(new_key)
  osd=$(new_key)
  uuid=$(cat /proc/sys/kernel/random/uuid)
  caps "mgr.m$n" "$mgr" 'allow profile mgr' 'allow *' >>"$D/mon.keyring"
  printf '[mgr.m%s]\n\tkey = %s\n' "$n" "$mgr" >>"$D/keyring"
  { printf '[osd.%s]\n\tkey = %s\n' "$n" "$osd"
    printf '\tcaps mon = "allow profile osd"\n\tcaps mgr = "allow profile osd"\n\tcaps osd = "allow *"\n'
  } >>"$D/mon.keyring"
  echo "$uuid $osd" >"$D/osd.$n"
  echo "osd new $uuid $n" >>"$D/commands"
  monitors="$monitors --addv m$n [v2:$ip:3300,v1:$ip:6789]"
  hosts="$hosts${hosts:+,}$ip"
  n=$((n + 1))
done
echo "$hosts" >"$D/hosts"
# shellcheck disable=SC2086
monmaptool --create $monitors --fsid "$FSID" "$D/monmap" >/dev/null
