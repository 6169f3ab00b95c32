import { createContext, Script } from "node:vm";
import { MicrocephError } from "../../../errors/microceph-error.ts";
import type { PatternTest } from "./evaluate.ts";

/** Milliseconds for one test: a backtracking engine may never come to an end (MicroCeph's engine cannot run away). */
const limitMs = 100;

/** Tests in a context of their own that is interrupted when the limit is over. */
export function patternTest(): PatternTest {
  const context = createContext(
    { pattern: "", text: "" },
    { codeGeneration: { strings: false, wasm: false } },
  );
  const script = new Script('new RegExp(pattern, "i").test(text)');
  return (pattern, text) => {
    Object.assign(context, { pattern, text });
    try {
      return script.runInContext(context, { timeout: limitMs }) === true;
    } catch (cause) {
      const late = (cause as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
      throw new MicrocephError(
        "USAGE",
        late
          ? `regex evaluation timed out after ${limitMs} ms: ${pattern.slice(0, 80)}`
          : `invalid regex pattern: ${pattern.slice(0, 80)}`,
        { cause },
      );
    }
  };
}
