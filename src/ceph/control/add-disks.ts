import { z } from "zod";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { OsdId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { CephCommands } from "../command/commands.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import { listLocalOsds } from "../daemons/osd.ts";
import { abandonOsdPlan, makeOsd, type OsdSource, type OsdStep, planOsd } from "../daemons/osd-make.ts";

/** One OSD to be made: chosen and remembered before anything of it exists. */
const wantedOsd = z.object({
  uuid: z.uuid(),
  /** What the user named, as it is reported back. */
  spec: z.string().max(4200),
  source: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("loop"), bytes: z.int().positive() }),
    z.object({ kind: z.literal("device"), path: z.string().max(4096), bytes: z.int().positive() }),
  ]),
});
type WantedOsd = z.infer<typeof wantedOsd>;
const refusedDisk = z.object({ path: z.string(), report: z.literal("Failure"), error: z.string() });
/** As many as one request may name. */
const mostDisks = 1000;
const memorySchema = z.object({
  wanted: z.array(wantedOsd).max(mostDisks),
  refused: z.array(refusedDisk).max(mostDisks),
});

export type DiskSpecInput =
  | { readonly kind: "loop"; readonly spec: string; readonly bytes: number; readonly count: number }
  | { readonly kind: "device"; readonly spec: string; readonly path: string };

export interface AddDisksDeps {
  readonly daemons: DaemonDeps;
  readonly ceph: () => CephCommands;
  readonly newUuid: () => string;
  readonly newKey: () => string;
  /** Size in bytes and stable path of a device. Throws when there is no such block device. */
  readonly inspect: (path: string) => Promise<{ readonly path: string; readonly bytes: number }>;
  /** Throws DISK_IN_USE when the device must not be written to. */
  readonly checkDevice: (path: string) => Promise<void>;
  /** Wipe a device's signatures; only when the user asked for it. */
  readonly wipe: (path: string) => Promise<void>;
  readonly onUp: (osd: OsdId) => void;
}

export interface AddDisksTools {
  readonly signal: AbortSignal;
  readonly memory: Json;
  remember(memory: Json): void;
  report(progress: number, step: string): void;
}

export interface DiskResult {
  readonly path: string;
  readonly report: "Success" | "Failure";
  readonly error: string;
  readonly [key: string]: string;
}

const stepShare: Readonly<Record<OsdStep, number>> = {
  registering: 5,
  formatting: 20,
  starting: 60,
  up: 100,
};

/**
 * Make the OSDs of one call side by side; one that fails does not stop the others. What is to be made is
 * remembered first, so a crash at any step is completed by running the job again.
 */
export async function addDisks(
  specs: readonly DiskSpecInput[],
  options: { readonly wipe: boolean },
  deps: AddDisksDeps,
  tools: AddDisksTools,
): Promise<{ report: DiskResult[] }> {
  const { wanted, refused } = await choose(specs, deps, tools);
  const progress = new Map(wanted.map(({ uuid }) => [uuid, 0]));
  const results = await Promise.allSettled(
    wanted.map(async (osd): Promise<DiskResult> => {
      try {
        await make(osd, options, deps, tools, (step, id) => {
          progress.set(osd.uuid, stepShare[step]);
          const total = [...progress.values()].reduce((sum, share) => sum + share, 0) / progress.size;
          tools.report(Math.floor(total), `${osd.spec}: ${id === null ? "" : `osd.${id} `}${step}`);
        });
        return { path: osd.spec, report: "Success", error: "" };
      } catch (error) {
        if (tools.signal.aborted) throw error;
        // Nobody completes it after this: its device and its room are free for another try.
        await abandonOsdPlan(deps.daemons, osd.uuid);
        return failure(osd.spec, error);
      }
    }),
  );
  // Only when all have ended: a stopping daemon must not leave one behind that still writes.
  return { report: [...refused, ...results.map(resultOf)] };
}

function resultOf<T>(result: PromiseSettledResult<T>): T {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

async function choose(
  specs: readonly DiskSpecInput[],
  deps: AddDisksDeps,
  tools: AddDisksTools,
): Promise<{ wanted: readonly WantedOsd[]; refused: DiskResult[] }> {
  const before = memorySchema.safeParse(tools.memory);
  if (before.success) return before.data;
  const wanted: WantedOsd[] = [];
  const refused: DiskResult[] = [];
  for (const spec of specs) {
    try {
      if (spec.kind === "loop") {
        for (let n = 0; n < spec.count; n += 1) {
          wanted.push({ uuid: deps.newUuid(), spec: spec.spec, source: { kind: "loop", bytes: spec.bytes } });
        }
      } else {
        const { path, bytes } = await deps.inspect(spec.path);
        if (wanted.some(({ source }) => source.kind === "device" && source.path === path)) {
          throw new MicrocephError("DISK_IN_USE", `${spec.path} is named twice`, { data: { path } });
        }
        wanted.push({ uuid: deps.newUuid(), spec: spec.spec, source: { kind: "device", path, bytes } });
      }
    } catch (error) {
      refused.push(failure(spec.spec, error));
    }
  }
  tools.remember({ wanted, refused });
  return { wanted, refused };
}

async function make(
  wanted: WantedOsd,
  options: { readonly wipe: boolean },
  deps: AddDisksDeps,
  tools: AddDisksTools,
  onStep: (step: OsdStep, osd: OsdId | null) => void,
): Promise<void> {
  const source: OsdSource = wanted.source;
  // Run again after a crash, a finished OSD needs no plan: its own device would be found in use.
  if (!(await isFinished(wanted.uuid, deps))) {
    await planOsd(deps.daemons, { uuid: wanted.uuid, key: deps.newKey(), source }, async (path) => {
      if (options.wipe) await deps.wipe(path);
      await deps.checkDevice(path);
    });
  }
  const osd = await makeOsd(deps.daemons, {
    uuid: wanted.uuid,
    register: (uuid, key) => deps.ceph().osdNew(uuid, key, { signal: tools.signal }),
    onStep,
    signal: tools.signal,
  });
  deps.onUp(osd);
}

async function isFinished(uuid: string, deps: AddDisksDeps): Promise<boolean> {
  return (await listLocalOsds(deps.daemons)).some((osd) => osd.uuid === uuid);
}

function failure(path: string, error: unknown): DiskResult {
  const code = isMicrocephError(error) ? ` [${error.code}]` : "";
  return { path, report: "Failure", error: `${messageOf(error)}${code}` };
}
