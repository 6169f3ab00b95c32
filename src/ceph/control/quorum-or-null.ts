import type { CallOptions, CephCommands, QuorumStatus } from "../command/commands.ts";
import { isUnanswered } from "../command/words.ts";

/** What the monitors say of their quorum; null while they do not answer, or nobody knows of any. */
export async function quorumOrNull(
  ceph: CephCommands | null,
  call: CallOptions,
): Promise<QuorumStatus | null> {
  try {
    return (await ceph?.quorumStatus(call)) ?? null;
  } catch (error) {
    if (isUnanswered(error)) return null;
    throw error;
  }
}
