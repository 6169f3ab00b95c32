import { InvalidArgumentError } from "commander";

/** The number of an OSD as MicroCeph's users write it: `osd.3` or `3`. */
export function osdNumber(text: string): number {
  const number = /^(?:osd\.)?([0-9]{1,9})$/.exec(text)?.[1];
  if (number === undefined) throw new InvalidArgumentError("It is osd.N or N.");
  return Number(number);
}
