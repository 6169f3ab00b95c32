#!/bin/sh
# What udev does on a real host, as far as a lab needs it: the files in /dev of the partitions of this node's
# disks, as the kernel makes and forgets them. Runs in the node; the kernel's own words about devices are not to
# be had by a shell, so it looks five times a second.
set -u
known=/run/lab-udev
mkdir -p "$known"
while :; do
  for file in /sys/devices/virtual/block/loop*/loop*p*/dev; do
    [ -e "$file" ] || continue
    name=${file%/dev}
    name=${name##*/}
    disk=${name%p*}
    # Another node's.
    [ -e "/sys/class/block/$disk" ] || continue
    read -r number <"$file" || continue
    had=
    if [ -e "$known/$name" ]; then read -r had <"$known/$name"; fi
    if [ "$had" = "$number" ] && [ -e "/dev/$name" ]; then continue; fi
    for folder in block class/block; do
      up=../..
      if [ "$folder" = block ]; then up=..; fi
      ln -sfn "$up/devices/virtual/block/$disk/$name" "/sys/$folder/$name"
    done
    rm -f "/dev/$name"
    mknod -m 660 "/dev/$name" b "${number%:*}" "${number#*:}"
    echo "$number" >"$known/$name"
  done
  for file in "$known"/*; do
    name=${file##*/}
    [ -e "/sys/devices/virtual/block/${name%p*}/$name" ] && continue
    rm -f "$file" "/dev/$name" "/sys/block/$name" "/sys/class/block/$name"
  done
  sleep 0.2
done
