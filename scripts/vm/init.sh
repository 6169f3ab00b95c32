#!/bin/busybox sh
# First program of the virtual machine: shows it the host's own tree, read-only beneath a tmpfs, so that no disk
# image has to be built, and hands over to what the kernel's command line names as agent=PATH (a script of the host's tree).
b=/bin/busybox
$b mkdir -p /host /upper /new
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b ln -sf /bin/busybox /bin/modprobe
for file in $($b find /lib/modules -name '*.ko'); do
  name=${file##*/}
  /bin/modprobe "${name%.ko}" 2>/dev/null
done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 hostroot /host || { echo "no host tree"; $b poweroff -f; }
$b mount -t tmpfs -o size=1024m tmpfs /upper
$b mkdir /upper/u /upper/w
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/u,workdir=/upper/w overlay /new
# Programs ask for modules by the running kernel's name; all are loaded already.
$b mkdir -p "/new/lib/modules/$($b uname -r)"
$b cp -a "/lib/modules/$($b uname -r)/." "/new/lib/modules/$($b uname -r)/"
for folder in run tmp var/lib/microceph etc/ceph var/tmp; do
  $b mkdir -p "/new/$folder"
  $b mount -t tmpfs -o mode=755 tmpfs "/new/$folder"
done
$b chmod 1777 /new/tmp
$b mount --move /dev /new/dev
$b mkdir -p /new/dev/pts /new/dev/shm
$b mount -t devpts devpts /new/dev/pts
$b mount -t tmpfs tmpfs /new/dev/shm
for word in $($b cat /proc/cmdline); do
  case "$word" in agent=*) agent=${word#agent=} ;; esac
done
# A checkout below one of the folders that are empty here is shown there again.
checkout=${agent%/scripts/vm/agent.sh}
if [ ! -e "/new$agent" ]; then
  $b mkdir -p "/new$checkout" /upper/cu /upper/cw
  $b mount -t overlay -o "lowerdir=/host$checkout,upperdir=/upper/cu,workdir=/upper/cw" overlay "/new$checkout"
fi
$b mount --move /sys /new/sys
$b mount --move /proc /new/proc
# switch_root keeps this process as number 1.
exec $b switch_root /new /bin/bash "$agent" </dev/console >/dev/console 2>&1
