import type { CephCommands } from "../../ceph/command/commands.ts";
import { isRefusal } from "../../ceph/command/words.ts";
import { isCephKey, renderKeyring } from "../../ceph/config/keyring.ts";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import type { LocalStore } from "../../state/store/local-store.ts";
import { type CephRecords, cephRecords } from "./contents.ts";

const recordsKey = "restore/ceph-records";
const callMs = 30_000;

export function putRecords(store: LocalStore, records: CephRecords): void {
  store.put(recordsKey, records as unknown as Json);
}

/** What a backup knew and the monitors of today do not; null when there is nothing to give back. */
export function recordsToGive(store: Pick<LocalStore, "get">): CephRecords | null {
  return cephRecords.safeParse(store.get(recordsKey)).data ?? null;
}

export function dropRecords(store: Pick<LocalStore, "delete">): void {
  store.delete(recordsKey);
}

/** Entities that are made by their own nodes, or by the decision that made the monitors. */
const ours = /^(?:mon\.|client\.admin$|osd\.|mgr\.|mds\.|client\.rgw\.)/;

/**
 * Tell monitors that were made anew what a backup knew: keys of users, settings, the key store. What they know by now
 * is left as it is. Run again it goes on. @returns what was given back, and what Ceph would not take
 */
export async function giveBack(
  ceph: CephCommands,
  { auth, settings, keyStore }: CephRecords,
  signal: AbortSignal,
): Promise<{ readonly given: number; readonly refused: readonly string[] }> {
  const call = { deadlineMs: callMs, signal };
  const refused: string[] = [];
  let given = 0;
  const unlessRefused = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    try {
      await act();
      given += 1;
    } catch (error) {
      if (!(error instanceof MicrocephError) || !["CEPH_REFUSED", "USAGE"].includes(error.code)) throw error;
      refused.push(what);
    }
  };
  for (const [key, value] of Object.entries(keyStore)) {
    if ((await ceph.secret(key, call)) !== undefined) continue;
    await unlessRefused(`config-key ${key}`, () => ceph.setSecret(key, value, call));
  }
  for (const { entity, key, caps } of auth) {
    if (ours.test(entity) || !isCephKey(key)) continue;
    const known = await ceph.run(["auth", "get", entity], call).catch((error: unknown) => {
      if (isRefusal(error, "ENOENT")) return undefined;
      throw error;
    });
    if (known !== undefined) continue;
    await unlessRefused(`auth ${entity}`, () =>
      ceph.runWithInput(["auth", "import"], renderKeyring([{ entity, key, capabilities: caps }]), call),
    );
  }
  for (const { section, name, value, mask } of settings) {
    const who = mask === "" ? section : `${section}/${mask}`;
    if ((await ceph.configGet(who, name, call)) !== undefined) continue;
    await unlessRefused(`config ${who} ${name}`, () => ceph.configSet(who, name, value, call));
  }
  return { given, refused };
}
