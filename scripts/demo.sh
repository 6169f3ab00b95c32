#!/bin/sh
# npm run demo [-- --nodes N] [-- --name LAB]: see scripts/demo.ts
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/setup.sh" --quiet
NODE_COMPILE_CACHE="$here/../node_modules/.cache/compile"
export NODE_COMPILE_CACHE
set -- sh "$here/run.sh" "$here/demo.ts" "$@"
if [ "$(id -u)" != 0 ]; then exec sh "$here/lab/machine.sh" "$@"; fi
exec "$@"
