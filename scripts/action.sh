#!/bin/sh
# What action.yml runs, as root: a Ceph of this machine alone with three OSDs, one S3 gateway with TLS, a user and a
# bucket. Writes microceph.source into the working directory, and its path to $GITHUB_OUTPUT (if there is one).
#   MICROCEPH_ACCESS_KEY, MICROCEPH_SECRET_KEY, MICROCEPH_BUCKET, MICROCEPH_OSD_SIZE: action.yml
#   MICROCEPH_STATE_DIR: its state (/var/lib/microceph)
# Exit 0 ready, 1 a step failed, 2 usage, 3 something is needed first.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
state=${MICROCEPH_STATE_DIR:-/var/lib/microceph}
access=${MICROCEPH_ACCESS_KEY:-access_key}
secret=${MICROCEPH_SECRET_KEY:-secret_key}
bucket=${MICROCEPH_BUCKET:-testbucket}
size=${MICROCEPH_OSD_SIZE:-5G}

say() { echo "microceph: $*"; }
fail() { # CODE EXIT TEXT
  echo "Error: $3 [$1]" >&2
  exit "$2"
}
# Earlier versions of MicroCeph's action took the bucket as a URL.
bucket=${bucket#s3://}
matches() { printf '%s' "$1" | grep -qxE "$2"; }
matches "$bucket" '[a-z0-9][a-z0-9.-]{2,62}' || fail USAGE 2 "\"$bucket\" is no name of a bucket"
matches "$size" '[1-9][0-9]{0,4}[MGT]' || fail USAGE 2 "\"$size\" is no size of an OSD: 5G"
for key in "$access" "$secret"; do
  matches "$key" '[A-Za-z0-9/+_=.-]{3,128}' || fail USAGE 2 "keys are of letters, digits and / + _ = . -"
done
[ "$(id -u)" = 0 ] || fail MISSING_ROOT 3 "this needs root"

missing=
for pair in ceph-mon:ceph-mon ceph-mgr:ceph-mgr ceph-osd:ceph-osd ceph-mds:ceph-mds ceph:ceph-common radosgw:radosgw \
  etcd:etcd-server etcdctl:etcd-client openssl:openssl curl:curl; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
  say "installing$missing"
  # Nothing is started by their installation: this product runs its own.
  policy=/usr/sbin/policy-rc.d
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=yes; }
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  [ "${made:-no}" = no ] || rm -f $policy
fi
sh "$root/scripts/setup.sh" --quiet --without-packages

microceph="$root/bin/microceph --state-dir $state"
mkdir -p "$state"
say "starting microcephd"
setsid "$root/bin/microcephd" --state-dir "$state" >>"$state/microcephd.log" 2>&1 </dev/null &
tries=0
until $microceph mesh status >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -ge 150 ]; then
    tail -5 "$state/microcephd.log" >&2
    fail DEADLINE_EXCEEDED 1 "microcephd does not answer"
  fi
  sleep 0.2
done
say "a cluster of this machine alone"
$microceph cluster bootstrap
$microceph disk add "loop,$size,3"
$microceph waitready --storage --timeout 300

# The only member is this one; the certificate is for all its addresses, and the gateway says at which it is.
names=$($microceph mesh status --format json |
  node -p 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).members[0].addresses.map((one) => `IP:${one}`).join()')
bundle=$state/s3-ca.pem
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=microceph" -addext "subjectAltName=$names" \
  -keyout "$state/s3-key.pem" -out "$bundle" 2>/dev/null
chmod 600 "$state/s3-key.pem"
say "an S3 gateway with TLS"
url=$($microceph enable rgw --ssl-certificate "$bundle" --ssl-private-key "$state/s3-key.pem" --format json |
  node -p 'new URL(JSON.parse(require("node:fs").readFileSync(0, "utf8")).nodes[0].url).origin')
CEPH_CONF=$state/conf/ceph.conf radosgw-admin user create --uid action --display-name action \
  --access-key "$access" --secret "$secret" >/dev/null

# AWS signature version 2, which curl need not know.
date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')
signature=$(printf 'PUT\n\n\n%s\n/%s' "$date" "$bucket" | openssl dgst -sha1 -hmac "$secret" -binary | openssl base64)
curl -sS --fail-with-body --retry 10 --retry-all-errors --retry-delay 1 -m 60 --cacert "$bundle" -X PUT \
  -H "Date: $date" -H "Authorization: AWS $access:$signature" -H "Content-Length: 0" "$url/$bucket"

umask 077
cat >microceph.source <<EOF
S3_SERVER_URL=$url
S3_ACCESS_KEY=$access
S3_SECRET_KEY=$secret
S3_BUCKET=$bucket
S3_REGION=default
S3_CA_BUNDLE_PATH=$bundle
EOF
# A runner's later steps are another user's.
if [ -n "${SUDO_UID:-}" ]; then chown "$SUDO_UID" microceph.source; fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "s3config=$PWD/microceph.source" >>"$GITHUB_OUTPUT"; fi
say "ready: $PWD/microceph.source"
