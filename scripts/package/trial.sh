#!/bin/sh
# npm run test:package [RELEASE…]: the Debian package on clean trees of Debian (bookworm, trixie unless told otherwise):
# installed, a node of its own with three OSDs to HEALTH_OK, removed, purged. Last line: N passed, N failed, 0 skipped
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
# Whatever runs in the tree ends with its own process namespace; mounts go with theirs.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

deb=${MICROCEPH_TRIAL_DEB:-}
if [ -z "$deb" ]; then
  sh "$root/scripts/package.sh" || exit 1
  deb=$(ls "$root"/dist/packages/microceph-mesh_*.deb)
fi

# Programs in the tree: `inside` with the machine's network (for the archive), `alone` with none but its own.
inside() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
alone() { unshare --mount --pid --net --uts --ipc --fork --kill-child --mount-proc="$tree/proc" sh "$root/scripts/package/alone.sh" "$tree" "$1"; }
absent() { ! [ -e "$1" ] && ! [ -h "$1" ]; }

for release in ${*:-bookworm trixie}; do
  say "a clean tree of Debian $release"
  rm -rf --one-file-system "$tree"
  if ! debootstrap --variant=minbase "$release" "$tree" "$archive" >"$work/said" 2>&1; then
    failed=$((failed + 1))
    tail -5 "$work/said"
    continue
  fi
  cp -a /etc/apt/apt.conf.d/. "$tree/etc/apt/apt.conf.d/"
  # As in any container: nothing is started by an installation.
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  cp "$deb" "$tree/tmp/microceph.deb"
  inside apt-get update >/dev/null 2>&1
  state=$tree/var/lib/microceph
  check "$release: installs in one step" inside apt-get install -y --no-install-recommends /tmp/microceph.deb iproute2 procps
  check "$release: names its versions" sh -c "chroot '$tree' microceph --version | grep -q '^ceph 1[0-9]\.'"
  check "$release: has its manual pages" test -s "$tree/usr/share/man/man8/microcephd.8.gz"
  check "$release: is enabled for the boot" test -h "$tree/etc/systemd/system/multi-user.target.wants/microcephd.service"
  check "$release: waits fresh and harmless" alone fresh
  check "$release: becomes a cluster with three OSDs, HEALTH_OK, data kept over a restart" alone cluster
  check "$release: is removed" inside apt-get remove -y microceph-mesh
  check "$release: leaves no link behind" absent "$tree/etc/ceph/ceph.conf"
  check "$release: leaves no program behind" absent "$tree/usr/lib/microceph-mesh"
  check "$release: keeps its state when it is removed" test -s "$state/state.db"
  check "$release: is purged" inside apt-get purge -y microceph-mesh
  check "$release: keeps its state when it is purged" test -s "$state/state.db"
  check "$release: leaves no settings behind" absent "$tree/etc/default/microcephd"
  check "$release: installs again" inside apt-get install -y --no-install-recommends /tmp/microceph.deb
  check "$release: is purged with its data when asked" inside env MICROCEPH_PURGE_DATA=yes apt-get purge -y microceph-mesh
  check "$release: leaves nothing behind then" absent "$state"
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

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
