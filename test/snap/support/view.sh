#!/bin/sh
# Run an app of the snap on a host of the lab as snapd would, as far as that goes without it: the base as the root, the
# image below /snap, layouts as bind mounts, and nothing of the caller's environment. There is no confinement.
#   view.sh VIEW APP [ARG…]
# VIEW has base/ and image/ (trees), layout (lines "PLACE SOURCE"), environment ("NAME=VALUE"), apps ("APP COMMAND").
# The app `daemon` makes the view of this host when there is none; the others, and a shell as `sh`, enter it.
set -eu
view=$1 app=$2
shift 2
holder=/run/snap-view.pid
common=/var/snap/microceph/common

alive() { [ -e "$holder" ] && read -r pid <"$holder" && [ "$(readlink "/proc/$pid/root")" = /run/snap-view/root ]; }

# In a mount namespace of its own.
make() {
  mount --make-rprivate /
  mkdir -p /run/snap-view
  mount -t tmpfs -o mode=755 tmpfs /run/snap-view
  mkdir /run/snap-view/upper /run/snap-view/work /run/snap-view/root
  root=/run/snap-view/root
  mount -t overlay -o "lowerdir=$view/base,upperdir=/run/snap-view/upper,workdir=/run/snap-view/work" overlay "$root"
  for folder in dev proc sys etc tmp; do mount --rbind "/$folder" "$root/$folder"; done
  mkdir -p "$root/run" && mount --bind /run "$root/run"
  mkdir -p "$root/snap/microceph/x1" "$root$common/state" "$root/var/snap/microceph/x1"
  mount --bind "$view/image" "$root/snap/microceph/x1"
  ln -s x1 "$root/snap/microceph/current"
  ln -s x1 "$root/var/snap/microceph/current"
  mount --bind /var/lib/microceph "$root$common/state"
  mkdir -p "$root$common/state/conf" "$root$common/state/logs"
  cp "$view/ceph-extra.conf" "$root$common/"
  cp --remove-destination "$view/snapctl" "$root/usr/bin/snapctl"
  while read -r place source; do
    mkdir -p "$root$place" "$root$source"
    mount --bind "$root$source" "$root$place"
  done <"$view/layout"
  exec chroot "$root" sleep 2147483647
}

if [ "$app" = make ]; then make; fi
if [ "$app" = daemon ]; then
  if ! alive; then
    setsid unshare --mount "$0" "$view" make </dev/null >&2 &
    echo "$!" >"$holder"
    until alive; do
      kill -0 "$!" || exit 1
      sleep 0.05
    done
  fi
  # The lab's own words for where things lie.
  set -- --state-dir "$common/state" --extra-ceph-config "$common/ceph-extra.conf"
fi
alive || { echo "the snap does not run here" >&2; exit 1; }
command=$(sed -n "s|^$app ||p" "$view/apps")
[ -n "$command" ] || { echo "the snap has no app $app" >&2; exit 1; }
case "$command" in /*) ;; *) command=/snap/microceph/x1/$command ;; esac
# shellcheck disable=SC2046
exec nsenter --target "$pid" --mount --root --wd -- env -i $(cat "$view/environment") "$command" "$@"
