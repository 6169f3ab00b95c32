#!/bin/sh
# npm run test:snap [-- vitest arguments]: the snap on three hosts of the lab, then with a real snapd in a virtual machine
# MICROCEPH_TRIAL_SNAP: an image that is there already; else it is built. Needs root, and Debian's archive the first time.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
[ "$(id -u)" = 0 ] || {
  echo "Error: the image is mounted by root [NEEDS_ROOT]" >&2
  exit 3
}
sh "$root/scripts/setup.sh" --quiet --with-vm
command -v debootstrap >/dev/null 2>&1 || apt-get install -y --no-install-recommends debootstrap >/dev/null
[ -n "${MICROCEPH_TRIAL_SNAP:-}" ] || sh "$root/scripts/package.sh" snap
cd "$root"
exec sh scripts/run.sh node_modules/vitest/vitest.mjs run --project snap "$@"
