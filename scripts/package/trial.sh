#!/bin/sh
# npm run test:package [RELEASE…]: the Debian package on clean trees of Debian (bookworm, trixie unless told otherwise):
# as machines with systemd: installed, with three OSDs to HEALTH_OK, rebooted, removed, purged. Then in a virtual
# machine, confined by AppArmor, with a power cut and a shutdown, unless releases are named. Last line: N passed, N failed, 0 skipped
# MICROCEPH_TRIAL_DEB: a package that is there already. Needs root, debootstrap and Debian's archive; the trees are below $MICROCEPH_TRIAL (/var/tmp) and removed at the end.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
passed=0
failed=0

say() { echo "trial: $*"; }
check() { # WHAT COMMAND…
  what=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    passed=$((passed + 1))
    say "ok: $what"
  else
    failed=$((failed + 1))
    say "FAILED: $what"
    sed 's/^/    /' "$work/said" | tail -20
  fi
}

[ "$(id -u)" = 0 ] || {
  echo "Error: a tree of Debian is made by root [MISSING_ROOT]" >&2
  exit 3
}
command -v debootstrap >/dev/null 2>&1 || {
  say "installing debootstrap"
  apt-get install -y --no-install-recommends debootstrap >/dev/null || exit 3
}
archive=${MICROCEPH_TRIAL_ARCHIVE:-$(sed -n 's/^URIs: *\(.*\/debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\/debian\)\/\{0,1\} .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)}
work=$(mktemp -d "${MICROCEPH_TRIAL:-/var/tmp}/microceph-trial-XXXXXX")
tree=$work/tree
trap 'exit 130' INT TERM

deb=${MICROCEPH_TRIAL_DEB:-}
if [ -z "$deb" ]; then
  sh "$root/scripts/package.sh" || exit 1
  deb=$(ls "$root"/dist/packages/microceph-mesh_*.deb)
fi

# Programs in the tree, with the machine's network and no systemd: for the archive alone.
inside() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
absent() { ! [ -e "$1" ] && ! [ -h "$1" ]; }

# The tree as a machine that runs systemd, in namespaces and a control group of its own.
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/microceph-trial-$$
machine=
boot() {
  mkdir -p "$groups"
  sh -c 'echo $$ >"$1/cgroup.procs"; exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh "$2" "$3"' \
    boot "$groups" "$root/scripts/package/boot.sh" "$tree" >>"$work/boot.log" 2>&1 </dev/null &
  started=$!
  tries=0
  while :; do
    machine=$(pgrep -P "$started" 2>/dev/null | head -1)
    # Of the distribution's own services some do not like a container: degraded is fine.
    case "$([ -z "$machine" ] || on systemctl is-system-running 2>/dev/null)" in running | degraded) return 0 ;; esac
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$work/boot.log"; return 1; }
    sleep 0.2
  done
}
# Run a program there, as an administrator who is logged in.
on() (
  cd / && nsenter -t "$machine" -m -p -n -u -i -C -r -w/ env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
)
halt() {
  [ -n "$machine" ] || return 0
  on systemctl poweroff >/dev/null 2>&1
  timeout 60 tail --pid="$started" -f /dev/null || kill -9 "$machine"
  machine=
  find "$groups" -depth -type d -exec rmdir {} \; 2>/dev/null
}
trap 'halt; rm -rf --one-file-system "$work"' EXIT
eventually() { # SECONDS COMMAND…
  tries=$(($1 * 2))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { "$@"; return 1; }
    sleep 0.5
  done
}
fresh() {
  eventually 60 on microceph mesh status || return 1
  on microceph mesh status --format json | grep -q '"state": *"fresh"' || return 1
  # Of all that listens only the lobby (7443/tcp) and mDNS (5353/udp) are its own.
  open=$(on ss -Hltunp | grep '"node' | sed 's/^\([a-z]*\) .*:\([0-9]*\) .*:.*users.*/\2\/\1/' | sort -u | tr '\n' ' ')
  [ "$open" = "5353/udp 7443/tcp " ] || { echo "open: $open"; return 1; }
  ! on pgrep -l '^ceph-(mon|mgr|osd|mds)' && ! on pgrep -fl '^etcd --name=node1'
}
cluster() {
  on microceph cluster bootstrap || return 1
  # The tree shares its disk with whatever else is on this machine.
  on microceph cluster config set mon_data_avail_warn 1 --section mon || return 1
  on microceph disk add loop,1G,3 || return 1
  on microceph pool create data || return 1
  healthy && on sh -c 'echo kept >/root/object && rados -p data put object /root/object'
}
healthy() { eventually 180 healthy_now || { on ceph health detail; return 1; }; }
healthy_now() { on ceph health | grep -q HEALTH_OK && on ceph osd stat | grep -q '3 up'; }
kept() { [ "$(on rados -p data get object -)" = kept ]; }
# One service for each of Ceph's daemons, each with a control group of its own.
services() {
  active=$(on systemctl list-units --plain --no-legend --state=active 'microceph-*@*.service')
  for unit in mon@ mgr@ osd@0.service osd@1.service osd@2.service; do
    case "$active" in *"microceph-$unit"*) ;; *) echo "no microceph-$unit among: $active"; return 1 ;; esac
  done
  on grep -l 'microceph.slice/microceph-osd@1.service' "/proc/$(on pgrep -f 'ceph-osd -f -i 1 ')/cgroup" || return 1
  ! on sh -c 'cat /sys/fs/cgroup/system.slice/microcephd.service/cgroup.procs | xargs ps -o args= -p' | grep '^ceph-'
}
# One that is taken away beside us is put back.
service_stopped() {
  on systemctl stop microceph-osd@2.service || return 1
  eventually 60 on systemctl is-active microceph-osd@2.service && healthy
}
osd_killed() {
  before=$(on pgrep -f 'ceph-osd -f -i 1 ')
  on kill -9 "$before" || return 1
  eventually 60 other_osd && healthy && kept
}
other_osd() { now=$(on pgrep -f 'ceph-osd -f -i 1 ') && [ "$now" != "$before" ]; }
daemon_restarted() {
  before=$(on pgrep -d, '^ceph-')
  on systemctl restart microcephd || return 1
  eventually 60 on microceph status || return 1
  [ "$(on pgrep -d, '^ceph-')" = "$before" ] && kept
}
rebooted() {
  halt
  boot && healthy && kept
}
# As its own parser takes it: this machine's kernel may be without AppArmor.
profile_parses() {
  inside apt-get install -y --no-install-recommends apparmor || return 1
  dpkg-deb --fsys-tarfile "$deb" | tar -xO ./etc/apparmor.d/microcephd >"$tree/root/profile" || return 1
  inside apparmor_parser --skip-kernel-load --skip-cache /root/profile
}
stopped() {
  on apt-get remove -y microceph-mesh || return 1
  ! on pgrep -l '^ceph-(mon|mgr|osd|mds)|^node' && ! on systemctl list-units --plain --no-legend 'microceph*' | grep .
}

for release in ${*:-bookworm trixie}; do
  say "a clean tree of Debian $release"
  rm -rf --one-file-system "$tree"
  if ! debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,procps "$release" "$tree" "$archive" >"$work/said" 2>&1; then
    failed=$((failed + 1))
    tail -5 "$work/said"
    continue
  fi
  cp -a /etc/apt/apt.conf.d/. "$tree/etc/apt/apt.conf.d/"
  : >"$tree/etc/machine-id"
  cp "$deb" "$tree/root/microceph.deb"
  inside apt-get update >/dev/null 2>&1
  state=$tree/var/lib/microceph
  # The machine has no way to the archive: what it will install is there before.
  check "$release: finds all it depends on" inside apt-get install -y --no-install-recommends --download-only /root/microceph.deb
  check "$release: boots" boot
  [ -n "$machine" ] || continue
  check "$release: installs in one step" on apt-get install -y --no-install-recommends /root/microceph.deb
  on test -x /usr/bin/microceph || {
    halt
    continue
  }
  check "$release: names its versions" sh -c "chroot '$tree' microceph --version | grep -q '^ceph 1[0-9]\.'"
  check "$release: has its manual pages" test -s "$tree/usr/share/man/man8/microcephd.8.gz"
  check "$release: is enabled for the boot" on systemctl is-enabled microcephd
  check "$release: runs at once, fresh and harmless" fresh
  check "$release: becomes a cluster with three OSDs, HEALTH_OK" cluster
  check "$release: runs each daemon of Ceph as a service" services
  check "$release: has an OSD back that was killed" osd_killed
  check "$release: has an OSD back whose service was stopped" service_stopped
  check "$release: leaves Ceph's daemons alone when it is restarted" daemon_restarted
  check "$release: has everything back after a reboot" rebooted
  check "$release: stops all it runs when it is removed" stopped
  check "$release: leaves no link behind" absent "$tree/etc/ceph/ceph.conf"
  check "$release: leaves no program behind" absent "$tree/usr/lib/microceph-mesh"
  check "$release: keeps its state when it is removed" test -s "$state/state.db"
  check "$release: is purged" on apt-get purge -y microceph-mesh
  check "$release: keeps its state when it is purged" test -s "$state/state.db"
  check "$release: leaves no settings behind" absent "$tree/etc/default/microcephd"
  check "$release: leaves no AppArmor profile behind" absent "$tree/etc/apparmor.d/local/microcephd"
  check "$release: installs again" on apt-get install -y --no-install-recommends /root/microceph.deb
  check "$release: is purged with its data when asked" on env MICROCEPH_PURGE_DATA=yes apt-get purge -y microceph-mesh
  check "$release: leaves nothing behind then" absent "$state"
  halt
  check "$release: has an AppArmor profile that parses" profile_parses
done

# The package for npm is on this machine, below a folder of its own.
tgz=$(ls "$(dirname "$deb")"/microceph-mesh-*.tgz 2>/dev/null | head -1)
if [ -n "$tgz" ]; then
  prefix=$work/npm
  check "npm: installs in one step" npm install --global --prefix "$prefix" "$tgz"
  check "npm: names its versions" sh -c "'$prefix/bin/microceph' --version | grep -q '^microceph-mesh [0-9]'"
  check "npm: has both programs" "$prefix/bin/microcephd" --help
  check "npm: is removed" npm uninstall --global --prefix "$prefix" microceph-mesh
  check "npm: leaves no program behind" absent "$prefix/bin/microceph"
fi

# A kernel of its own, which is started and cut off: as this release of Debian, in a virtual machine.
if [ $# = 0 ]; then
  sh "$root/scripts/setup.sh" --quiet --with-vm
  say "a virtual machine"
  if MICROCEPH_TRIAL_DEB=$deb sh "$root/scripts/run.sh" "$root/node_modules/vitest/vitest.mjs" run --root "$root" --project package; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
