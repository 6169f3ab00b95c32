import { existsSync } from "node:fs";

/** Why lab tests cannot run here, or undefined. */
export function labObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const missing = ["ceph-mon", "ceph-osd", "ceph-mgr", "etcd", "nsenter", "ip"].find(
    (program) => !["/usr/bin", "/usr/sbin", "/bin", "/sbin"].some((dir) => existsSync(`${dir}/${program}`)),
  );
  return missing === undefined ? undefined : `${missing} is not installed`;
}
