import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import type { EtcdApi, TransactionResult } from "../etcd/etcd-api.ts";
import { type Lease, leaseKey } from "../lease/lease-value.ts";
import { holds, requireLease } from "./journal-writer.ts";
import { secretKey } from "./keys.ts";

/**
 * What the journal must not hold: keys of the cluster and of Ceph. Only on voters, in etcd; written only
 * while the lease is exactly ours.
 */
export class Secrets {
  readonly #deps: { readonly etcd: EtcdApi; readonly lease: () => Lease };

  constructor(deps: { etcd: EtcdApi; lease: () => Lease }) {
    this.#deps = deps;
  }

  async get(name: string): Promise<Json | undefined> {
    const { kvs } = await this.#deps.etcd.range(secretKey(name));
    return kvs[0] ? (JSON.parse(kvs[0].value) as Json) : undefined;
  }

  async put(name: string, value: Json): Promise<void> {
    const key = secretKey(name);
    const lease = this.#deps.lease();
    const text = JSON.stringify(value);
    // Writing the same value again changes nothing, so an unknown outcome is answered by a second try.
    const result = await twice(() =>
      this.#deps.etcd.txn({
        compare: holds(lease),
        success: [{ do: "put", key, value: text }],
        failure: [{ do: "range", key: leaseKey }],
      }),
    );
    if (!result.succeeded) requireLease(result.responses[0]?.kvs[0], lease);
  }

  async ensure(name: string, make: () => Json): Promise<Json> {
    const existing = await this.get(name);
    if (existing !== undefined) return existing;
    const key = secretKey(name);
    const lease = this.#deps.lease();
    const value = make();
    const result = await twice(() =>
      this.#deps.etcd.txn({
        compare: [...holds(lease), { key, target: "create", result: "equal", revision: 0 }],
        success: [{ do: "put", key, value: JSON.stringify(value) }],
        failure: [
          { do: "range", key: leaseKey },
          { do: "range", key },
        ],
      }),
    );
    if (result.succeeded) return value;
    const [leaseKv, secretKv] = result.responses.map((response) => response.kvs[0]);
    // Somebody's, or our own first try: either way the one that counts.
    if (secretKv) return JSON.parse(secretKv.value) as Json;
    requireLease(leaseKv, lease);
    throw new MicrocephError("INTERNAL", `secret ${name} was neither written nor found`);
  }
}

async function twice(attempt: () => Promise<TransactionResult>): Promise<TransactionResult> {
  try {
    return await attempt();
  } catch (error) {
    if (!isMicrocephError(error, "NO_QUORUM") && !isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
    return attempt();
  }
}
