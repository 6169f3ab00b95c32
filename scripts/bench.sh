#!/bin/sh
# npm run bench -- NAME… [--runs N] [--json FILE]: see test/bench/main.ts
set -eu
here=$(dirname "$0")
sh "$here/setup.sh" --quiet >&2
exec sh "$here/run.sh" "$here/../test/bench/main.ts" "$@"
