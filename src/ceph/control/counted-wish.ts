import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { CountedDaemon, CountedWish } from "../plan/service-daemons.ts";

const peers = z.array(z.custom<PeerId>(isPeerId)).max(1000);
const schema = z.object({ targets: peers, off: peers });

/** Where monitors, managers or metadata servers are wanted, and where not, as the document has it; nothing is said: nowhere. */
export function countedWish(
  type: CountedDaemon | "mon",
  services: Readonly<Record<string, Json>>,
): CountedWish {
  return schema.safeParse(services[type]).data ?? { targets: [], off: [] };
}
