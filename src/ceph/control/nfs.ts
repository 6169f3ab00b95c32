import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import { nfsUser } from "../../ids/nfs.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { CephCommands } from "../command/commands.ts";
import { type DaemonDeps, unitName } from "../daemons/deps.ts";
import {
  checkNfsProgram,
  followExports,
  type KeptNfs,
  keptNfs,
  prepareNfs,
  removeNfs,
  runsNfs,
  startNfs,
  waitNfsClaimed,
  waitNfsServing,
} from "../daemons/nfs.ts";
import type { NfsExport, NfsSettings } from "../daemons/nfs-config.ts";
import type { WaitOptions } from "../daemons/wait-until.ts";
import { assertPortFreeOn } from "./free-port-of.ts";
import { endSessions, untilServed } from "./nfs-sessions.ts";
import { settingsOf } from "./placed-daemons.ts";
import { PlacedHere, type PlacedMemory } from "./placed-here.ts";

/** Milliseconds that metadata servers get to serve what it exports; after a boot the whole cluster may be starting. */
const servedMs = { placed: 180_000, booted: 600_000 };
/** Milliseconds that it gets then to mount that and listen. */
const servingMs = 120_000;
/** Milliseconds for claims: ganesha itself ends its grace period after 90 s. */
const claimMs = 150_000;

const userOf = ({ settings, rank }: KeptNfs): string => nfsUser({ cluster: settings.cluster, rank });
const exportedBy = ({ exports }: KeptNfs): ReadonlySet<string> => new Set(exports.map(({ fs }) => fs));

/** This node's NFS gateway. */
export class NodeNfs {
  readonly #handle: Handle;
  readonly #deps: DaemonDeps;
  readonly #here: PlacedHere;
  readonly #commands: () => CephCommands | null;
  readonly #sessionsMs: number;

  /** `sessionsMs`: to end what it left behind, which takes as long as a metadata server takes over. */
  constructor(
    handle: Handle,
    deps: DaemonDeps & { readonly memory: PlacedMemory },
    commands: () => CephCommands | null,
    { sessionsMs = 60_000 } = {},
  ) {
    this.#sessionsMs = sessionsMs;
    this.#handle = handle;
    this.#deps = deps;
    this.#commands = commands;
    this.#here = new PlacedHere(deps.memory, "ceph/nfs-decision");
  }

  /** Make it serve these exports. Throws MISSING_PROGRAM, PORT_IN_USE before anything is changed; DEADLINE_EXCEEDED. */
  place(order: {
    readonly key: string;
    readonly settings: NfsSettings;
    readonly rank: number;
    readonly exports: readonly NfsExport[];
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
    readonly signal: AbortSignal;
  }): Promise<void> {
    return this.#here.inOrder(async () => {
      const { key, settings, rank, exports, by, confirm, signal } = order;
      const deps = this.#deps;
      const handle = this.#handle;
      await checkNfsProgram(deps);
      const before = await keptNfs(deps, handle);
      const own = before !== null && (await runsNfs(deps, handle)) ? before.settings.port : null;
      if (settings.port !== own) await assertPortFreeOn(handle, settings.port);
      await confirm();
      this.#here.placed(by);
      await prepareNfs(deps, { handle, key, told: { settings, rank, exports: [...exports] } });
      // No other one has this rank any more: a decision took it off first.
      await this.#untilServed("all", { deadlineMs: servedMs.placed, signal });
      // That may have taken minutes.
      await confirm();
      await startNfs(deps, handle);
      await waitNfsServing(settings, handle, { deadlineMs: servingMs, signal });
    });
  }

  /**
   * Restart it, with the program that is installed now; it serves once it listens and its former clients have claimed
   * their locks again, or ganesha waits for them no more. Throws NOT_FOUND, DEADLINE_EXCEEDED, CANCELLED.
   */
  async restart(report: (text: string) => void, signal: AbortSignal): Promise<void> {
    const deps = this.#deps;
    const handle = this.#handle;
    let since = 0;
    await this.#here.inOrder(async () => {
      const kept = await keptNfs(deps, handle);
      if (kept === null) throw new MicrocephError("NOT_FOUND", `no NFS gateway is on ${handle}`);
      since = Date.now();
      await deps.runner.restart(unitName("nfs", handle));
      await waitNfsServing(kept.settings, handle, { deadlineMs: servingMs, signal });
    });
    report("clients claim their locks again");
    await waitNfsClaimed(deps, handle, since, { deadlineMs: claimMs, signal });
  }

  /** Take back a placing that does not work out; one that runs already has taken effect. */
  undo(asked: NfsSettings & { readonly rank: number }): Promise<boolean> {
    return this.#here.inOrder(async () => {
      const kept = await keptNfs(this.#deps, this.#handle);
      if (kept === null || kept.rank !== asked.rank) return true;
      if (settingsOf(kept.settings) !== settingsOf(asked)) return true;
      if (await runsNfs(this.#deps, this.#handle)) return false;
      await removeNfs(this.#deps, this.#handle);
      this.#here.forget();
      return true;
    });
  }

  /** Whether this node has one. */
  get isHere(): boolean {
    return this.#here.isHere;
  }

  /** The exports are these now. @returns whether that was news */
  follow(exports: readonly NfsExport[]): Promise<boolean> {
    return this.#here.inOrder(() => followExports(this.#deps, this.#handle, exports));
  }

  /** It was taken off this node by that decision. @returns whether it was there */
  drop(by: DecisionNumber): Promise<boolean> {
    return this.#here.drop(by, async () => {
      const kept = await keptNfs(this.#deps, this.#handle);
      await removeNfs(this.#deps, this.#handle);
      const ceph = this.#commands();
      if (ceph === null || kept === null) return;
      await endSessions(ceph, userOf(kept), exportedBy(kept), { deadlineMs: this.#sessionsMs }).catch(
        (error: unknown) =>
          this.#deps.log.warn({ error: messageOf(error) }, "its sessions end by themselves in five minutes"),
      );
    });
  }

  /** Adopt it at boot, or start it once it can serve: it may have been taken off until then. */
  async start(signal: AbortSignal): Promise<void> {
    // Another one may have its rank, and this node not know it yet.
    await this.#untilServed("own", { deadlineMs: servedMs.booted, signal });
    if (signal.aborted) return;
    await this.#here.inOrder(() => startNfs(this.#deps, this.#handle));
  }

  /** One that runs has nothing to wait for; one file system that nobody serves does not keep it from the others. */
  async #untilServed(of: "own" | "all", wait: WaitOptions): Promise<void> {
    const kept = await keptNfs(this.#deps, this.#handle);
    if (kept === null || (await runsNfs(this.#deps, this.#handle))) return;
    this.#deps.log.info({ rank: kept.rank }, "the NFS gateway starts once its file systems are served");
    const exported = async (): Promise<ReadonlySet<string>> => {
      const now = await keptNfs(this.#deps, this.#handle);
      return now?.rank === kept.rank ? exportedBy(now) : new Set();
    };
    await untilServed(this.#commands, userOf(kept), of, exported, wait).catch((error: unknown) =>
      this.#deps.log.warn(
        { error: messageOf(error) },
        "the NFS gateway waits no longer for its file systems",
      ),
    );
  }

  forget(): void {
    this.#here.forget();
  }
}
