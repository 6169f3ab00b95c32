import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

let collect: Collect | undefined;

/** In so many collections without a call V8 drops what it compiled of a function: fewer than usual, just for this. */
const oldAge = 2;
const usualOldAge = 6;
const collections = oldAge + 1;
/** Milliseconds between two: what runs all the time is called in between, and kept. */
const pauseMs = 500;

/**
 * Collect what is not used any more and give its memory back, with the compiled code of what ran once. V8 does so by
 * itself only when it needs room: after much was done at once it keeps twice of what it will need again. Stops the
 * program for some 100 ms, three times. Ends early when `signal` fires.
 */
export async function giveMemoryBack(signal: AbortSignal): Promise<void> {
  if (collect === undefined) {
    // Node shows it only to who starts it with these options, which would not fit the code cache.
    setFlagsFromString("--expose-gc");
    setFlagsFromString("--flush-baseline-code");
    // The room for what lives shortly has grown, which made the start cheap: from here on it stays as small as this
    // leaves it.
    setFlagsFromString("--semi-space-growth-factor=1");
    collect = runInNewContext("gc") as Collect;
  }
  setFlagsFromString(`--bytecode-old-age=${oldAge}`);
  for (let done = 0; done < collections && !signal.aborted; done += 1) {
    collect({ type: "major", flavor: "last-resort" });
    await delay(pauseMs, undefined, { ref: false, signal }).catch(() => undefined);
  }
  setFlagsFromString(`--bytecode-old-age=${usualOldAge}`);
}
