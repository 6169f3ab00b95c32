#!/bin/sh
# Makes what a virtual machine of ours boots from: a kernel and a small initramfs, in CACHE.
#   prepare.sh [--check] CACHE     --check: only tell by the exit code whether it is there
# The kernel is the distribution's, unpacked and never installed. Nothing to do takes a few hundredths of a second.
# Exit 0 ready, 1 a step failed, 3 this machine cannot have it (no Debian kernel for its processor).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
check=no
if [ "$1" = --check ]; then
  check=yes
  shift
fi
cache=$1
arch=$(dpkg --print-architecture 2>/dev/null || echo unknown)
fail() { # CODE EXIT TEXT
  echo "Error: $3 [$1]" >&2
  exit "$2"
}

# What changes the image makes another stamp.
stamp=$(cat "$here/prepare.sh" "$here/init.sh" "$here/modules.txt" | sha256sum)
stamp=${stamp%% *}
if [ -f "$cache/stamp" ] && [ "$(cat "$cache/stamp")" = "$stamp" ]; then exit 0; fi
if [ $check = yes ]; then exit 1; fi

[ "$arch" = amd64 ] || fail MISSING_PROGRAM 3 "the virtual machine needs an amd64 host, this is $arch"
for program in qemu-system-x86_64 busybox cpio depmod; do
  command -v $program >/dev/null || fail MISSING_PROGRAM 3 "$program is missing; run: npm run setup -- --with-vm"
done
image=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
[ -n "$image" ] || fail MISSING_PROGRAM 3 "the distribution has no package linux-image-amd64"

mkdir -p "$cache"
work=$(mktemp -d "$cache/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
echo "setup: fetching $image for the virtual machine (70 MB, unpacked only)"
# apt drops its privileges for a download, and needs a folder that it may write to.
chmod 755 "$work"
(cd "$work" && apt-get -q download "$image" >apt.log 2>&1) || {
  tail -n 3 "$work/apt.log" >&2
  fail PROGRAM_FAILED 1 "apt-get download $image failed"
}
mkdir "$work/kernel"
dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
version=$(ls "$work/kernel/lib/modules")
depmod -b "$work/kernel" "$version"

# The initramfs: busybox, init, and the modules that it loads, each with what it needs.
root=$work/initramfs
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init.sh" "$root/init"
chmod 755 "$root/init"
# shellcheck disable=SC2013
for module in $(cat "$here/modules.txt"); do
  # One that is built in has no file.
  modprobe -d "$work/kernel" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*$/\1/p'
done | sort -u | while read -r file; do
  inside=lib/modules${file#*/lib/modules}
  mkdir -p "$root/$(dirname "$inside")"
  cp "$file" "$root/$inside"
done
cp "$work/kernel/lib/modules/$version"/modules.* "$root/lib/modules/$version/"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initramfs.gz"
mv "$work/initramfs.gz" "$cache/initramfs.gz"
mv "$work/kernel/boot/vmlinuz-$version" "$cache/vmlinuz"
echo "$stamp" >"$cache/stamp.new"
mv "$cache/stamp.new" "$cache/stamp"
