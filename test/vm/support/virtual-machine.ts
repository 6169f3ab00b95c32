import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { basename, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../../..");
const cache = join(root, "node_modules", ".cache", "vm");

export interface VirtualMachineOptions {
  readonly name: string;
  /** Folder of its own for sockets and logs. */
  readonly dir: string;
  /** Image files of raw disks, in the order of their names in the guest: vda, vdb, …; the file's name is the serial number. */
  readonly disks: readonly string[];
  /** More arguments for QEMU: other buses and controllers. */
  readonly extra?: readonly string[];
  readonly memoryMiB?: number;
  /** The tree that the guest shows as its own, read-only beneath a tmpfs; default: this host's. */
  readonly tree?: string;
  /** The script there that becomes number 1 and takes commands in the end; default: scripts/vm/agent.sh. */
  readonly agent?: string;
  /** More words for the kernel. */
  readonly kernel?: string;
}

export interface CommandResult {
  readonly code: number;
  readonly output: string;
}

interface Waiting {
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: Error) => void;
}

const bootMs = 120_000;
/** The least that Ceph and Node ask for: programs then leave alone what is slow to emulate (AVX). */
const processor = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq";

/**
 * A virtual machine that runs the distribution's kernel over this host's own tree, read-only beneath a tmpfs:
 * for what this host's kernel lacks (device mapper). By software emulation, about ten times slower than the host.
 * Only its disks outlive it.
 */
export class VirtualMachine {
  readonly #options: VirtualMachineOptions;
  #qemu: ChildProcess | undefined;
  #socket: Socket | undefined;
  #console = "";
  #buffer = "";
  #next = 0;
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: VirtualMachineOptions) {
    this.#options = options;
  }

  /** What the guest's kernel and first programs have printed. */
  get console(): string {
    return this.#console;
  }

  /** Resolves when the guest takes commands. */
  async boot(): Promise<void> {
    const { name, dir, disks, extra = [], memoryMiB = 3072 } = this.#options;
    const { tree = "/", agent = join(root, "scripts", "vm", "agent.sh"), kernel = "" } = this.#options;
    const socketPath = join(dir, "control.socket");
    const qemu = spawn(
      "qemu-system-x86_64",
      [
        ...["-accel", "tcg,thread=multi", "-cpu", processor, "-smp", "2", "-m", String(memoryMiB)],
        ...["-nic", "none", "-nographic", "-no-reboot", "-device", "virtio-rng-pci"],
        ...["-kernel", join(cache, "vmlinuz"), "-initrd", join(cache, "initramfs.gz")],
        ...["-append", `console=ttyS0 quiet panic=-1 hostname=${name} agent=${agent} ${kernel}`],
        "-virtfs",
        `local,path=${tree},mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap`,
        ...["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=control,name=control"],
        ...["-chardev", `socket,path=${socketPath},server=on,wait=off,id=control`],
        ...disks.flatMap((file, n) => [
          "-drive",
          `file=${file},format=raw,if=none,id=disk${n},cache=unsafe`,
          "-device",
          `virtio-blk-pci,drive=disk${n},serial=${basename(file, ".img")}`,
        ]),
        ...extra,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#qemu = qemu;
    const heard = (chunk: Buffer): void => {
      this.#console = (this.#console + chunk.toString("latin1")).slice(-200_000);
    };
    qemu.stdout?.on("data", heard);
    qemu.stderr?.on("data", heard);
    const ended = once(qemu, "close").then(() => this.#end());
    const ready = this.#expect("ready");
    await this.#connect(socketPath, ended);
    const timer = setTimeout(() => qemu.kill("SIGKILL"), bootMs);
    try {
      await ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Run a command line of bash in the guest, to its end. */
  async run(command: string, deadlineMs = 900_000): Promise<CommandResult> {
    const socket = this.#socket;
    if (socket === undefined) throw new Error("the virtual machine is not running");
    this.#next += 1;
    const id = String(this.#next);
    const result = this.#expect(id);
    const timer = setTimeout(() => this.#qemu?.kill("SIGKILL"), deadlineMs);
    socket.write(`${id} ${Buffer.from(command).toString("base64")}\n`);
    try {
      return await result;
    } catch (error) {
      throw new Error(`while the guest ran: ${command}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Run a command that must succeed; its output. */
  async ok(command: string, deadlineMs?: number): Promise<string> {
    const { code, output } = await this.run(command, deadlineMs);
    if (code !== 0) throw new Error(`exit code ${code} in the guest from: ${command}\n${output}`);
    return output;
  }

  /** Have it go down in good order, and wait until it has. */
  async shutDown(): Promise<void> {
    const closed = this.#qemu === undefined ? undefined : once(this.#qemu, "close");
    // It may be gone before it has answered.
    await this.run("systemctl poweroff").catch(() => undefined);
    await closed;
  }

  /** Cut the power, as a plug that is pulled. */
  async powerOff(): Promise<void> {
    const qemu = this.#qemu;
    if (qemu === undefined || qemu.exitCode !== null || qemu.signalCode !== null) return;
    const closed = once(qemu, "close");
    qemu.kill("SIGKILL");
    await closed;
  }

  async #connect(path: string, ended: Promise<unknown>): Promise<void> {
    let over = false;
    void ended.then(() => {
      over = true;
    });
    for (;;) {
      if (over) throw new Error(`QEMU ended: ${this.#console}`);
      const socket = createConnection(path);
      const connected = await new Promise<boolean>((done) => {
        socket.once("connect", () => done(true));
        socket.once("error", () => done(false));
      });
      if (connected) {
        this.#socket = socket;
        socket.on("error", () => undefined);
        socket.on("data", (chunk) => this.#data(chunk.toString("latin1")));
        return;
      }
      // QEMU makes the socket within some hundredths of a second, and tells nobody.
      await new Promise((again) => setTimeout(again, 50));
    }
  }

  #expect(id: string): Promise<CommandResult> {
    return new Promise((done, fail) => this.#waiting.set(id, { resolve: done, reject: fail }));
  }

  #data(text: string): void {
    this.#buffer += text;
    for (;;) {
      const end = this.#buffer.indexOf("\n");
      if (end < 0) return;
      const [id = "", code = "1", output = ""] = this.#buffer.slice(0, end).split(" ");
      this.#buffer = this.#buffer.slice(end + 1);
      this.#waiting
        .get(id)
        ?.resolve({ code: Number(code), output: Buffer.from(output, "base64").toString() });
      this.#waiting.delete(id);
    }
  }

  #end(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    for (const { reject } of this.#waiting.values()) {
      reject(new Error(`the virtual machine ended; its console:\n${this.#console.slice(-4000)}`));
    }
    this.#waiting.clear();
  }
}
