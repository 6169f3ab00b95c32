#!/bin/sh
# npm run sim -- [--nodes N] [--hours H] [--seed S] …: see docs/how-to/simulate.md
set -eu
here=$(dirname "$0")
exec sh "$here/run.sh" "$here/../test/sim/command/main.ts" "$@"
