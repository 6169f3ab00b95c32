import type { Json } from "../../ids/json.ts";
import type { Outcome } from "./controller.ts";

/** The end of a decision that was carried out. */
export function done(reason: string, result: Json = null): Outcome {
  return { state: "done", result, reason };
}
