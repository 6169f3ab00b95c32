import { isMicrocephError } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { ExecutorDeps } from "./executors.ts";

/** Give an entry to an agent and wait for its result; a number that the agent calls overtaken is renewed once. */
export async function handOver(
  deps: Pick<ExecutorDeps, "order" | "restamp" | "current">,
  entry: Entry,
  agent: PeerId,
  payload: Json,
  signal: AbortSignal,
): Promise<Json> {
  const send = ({ id, kind, number, body }: Entry): Promise<Json> =>
    deps.order(agent, { entry: id, kind, number, body, payload }, signal);
  try {
    return await send(deps.current(entry.id));
  } catch (error) {
    if (!isMicrocephError(error, "STALE_DECISION")) throw error;
    return send(await deps.restamp(entry.id));
  }
}
