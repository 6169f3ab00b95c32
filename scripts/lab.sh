#!/bin/sh
# npm run -s lab -- VERB …: see scripts/lab/lab-arguments.ts
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# Only what starts a daemon needs it built: a lab can be looked at and stopped whatever the sources are like.
build=--without-build
for word in "$@"; do
  case "$word" in
    up | add | start) build= ;;
    --) break ;;
  esac
done
if [ -n "${MICROCEPH_LAB_DAEMON:-}" ]; then build=--without-build; fi
# shellcheck disable=SC2086
sh "$here/setup.sh" --quiet $build >&2
# Halves the time that each command takes to start.
NODE_COMPILE_CACHE="$here/../node_modules/.cache/compile"
export NODE_COMPILE_CACHE
set -- sh "$here/run.sh" "$here/lab.ts" "$@"
case "${4:-help}" in
  help | -h | --help) exec "$@" ;;
esac
if [ "$(id -u)" != 0 ]; then exec sh "$here/lab/machine.sh" "$@"; fi
exec "$@"
