#!/bin/sh
# Run a script or tool with the pinned Node of this checkout: run.sh FILE [ARG…]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
case "$(uname -m)" in
  x86_64) platform=x64 ;;
  aarch64) platform=arm64 ;;
  *) echo "Error: no pinned Node for $(uname -m) [MISSING_PROGRAM]" >&2; exit 3 ;;
esac
node="$root/node_modules/node-linux-$platform/bin/node"
if [ ! -x "$node" ]; then
  echo "Error: the pinned Node is missing; run: npm run setup [MISSING_PROGRAM]" >&2
  exit 3
fi
exec "$node" "$@"
