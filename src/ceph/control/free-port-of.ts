import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import { assertPortFree } from "../../process/free-port.ts";

/** Throws PORT_IN_USE in words that stand in the journal, as why a daemon could not be placed. */
export async function assertPortFreeOn(handle: Handle, port: number): Promise<void> {
  await assertPortFree(port).catch((error: unknown) => {
    throw new MicrocephError("PORT_IN_USE", `another program on ${handle} listens on port ${port}`, {
      cause: error,
      data: { node: handle, port },
    });
  });
}
