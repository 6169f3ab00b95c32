import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/files/atomic-file.ts";
import { LabError } from "./lab-error.ts";
import { locked, takeLock } from "./lab-lock.ts";
import { switchNamespace } from "./layout.ts";

export const highestNumber = 250;

/** Lab names: digits name their number, others get one. */
export function isLabName(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,30}$/.test(text) && !(/^[0-9]+$/.test(text) && ownNumber(text) === undefined);
}

/** The number that a name of digits asks for. */
function ownNumber(name: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(name) || Number(name) > highestNumber) return undefined;
  return Number(name);
}

/**
 * The number for a lab: its own if the name is one, else the first free one from the hash of its name on.
 * `taken` holds numbers of other labs.
 */
export function chooseNumber(name: string, taken: ReadonlySet<number>): number {
  const own = ownNumber(name);
  if (own !== undefined) {
    if (taken.has(own)) {
      throw new LabError("NUMBER_TAKEN", `10.77.${own}.0/24 is used by another lab; use another --name`);
    }
    return own;
  }
  const first = createHash("sha256").update(name).digest().readUInt32BE(0) % highestNumber;
  for (let step = 0; step < highestNumber; step += 1) {
    const number = 1 + ((first + step) % highestNumber);
    if (!taken.has(number)) return number;
  }
  throw new LabError("NUMBER_TAKEN", "all 250 lab numbers are in use; stop one with: lab down --name NAME");
}

function readNumbers(root: string): Record<string, number> {
  try {
    return JSON.parse(readFileSync(join(root, "numbers.json"), "utf8")) as Record<string, number>;
  } catch {
    return {};
  }
}

/** Reserve the number of lab `name`, the same one for as long as the lab exists. */
export async function reserveNumber(root: string, name: string): Promise<number> {
  mkdirSync(root, { recursive: true });
  return locked(join(root, ".lock"), async () => {
    const numbers = readNumbers(root);
    const known = numbers[name];
    if (known !== undefined) return known;
    const taken = new Set(Object.values(numbers));
    // A lab of another root leaves only its switch to be seen.
    for (let number = 0; number <= highestNumber; number += 1) {
      if (existsSync(`/run/netns/${switchNamespace(number)}`)) taken.add(number);
    }
    const number = chooseNumber(name, taken);
    await writeFileAtomic(join(root, "numbers.json"), `${JSON.stringify({ ...numbers, [name]: number })}\n`);
    return number;
  });
}

/**
 * Give the number back. After the last lab of this root the registry goes too, and `lastGone` clears what
 * all labs share.
 */
export async function releaseNumber(root: string, name: string, lastGone: () => void): Promise<void> {
  if (!existsSync(root)) return;
  const lock = await takeLock(join(root, ".lock"));
  let empty = false;
  try {
    const { [name]: _released, ...rest } = readNumbers(root);
    empty = Object.keys(rest).length === 0;
    if (empty) {
      lastGone();
      rmSync(join(root, "numbers.json"), { force: true });
    } else await writeFileAtomic(join(root, "numbers.json"), `${JSON.stringify(rest)}\n`);
  } finally {
    lock.release({ remove: empty });
  }
  if (!empty) return;
  try {
    rmdirSync(root);
  } catch {
    // Another lab is being made in it.
  }
}
