/** Programs that the daemon starts itself; what confines it lets it start no other (packaging/deb). */
export const programs = [
  ...["blkid", "cryptsetup", "dmsetup", "flock", "losetup", "modprobe", "partx", "sfdisk", "sync", "wipefs"],
  ...["ceph", "ceph-mon", "crushtool", "monmaptool", "rados", "radosgw-admin", "rbd"],
  ...["cephfs-mirror", "ganesha.nfsd", "haproxy", "keepalived", "rbd-mirror"],
  ...["etcd", "etcdctl", "etcdutl"],
  ...["ip", "ping"],
  ...["setpriv", "snapctl", "systemd-run"],
] as const;
export type Program = (typeof programs)[number];
