# Sourced by the reference scripts. Needs: D, the node's own directory; FSID; IP; NAME.

# A cephx key: type 1, time, length, 16 random bytes.
new_key() {
  { printf '\001\000\000\000\000\000\000\000\000\000\020\000'; head -c 16 /dev/urandom; } | base64
}

# write_conf MON_HOSTS CONF...: the node's ceph.conf, everything below $D.
write_conf() {
  hosts=$1
  shift
  mkdir -p "$D/run" "$D/log" "$D/mon" "$D/mgr" "$D/osd"
  cat >"$D/ceph.conf" <<CONF
[global]
fsid = $FSID
mon host = $hosts
public network = ${IP%.*}.0/24
auth allow insecure global id reclaim = false
run dir = $D/run
pid file = $D/run/\$name.pid
admin socket = $D/run/\$cluster-\$name.asok
log file = $D/log/\$name.log
mon cluster log file = $D/log/cluster.log
crash dir = $D/run
keyring = $D/keyring
[mon]
mon data = $D/mon/\$id
keyring = $D/mon/\$id/keyring
[mgr]
mgr data = $D/mgr
[osd]
osd data = $D/osd/\$id
keyring = $D/osd/\$id/keyring
crush location = root=default host=$NAME
[client]
admin socket = $D/run/\$name.\$pid.asok
CONF
  cat "$@" >>"$D/ceph.conf"
}

# start PROGRAM ARGUMENT...: a daemon that outlives the script.
start() {
  setsid "$@" -f -c "$D/ceph.conf" >/dev/null 2>>"$D/log/stderr" </dev/null &
}

# osd_folder ID BYTES KEY: data directory of an OSD on a loop file, not formatted yet.
osd_folder() {
  mkdir -p "$D/osd/$1"
  truncate -s "$2" "$D/osd/$1/osd-backing.img"
  ln -s osd-backing.img "$D/osd/$1/block"
  printf '[osd.%s]\n\tkey = %s\n' "$1" "$3" >"$D/osd/$1/keyring"
}

# format_osd ID UUID
format_osd() {
  ceph-osd --mkfs -i "$1" --osd-uuid "$2" --no-mon-config --osd-objectstore bluestore -c "$D/ceph.conf" \
    >/dev/null 2>>"$D/log/stderr"
}

# caps NAME KEY MON OSD: a section of a keyring that a monitor imports.
caps() {
  printf '[%s]\n\tkey = %s\n\tcaps mon = "%s"\n' "$1" "$2" "$3"
  if [ -n "${4:-}" ]; then printf '\tcaps osd = "%s"\n\tcaps mds = "allow *"\n' "$4"; fi
  if [ "$1" = client.admin ]; then printf '\tcaps mgr = "allow *"\n'; fi
}
