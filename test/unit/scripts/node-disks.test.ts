import { expect, it } from "vitest";
import { diskBytes } from "../../../scripts/lab/node-disks.ts";

it.each([
  ["1M", 1_048_576],
  ["512M", 536_870_912],
  ["1G", 1_073_741_824],
  ["1.5g", 1_610_612_736],
  ["4GiB", 4_294_967_296],
  ["2T", 2_199_023_255_552],
])("%s is %d bytes", (text, bytes) => expect(diskBytes(text)).toBe(bytes));

it.each(["", "4", "G", "-1G", "0G", "1K", "1 G", "999T", "1GG", "1e3G"])("refuses %j", (text) =>
  expect(() => diskBytes(text)).toThrow(/disk size/),
);
