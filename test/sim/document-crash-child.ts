import { writeSync } from "node:fs";
import { clusterId } from "../../src/ids/ids.ts";
import { DocumentStore } from "../../src/state/document/document-store.ts";
import { LocalStore } from "../../src/state/store/local-store.ts";
import { peer, signerOf, silent, verify } from "../unit/state/document/fixture.ts";

// Writes as fast as it can and says each number once it is accepted, until it is killed.
const [path = "", cluster = "", from = "0"] = process.argv.slice(2);
const store = LocalStore.open(path);
const self = peer(1);
const document = new DocumentStore(
  { self, cluster: clusterId(cluster) },
  { store, now: Date.now, log: silent, sign: signerOf(self), verify },
);
document.open();
for (let n = Number(from); ; n += 1) {
  document.setSettings({ n: `${n}`, [`k${n % 50}`]: `${n}`.repeat(40) });
  store.put("n", n);
  writeSync(1, `${n}\n`);
}
