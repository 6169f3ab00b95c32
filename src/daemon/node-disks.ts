import type { Logger } from "pino";
import type { AvailableDisk, InventoryDisk } from "../api/contract/disks.ts";
import { DiskWatch } from "../ceph/disks/disk-watch.ts";
import { type DiskOwners, type SurveyedDisk, surveyDisks } from "../ceph/disks/disks.ts";
import { messageOf } from "../errors/microceph-error.ts";

export interface NodeDisksDeps {
  /** Who of this node's OSDs has which device. */
  readonly owners: () => Promise<DiskOwners>;
  /** Something of what is published changed: every member concludes from that what was plugged in or pulled out. */
  readonly onChange: () => void;
  readonly log: Logger;
}

/** The disks of this node as they were last seen; a disk that is plugged in or pulled out is noticed by itself. */
export class NodeDisks {
  readonly #deps: NodeDisksDeps;
  readonly #watch: DiskWatch;
  #disks: readonly InventoryDisk[] = [];
  #looking: Promise<void> | null = null;
  #again = false;
  #seen = false;

  constructor(deps: NodeDisksDeps) {
    this.#deps = deps;
    this.#watch = new DiskWatch({}, { log: deps.log, onChange: () => void this.look() });
  }

  get all(): readonly InventoryDisk[] {
    return this.#disks;
  }

  get available(): readonly AvailableDisk[] {
    return this.#disks
      .filter(({ available }) => available)
      .map(({ model, sizeBytes, type, path }) => ({ model, sizeBytes, type, path }));
  }

  async start(): Promise<void> {
    this.#watch.start();
    await this.look();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    await this.#looking;
  }

  /** Look again; a look that begins after this call is what is returned. */
  async look(): Promise<void> {
    if (this.#looking !== null) {
      this.#again = true;
      return this.#looking;
    }
    this.#looking = (async () => {
      do {
        this.#again = false;
        await this.#look();
      } while (this.#again);
    })().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    try {
      const disks = (await surveyDisks(await this.#deps.owners())).map(shown);
      const before = this.#disks;
      this.#disks = disks;
      if (this.#seen && JSON.stringify(before) !== JSON.stringify(disks)) this.#deps.onChange();
      this.#seen = true;
    } catch (error) {
      this.#deps.log.warn({ error: messageOf(error) }, "the disks cannot be listed");
    }
  }
}

function shown({ device, reasons, wipeable }: SurveyedDisk): InventoryDisk {
  const { stablePath, path, byId, byPath, model, vendor, bytes, type, rotational } = device;
  return {
    path: stablePath,
    device: path,
    byId,
    byPath,
    model,
    vendor,
    sizeBytes: bytes,
    type,
    rotational,
    available: reasons.length === 0,
    reasons: reasons.map((reason) => reason.slice(0, 300)),
    wipeable,
  };
}
