import { existsSync } from "node:fs";

/** Why lab tests cannot run here, or undefined. scripts/test.ts says it when no machine could be made. */
export function labObstacle(): string | undefined {
  if (process.getuid?.() !== 0) {
    return process.env.MICROCEPH_LAB_OBSTACLE ?? "needs root, or: npm test -- --project lab";
  }
  const missing = ["ceph-mon", "ceph-osd", "ceph-mgr", "ceph-mds", "ceph", "etcd", "nsenter", "ip"].find(
    (program) => !["/usr/bin", "/usr/sbin", "/bin", "/sbin"].some((dir) => existsSync(`${dir}/${program}`)),
  );
  return missing === undefined ? undefined : `${missing} is not installed`;
}
