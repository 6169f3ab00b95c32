import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { maxStaticPeers, parsePeer, StaticPeers } from "../../../src/daemon/static-peers.ts";
import { LocalStore } from "../../../src/state/store/local-store.ts";

describe("addresses given by hand", () => {
  it.each([
    ["10.0.0.7", { address: "10.0.0.7", port: 7443 }],
    ["10.0.0.7:99", { address: "10.0.0.7", port: 99 }],
    ["fd00::7", { address: "fd00::7", port: 7443 }],
    ["[fd00::7]", { address: "fd00::7", port: 7443 }],
    ["[fd00::7]:99", { address: "fd00::7", port: 99 }],
  ])("%s", (text, peer) => {
    expect(parsePeer(text, 7443)).toEqual(peer);
  });

  it.each(["", "n1", "10.0.0", "10.0.0.7:0", "10.0.0.7:70000", "10.0.0.7:", "[10.0.0.7", "::g", "fd00::7:x"])(
    '"%s" is none',
    (text) => {
      expect(() => parsePeer(text, 7443)).toThrow(/is no address/);
    },
  );

  let folder: string;
  let store: LocalStore;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "peers-"));
    store = LocalStore.open(join(folder, "state.db"));
  });
  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  it("outlive the daemon, each once, beside those of its command line", () => {
    const fixed = [{ address: "10.0.0.1", port: 7443 }];
    const peers = new StaticPeers(fixed, store);
    peers.add({ address: "10.0.0.2", port: 7443 });
    peers.add({ address: "10.0.0.2", port: 7443 });
    peers.add({ address: "10.0.0.1", port: 7443 });
    expect(new StaticPeers(fixed, store).list()).toHaveLength(2);
    expect(peers.remove({ address: "10.0.0.2", port: 7443 })).toBe(true);
    expect(peers.remove({ address: "10.0.0.2", port: 7443 })).toBe(false);
    expect(peers.list()).toEqual(fixed);
  });

  it("are no more than lobbies can be greeted; a damaged list is an empty one", () => {
    const peers = new StaticPeers([], store);
    for (let port = 1; port <= maxStaticPeers; port++) peers.add({ address: "10.0.0.2", port });
    expect(() => peers.add({ address: "10.0.0.3", port: 1 })).toThrow(/at most/);
    store.put("static-peers", [{ address: "not one", port: 1 }]);
    expect(peers.list()).toEqual([]);
  });
});
