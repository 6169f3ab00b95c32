#!/bin/sh
# npm run setup: bring what is missing, and say so: Debian packages (no service is started), npm packages, the
# pinned Node, the built programs. Nothing to do takes a few hundredths of a second; runs beside each other wait.
#   --quiet             say nothing when nothing is missing
#   --without-packages  leave the Debian packages alone (no root needed)
#   --without-build     leave dist/ alone
#   --with-clients      also the S3 clients, browser and Prometheus that the lab tests use
#   --with-vm           also what the tests in a virtual machine need: QEMU, and a kernel that is only unpacked
# Exit 0 ready, 1 a step failed, 2 usage, 3 something is needed first (root, apt-get, npm).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH
quiet=no
with_packages=yes
with_build=yes
with_clients=no
with_vm=no
for argument in "$@"; do
  case "$argument" in
    --quiet) quiet=yes ;;
    --without-packages) with_packages=no ;;
    --without-build) with_build=no ;;
    --with-clients) with_clients=yes ;;
    --with-vm) with_vm=yes ;;
    *)
      echo "Error: setup takes --quiet, --without-packages, --without-build, --with-clients and --with-vm, not \"$argument\" [USAGE]" >&2
      exit 2
      ;;
  esac
done

say() { echo "setup: $*"; }
fail() { # CODE EXIT TEXT
  echo "Error: $3 [$1]" >&2
  exit "$2"
}

# PROGRAM PACKAGE: a package is missing when its program, or file, is.
programs='
ceph-mon ceph-mon
ceph-mgr ceph-mgr
ceph-osd ceph-osd
ceph-mds ceph-mds
radosgw radosgw
haproxy haproxy
keepalived keepalived
curl curl
openssl openssl
ceph ceph-common
etcd etcd-server
etcdctl etcd-client
ip iproute2
ping iputils-ping
unshare util-linux
losetup mount
sfdisk fdisk
pkill procps
nft nftables
avahi-daemon avahi-daemon
avahi-browse avahi-utils
dbus-daemon dbus
modprobe kmod
mkfs.ext4 e2fsprogs
faketime faketime
'

client_programs='
s3cmd s3cmd
rclone rclone
/usr/bin/aws awscli
swift python3-swiftclient
chromium chromium
prometheus prometheus
ceph-fuse ceph-fuse
rbd-mirror rbd-mirror
cephfs-mirror cephfs-mirror
ganesha.nfsd nfs-ganesha
/usr/lib/*/ganesha/libfsalceph.so nfs-ganesha-ceph
nfs-cat libnfs-utils
/usr/share/ceph/mgr/dashboard/module.py ceph-mgr-dashboard
'

vm_programs='
qemu-system-x86_64 qemu-system-x86
busybox busybox-static
cpio cpio
udevadm udev
multipath multipath-tools
'

# A virtual machine is emulated for one kind of processor only.
[ "$(uname -m)" = x86_64 ] || with_vm=no

missing_packages() {
  wanted_programs=$programs
  if [ $with_clients = yes ]; then wanted_programs="$wanted_programs$client_programs"; fi
  if [ $with_vm = yes ]; then wanted_programs="$wanted_programs$vm_programs"; fi
  # shellcheck disable=SC2086
  set -- $wanted_programs
  while [ $# -gt 0 ]; do
    case "$1" in
      /*) [ -e "$1" ] || printf '%s ' "$2" ;;
      *) command -v "$1" >/dev/null 2>&1 || printf '%s ' "$2" ;;
    esac
    shift 2
  done
  # The pinned Node is linked against it.
  for library in /usr/lib/*/libatomic.so.1 /lib/*/libatomic.so.1 /usr/lib*/libatomic.so.1; do
    if [ -e "$library" ]; then return; fi
  done
  printf 'libatomic1 '
}

stamp=node_modules/.microceph-setup

npm_is_current() {
  [ -f "$stamp" ] || return 1
  read -r known <"$stamp" || return 1
  hash=$(sha256sum package-lock.json) && [ "${hash%% *}" = "$known" ]
}

node_runs() { sh scripts/run.sh -e 0 2>/dev/null; }

build_is_current() {
  [ $with_build = yes ] || return 0
  [ -f dist/.built ] && [ -f dist/microceph.cache ] && [ -f dist/microcephd.cache ] &&
    [ -z "$(find src scripts/build scripts/build.ts package.json package-lock.json -newer dist/.built -print -quit)" ]
}

vm_cache=node_modules/.cache/vm

vm_is_current() { [ $with_vm = no ] || sh scripts/vm/prepare.sh --check "$vm_cache"; }

ready() {
  { [ $with_packages = no ] || [ -z "$(missing_packages)" ]; } && npm_is_current && build_is_current && vm_is_current
}

install_packages() {
  wanted=$(missing_packages)
  [ -n "$wanted" ] || return 0
  wanted=${wanted% }
  command -v apt-get >/dev/null 2>&1 ||
    fail MISSING_PROGRAM 3 "these packages are needed, and there is no apt-get to install them: $wanted"
  [ "$(id -u)" = 0 ] || fail NEEDS_ROOT 3 "these packages are needed; install them or run as root: $wanted"
  say "installing Debian packages (all of them take about a minute; no service is started): $wanted"
  # One at a time on this machine, for the sake of policy-rc.d.
  exec 8>/run/lock/microceph-setup.lock
  command -v flock >/dev/null 2>&1 && flock 8
  policy=/usr/sbin/policy-rc.d
  mark='# MicroCeph Mesh setup: start no service while packages are installed'
  # One with our mark was left by a run that was killed.
  if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy.new"
    chmod 755 "$policy.new"
    mv "$policy.new" "$policy"
  fi
  log=$(mktemp)
  apt='apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -q'
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  if ! $apt update >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail PROGRAM_FAILED 1 "apt-get update failed; the whole output is in $log"
  fi
  # Before Debian 11 and Ubuntu 22.04 the server and its client were one package.
  chosen=
  for package in $wanted; do
    case "$package" in
      etcd-server | etcd-client) apt-cache show "$package" >/dev/null 2>&1 || package=etcd ;;
    esac
    chosen="$chosen $package"
  done
  # shellcheck disable=SC2086
  if ! $apt install -y --no-install-recommends $chosen >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail PROGRAM_FAILED 1 "apt-get install failed; the whole output is in $log"
  fi
  rm -f "$log"
  if [ -e "$policy" ] && grep -qF "$mark" "$policy"; then rm -f "$policy"; fi
  trap - EXIT HUP INT TERM
  exec 8>&-
  left=$(missing_packages)
  [ -z "$left" ] || fail MISSING_PROGRAM 1 "still missing after the installation: $left"
}

install_npm() {
  npm_is_current && return 0
  # An installation by hand counts if it is complete and younger than the lock file.
  if [ ! -f "$stamp" ] && [ node_modules/.package-lock.json -nt package-lock.json ] && node_runs; then :; else
    command -v npm >/dev/null 2>&1 || fail MISSING_PROGRAM 3 "npm is needed (Node 20 or later)"
    say "installing npm packages and the pinned Node"
    rm -f "$stamp"
    npm ci --no-audit --no-fund --loglevel=error 1>&2 ||
      fail PROGRAM_FAILED 1 "npm ci failed; are the package registries reachable?"
  fi
  node_runs || {
    sh scripts/run.sh -e 0 || true
    fail MISSING_PROGRAM 3 "the pinned Node does not run here (it needs glibc and libatomic.so.1)"
  }
  hash=$(sha256sum package-lock.json)
  echo "${hash%% *}" >"$stamp"
}

build() {
  build_is_current && return 0
  say "building dist/"
  sh scripts/run.sh scripts/build.ts --quiet || fail PROGRAM_FAILED 1 "the build failed"
}

if ready; then
  [ $quiet = yes ] || say "everything is in place"
  exit 0
fi
# The kernel frees the lock when we end in whatever way.
exec 9<"$root/scripts/setup.sh"
if command -v flock >/dev/null 2>&1; then flock 9; fi
if [ $with_packages = yes ]; then install_packages; fi
install_npm
build
vm_is_current || sh scripts/vm/prepare.sh "$vm_cache"
say "ready"
