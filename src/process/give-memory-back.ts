import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

let collect: Collect | undefined;

/**
 * Collect what is not used any more and give its memory back. V8 does so by itself only when it needs room: after much
 * was done at once it keeps twice of what it will need again. Stops the program for some 100 ms.
 */
export function giveMemoryBack(): void {
  if (collect === undefined) {
    // Node shows it only to who starts it with this option, which would not fit the code cache.
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect;
  }
  collect({ type: "major", flavor: "last-resort" });
}
