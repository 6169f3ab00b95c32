import { InvalidArgumentError } from "commander";
import { MicrocephError } from "../errors/microceph-error.ts";

/** Of an option that may be given again, or with several names between commas. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, ...value.split(",").filter((name) => name !== "")];
}

/** Of an option that is a word, as MicroCeph reads it. Throws USAGE. */
export function truth(text: string): boolean {
  if (/^(?:true|1|t)$/i.test(text)) return true;
  if (/^(?:false|0|f)$/i.test(text)) return false;
  throw new MicrocephError("USAGE", `"${text.slice(0, 40)}" is neither true nor false`);
}

/** Ceph's own word for what loses data. */
export const confirmOption = "--yes-i-really-mean-it";

export function numberFromOne(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError("it is a number from 1 on");
  return Number(text);
}
