#!/bin/sh
# Run a command as root of "the machine", for users who are not root: machine.sh COMMAND [ARG…]
#
# The machine is one user, mount, network, IPC and PID namespace for all labs of one lab root; this user is its
# only uid and root in it, so the lab's own code runs there as it does for root. The first command makes it, and
# it ends when no lab is left and nobody is inside (machine-init.sh). Exit 3 when the kernel refuses.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
root=${MICROCEPH_LAB_ROOT:-${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/microceph-lab}
case "$root" in /*) ;; *) root=$PWD/$root ;; esac

refuse() {
  echo "Error: without root the lab needs user namespaces, and $1; allow that or run it as root [NEEDS_ROOT]" >&2
  exit 3
}
for program in unshare nsenter setpriv flock; do
  command -v "$program" >/dev/null 2>&1 || {
    echo "Error: $program is not installed (package util-linux) [MISSING_PROGRAM]" >&2
    exit 3
  }
done

# Held shared as long as anyone is inside. A machine that ends takes the file away with it: look again.
while :; do
  (mkdir -p "$root" && : >>"$root/.machine") 2>/dev/null || {
    echo "Error: $root cannot be written; set MICROCEPH_LAB_ROOT to a folder of yours [NEEDS_ROOT]" >&2
    exit 3
  }
  exec 9>>"$root/.machine"
  flock --shared 9
  if [ "$(stat -Lc %d:%i "$root/.machine" 2>/dev/null)" = "$(stat -Lc %d:%i /proc/self/fd/9)" ]; then break; fi
done

# The pid of its init, by which it is entered; a pid with another start time is somebody else's.
running() {
  pid=
  read -r pid start <"$root/.machine" || return 1
  [ -r "/proc/$pid/stat" ] || return 1
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ $# -ge 20 ] || return 1
  shift 19
  [ "$1" = "$start" ]
}

if ! running; then
  exec 8<"$root"
  flock 8
  if ! running; then
    # The first child after unsharing the PID namespace is its init. It takes none of our locks with it.
    said=$(unshare --user --map-root-user --mount --net --ipc --pid \
      sh -c 'setsid sh "$@" 8<&- 9>&- &' sh "$here/machine-init.sh" "$root" 2>&1) || true
    case "$said" in
      *ready) ;;
      *) refuse "this kernel refuses them ($(printf %s "${said:-no answer}" | tail -n 1))" ;;
    esac
    running || refuse "the new one is gone already"
  fi
  exec 8<&-
fi

MICROCEPH_LAB_ROOT=$root
MICROCEPH_LAB_ROOTLESS=1
export MICROCEPH_LAB_ROOT MICROCEPH_LAB_ROOTLESS
# A command inside ends with us, as it would without a machine.
exec nsenter --target "$pid" --user --preserve-credentials --mount --net --ipc --pid -- \
  setpriv --pdeathsig TERM sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@"
