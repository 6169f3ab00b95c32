import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { Outcome } from "./controller.ts";

/** The end of a decision that was carried out. */
export function done(reason: string, result: Json = null): Outcome {
  return { state: "done", result, reason };
}

/** What came of it, with why it was decided: the closing words take the place of the opening ones. */
export function because(outcome: string, { reason }: Pick<Entry, "reason">): string {
  return reason === "" ? outcome : `${outcome}: ${reason}`;
}
