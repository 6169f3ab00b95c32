import { type EtcdApi, WatchCompacted } from "../etcd/etcd-api.ts";

/**
 * Resolves when the key is deleted at or after a revision, when etcd no longer knows what happened since
 * (the caller then reads the key), or when the signal is aborted.
 */
export async function untilDeleted(
  etcd: EtcdApi,
  key: string,
  fromRevision: number,
  signal: AbortSignal,
): Promise<void> {
  const deleted = new AbortController();
  try {
    await etcd.watch(
      key,
      fromRevision,
      (events) => {
        if (events.some((event) => event.type === "delete" && event.kv.key === key)) deleted.abort();
      },
      AbortSignal.any([signal, deleted.signal]),
    );
  } catch (error) {
    if (!(error instanceof WatchCompacted)) throw error;
  }
}
