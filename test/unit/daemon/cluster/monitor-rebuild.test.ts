import { describe, expect, it } from "vitest";
import {
  type OsdHost,
  rebuildFor,
  rebuildRefusal,
  rebuildWishOf,
} from "../../../../src/daemon/cluster/monitor-rebuild.ts";
import { peerId } from "../../../../src/ids/ids.ts";

const one = peerId("12D3KooWA1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK");
const two = peerId("12D3KooWB1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK");
const host = (peer: typeof one, alive: boolean, osds: number): OsdHost => ({
  peer,
  handle: "n1",
  alive,
  osds,
});

describe("hosts of OSDs", () => {
  it("must all be asked, or declared lost, and one must be there", () => {
    expect(rebuildRefusal([host(one, true, 1), host(two, true, 2)], [])).toBeNull();
    expect(rebuildRefusal([host(one, true, 1), host(two, false, 2)], [])).toMatch(/does not answer.*--lost/);
    expect(rebuildRefusal([host(one, true, 1), host(two, false, 2)], [two])).toBeNull();
    expect(rebuildRefusal([host(one, true, 1), host(two, false, 0)], [])).toBeNull();
    expect(rebuildRefusal([host(one, true, 0), host(two, false, 1)], [two])).toMatch(
      /no member within reach/,
    );
  });
});

describe("the wish", () => {
  it("is read from the document, and what is none is none", () => {
    const said = JSON.stringify({ id: "w", lost: [one] });
    expect(rebuildWishOf({ "monitors.rebuild": said })).toEqual({ id: "w", lost: [one] });
    for (const text of ["", "{", "null", JSON.stringify({ id: "w", lost: ["nobody"] })]) {
      expect(rebuildWishOf({ "monitors.rebuild": text })).toBeNull();
    }
    expect(rebuildWishOf({})).toBeNull();
  });

  it("is followed by the decision that names it", () => {
    const entry = { kind: "ceph.mon-rebuild", body: { wish: "w" } } as never;
    expect(rebuildFor([entry], "w")).toBeUndefined();
  });
});
