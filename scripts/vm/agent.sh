#!/bin/bash
# Number 1 of the virtual machine after init.sh: carries out what comes in on the control port, one command after
# the other, and answers. A request is a line "ID BASE64(command)", a reply "ID EXITCODE BASE64(output)".
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
for word in $(cat /proc/cmdline); do
  case "$word" in hostname=*) hostname "${word#hostname=}" ;; esac
done
ip link set lo up
for name in /sys/class/virtio-ports/*/name; do
  if [ "$(cat "$name")" = control ]; then
    port=${name%/name}
    port=/dev/${port##*/}
  fi
done
exec 3<>"$port"
echo "ready 0 " >&3
while read -r id text <&3; do
  command=$(printf '%s' "$text" | base64 -d)
  if [ "$command" = poweroff ]; then
    echo "$id 0 " >&3
    sync
    break
  fi
  # What it leaves in the background keeps no pipe of ours open: output goes through a file.
  setsid bash -c "$command" </dev/null >/tmp/.output 2>&1
  code=$?
  printf '%s %s %s\n' "$id" "$code" "$(head -c 1000000 /tmp/.output | base64 -w0)" >&3
done
exec /bin/busybox poweroff -f
