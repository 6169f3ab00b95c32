import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { generatedDocs } from "../../../scripts/generate-docs.ts";

const root = join(import.meta.dirname, "../../..");

test.each([...generatedDocs()])("%s is what the code makes of it now", async (path, content) => {
  const committed = await readFile(join(root, path), "utf8").catch(() => "");
  expect(
    committed === content,
    "run: sh scripts/run.sh scripts/generate-docs.ts, and commit the result",
  ).toBe(true);
});
