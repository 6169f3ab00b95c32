import { setTimeout as sleep } from "node:timers/promises";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import type { EtcdApi, EtcdMember } from "./etcd-api.ts";
import { handleOfPeerUrl, peerUrlOf } from "./etcd-arguments.ts";

export interface ChangeOptions {
  /** Milliseconds in all, tries included. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Milliseconds between tries. etcd's "unhealthy cluster" after a change lasts up to 5 s. */
  readonly retryMs?: number;
}

const defaultRetryMs = 200;
const callMs = 5000;

/** The handle that a member of etcd has by its peer URL: its name is empty until it has started. */
export function handleOf(member: EtcdMember): string | undefined {
  return member.peerUrls.map(handleOfPeerUrl).find((handle) => handle !== undefined);
}

function find(members: readonly EtcdMember[], handle: Handle): EtcdMember | undefined {
  return members.find((member) => member.peerUrls.includes(peerUrlOf(handle)));
}

/**
 * Make the node a learner, unless it is one, or a voter, already. Its etcd is to be started afterwards, in
 * mode `existing`. @returns all members afterwards
 */
export async function addLearner(
  etcd: EtcdApi,
  handle: Handle,
  options: ChangeOptions,
): Promise<readonly EtcdMember[]> {
  return untilDone(`add ${handle}`, options, async (call) => {
    const members = await etcd.memberList(call);
    if (find(members, handle)) return members;
    return (await etcd.memberAdd(peerUrlOf(handle), true, call)).members;
  });
}

/** Make the learner a voter once it has caught up; a voter is left as it is. NOT_FOUND when it is neither. */
export async function promoteLearner(etcd: EtcdApi, handle: Handle, options: ChangeOptions): Promise<void> {
  await untilDone(`promote ${handle}`, options, async (call) => {
    const member = find(await etcd.memberList(call), handle);
    if (!member) throw new MicrocephError("NOT_FOUND", `${handle} is not a member of etcd`);
    if (member.learner) await etcd.memberPromote(member.id, call);
  });
}

/** Take the node out of etcd, learner or voter; done when it is in it no more. */
export async function removeMember(etcd: EtcdApi, handle: Handle, options: ChangeOptions): Promise<void> {
  await untilDone(`remove ${handle}`, options, async (call) => {
    const member = find(await etcd.memberList(call), handle);
    if (!member) return;
    await etcd.memberRemove(member.id, call).catch((error: unknown) => {
      // The list may be older than the answer.
      if (!isMicrocephError(error, "NOT_FOUND")) throw error;
    });
  });
}

/**
 * Try until it succeeds, the deadline or a refusal that waiting does not mend. A try whose outcome is unknown
 * is simply made again: each begins by reading the members.
 */
async function untilDone<T>(
  what: string,
  options: ChangeOptions,
  attempt: (call: { deadlineMs: number; signal?: AbortSignal }) => Promise<T>,
): Promise<T> {
  const end = performance.now() + options.deadlineMs;
  const signal = options.signal ? { signal: options.signal } : {};
  while (true) {
    const left = end - performance.now();
    try {
      return await attempt({ deadlineMs: Math.max(1, Math.min(callMs, left)), ...signal });
    } catch (error) {
      const again =
        isMicrocephError(error, "NOT_READY") ||
        isMicrocephError(error, "NO_QUORUM") ||
        isMicrocephError(error, "DEADLINE_EXCEEDED") ||
        // "member ID already exist": added by an earlier try whose answer was lost; the next one reads it.
        (isMicrocephError(error, "INTERNAL") && /already exist/.test(error.message));
      const pauseMs = options.retryMs ?? defaultRetryMs;
      if (!again || end - performance.now() < pauseMs) throw error;
      await pause(what, pauseMs, options.signal);
    }
  }
}

async function pause(what: string, ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch {
    throw new MicrocephError("CANCELLED", `${what} was cancelled`);
  }
}
