// Write the pages of docs/reference that are made from the code: run.sh scripts/generate-docs.ts
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { apiPage } from "./docs/api-page.ts";
import { cliPage } from "./docs/cli-page.ts";
import { daemonPage } from "./docs/daemon-page.ts";
import { errorsPage } from "./docs/errors-page.ts";

/** Path in the repository → content. */
export function generatedDocs(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/reference/api.md", apiPage()],
    ["docs/reference/cli.md", cliPage()],
    ["docs/reference/errors.md", errorsPage()],
    ["docs/reference/microcephd.md", daemonPage()],
  ]);
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  for (const [path, content] of generatedDocs()) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    console.log(path);
  }
}
