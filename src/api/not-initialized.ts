import { MicrocephError } from "../errors/microceph-error.ts";

/** The refusal of everything that needs a cluster. Charms match MicroCeph's words, so they stay. */
export function notInitialized(): MicrocephError {
  return new MicrocephError("NOT_INITIALIZED", "Daemon not yet initialized");
}
