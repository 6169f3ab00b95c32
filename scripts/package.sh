#!/bin/sh
# npm run package [-- --all | snap [--lint]]: build what is given to others into dist/packages: see docs/how-to/install.md
set -eu
here=$(dirname "$0")
command -v dpkg-deb >/dev/null 2>&1 || {
  echo "Error: dpkg-deb is needed to build packages: apt-get install dpkg [MISSING_PROGRAM]" >&2
  exit 3
}
sh "$here/setup.sh" --quiet --without-packages
if [ "${1:-}" = snap ]; then
  shift
  exec sh "$here/run.sh" "$here/package-snap.ts" "$@"
fi
exec sh "$here/run.sh" "$here/package.ts" "$@"
