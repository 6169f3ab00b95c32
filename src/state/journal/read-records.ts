import { MicrocephError } from "../../errors/microceph-error.ts";
import type { EtcdApi } from "../etcd/etcd-api.ts";
import { recordKey, recordPrefix } from "./keys.ts";
import type { DecisionNumber } from "./types.ts";

/** Where records are kept beside etcd: the node's copy of the journal. */
export interface RecordSink {
  head(): DecisionNumber | null;
  /** Takes the records that continue what is there, in order; others are left. @returns how many it took */
  append(records: readonly unknown[]): number;
}

const recordsPerRead = 200;

/**
 * Bring the copy up to what etcd has. @returns etcd's revision of the last read, from which a watch goes on
 * @throws STATE_CORRUPT when the records in etcd do not continue the copy
 */
export async function catchUp(
  etcd: EtcdApi,
  copy: RecordSink,
  options: { serializable?: boolean; signal?: AbortSignal } = {},
): Promise<number> {
  while (true) {
    const after = copy.head()?.revision ?? 0;
    const { kvs, revision } = await etcd.range(recordPrefix, {
      prefix: true,
      from: recordKey(after + 1),
      limit: recordsPerRead,
      ...options,
    });
    if (kvs.length === 0) return revision;
    copy.append(kvs.map((kv) => parsed(kv.value)));
    // Another writer of the copy (a watch) may have been faster: what counts is that it moved.
    if ((copy.head()?.revision ?? 0) <= after) {
      throw new MicrocephError("STATE_CORRUPT", `the journal in etcd does not continue record ${after}`, {
        data: { after },
      });
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
