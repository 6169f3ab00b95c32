import { isIPv6 } from "node:net";
import { MicrocephError } from "../errors/microceph-error.ts";
import { runProgram } from "../process/run-program.ts";

const pingSeconds = 1;
const callMs = 5_000;

/**
 * Throws ADDRESS_IN_USE when something answers at this address: to a ping, or, where that is filtered, to the question
 * for its hardware address (ARP, RFC 826; NDP, RFC 4861), which the kernel asks before it can send one. What the kernel
 * remembers of who had it is forgotten first: it would be used, and shown, for seconds before it is doubted.
 */
export async function assertNobodyAnswers(address: string, signal: AbortSignal): Promise<void> {
  const call = { deadlineMs: callMs, signal, okCodes: [0, 1, 2] };
  const family = isIPv6(address) ? "-6" : "-4";
  await runProgram("ip", [family, "neigh", "flush", "to", address], call);
  const { exitCode } = await runProgram("ping", ["-n", "-c", "1", "-W", `${pingSeconds}`, address], call);
  const { stdout } = await runProgram("ip", [family, "neigh", "show", address], call);
  if (exitCode !== 0 && !/ lladdr /.test(stdout)) return;
  throw new MicrocephError("ADDRESS_IN_USE", `something answers at ${address} already`, {
    data: { address },
  });
}
