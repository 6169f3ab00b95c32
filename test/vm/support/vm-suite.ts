import { existsSync } from "node:fs";
import { describe } from "vitest";

const programs = ["qemu-system-x86_64", "busybox", "udevadm", "cryptsetup", "ceph-osd", "etcd"];

/** Why no virtual machine can be made here, or undefined. */
export function vmObstacle(): string | undefined {
  if (process.arch !== "x64") return `QEMU would have to emulate another processor than this ${process.arch}`;
  if (process.getuid?.() !== 0) return "the guest shows this host's tree, which takes root to read";
  const missing = programs.find(
    (program) => !["/usr/bin", "/usr/sbin", "/bin", "/sbin"].some((dir) => existsSync(`${dir}/${program}`)),
  );
  return missing === undefined ? undefined : `${missing} is not installed; run: npm run setup -- --with-vm`;
}

/** Tests in a virtual machine; where none can be made they are skipped and say why, which with CI=true is a failure. */
export function vmSuite(name: string, tests: () => void): void {
  const obstacle = vmObstacle();
  if (obstacle !== undefined && process.env.CI === "true") {
    throw new Error(
      `${name}: no virtual machine can be made here (${obstacle}), and CI=true asks for all tests`,
    );
  }
  describe.skipIf(obstacle !== undefined)(
    obstacle === undefined ? name : `${name} (skipped: ${obstacle})`,
    tests,
  );
}
