#!/bin/sh
# Make the Python programs of a staged tree run there: python.sh TREE
# They are found by their interpreter through PATH, and their modules are compiled: the snap is read-only.
set -eu
tree=$1
for folder in usr/bin usr/sbin; do
  { grep -lE '^#! ?/usr/bin/python3' "$tree/$folder"/* 2>/dev/null || true; } | while read -r program; do
    sed -i '1s|.*|#!/usr/bin/env python3|' "$program"
  done
done
libraries=$(echo "$tree"/usr/lib/*-linux-gnu* "$tree"/lib/*-linux-gnu* | tr ' ' :)
cd "$tree"
# Some modules are for other versions of Python, and no harm.
LD_LIBRARY_PATH=$libraries PYTHONHOME=$tree/usr "$tree/usr/bin/python3" -m compileall -q -j 0 \
  --invalidation-mode unchecked-hash usr/lib/python3* usr/share/ceph/mgr >/dev/null || true
