#!/bin/sh
# npm run demo [-- --nodes N] [-- --name LAB]: see scripts/demo.ts
set -eu
here=$(dirname "$0")
sh "$here/setup.sh" --quiet
NODE_COMPILE_CACHE="$here/../node_modules/.cache/compile"
export NODE_COMPILE_CACHE
exec sh "$here/run.sh" "$here/demo.ts" "$@"
