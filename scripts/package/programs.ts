/** What every package has of the checkout, by its path there: both programs, and what they read at run time. */
export const programs: readonly { readonly path: string; readonly mode: number }[] = [
  ...["bin/microceph", "bin/microcephd", "dist/supervise.sh"].map((path) => ({ path, mode: 0o755 })),
  ...[
    ...["dist/microceph.cjs", "dist/microceph.js", "dist/microceph.cache"],
    ...["dist/microcephd.cjs", "dist/microcephd.js", "dist/microcephd.cache"],
    ...["dist/automerge_wasm_bg.wasm", "dist/mgr-bcrypt.py", "dist/sitecustomize.py"],
  ].map((path) => ({ path, mode: 0o644 })),
];
