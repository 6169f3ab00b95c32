import type { Admission } from "../../api/contract/mesh.ts";
import { left } from "./words.ts";

/** What an admission policy means, in one sentence. */
export function admissionText(admission: Admission, asOf: string): string {
  const { mode, until } = admission;
  switch (mode) {
    case "auto": {
      const end = until === null ? "with no end" : `turns to approve in ${left(until, asOf) ?? "a moment"}`;
      return `auto: fresh nodes on this network are claimed by themselves; ${end}`;
    }
    case "approve":
      return "approve: fresh nodes are listed and wait until you approve them";
    case "closed":
      return "closed: no fresh node is taken";
  }
}
