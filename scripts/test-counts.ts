export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Vitest's JSON report, as far as it is used. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name?: string;
    readonly status: string;
    /** Why the file could not be run. */
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly title?: string;
      readonly ancestorTitles?: readonly string[];
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** Null for what is no report. */
function read(text: string): Report | null {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return null;
  }
}

/**
 * Count a vitest run by its JSON report and exit code. A file that could not be loaded counts as one failed
 * test, and so does a run that failed for any other reason.
 */
export function countReport(text: string, exitCode: number): Counts {
  const report = read(text);
  if (report === null) return { passed: 0, failed: 1, skipped: 0 };
  // A file with a failed hook has a failed status though none of its tests failed.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Test files of which something failed, as the report names them; none if the report cannot be read. */
export function failedFiles(text: string): readonly string[] {
  return (read(text)?.testResults ?? []).flatMap(({ name, status }) =>
    status === "failed" && name !== undefined ? [name] : [],
  );
}

/** Characters of what one test said when it failed: what was expected, and what was seen last. */
const longestWords = 1500;

/** Every test that failed, by its file, suites and name, with what it said first; none if the report cannot be read. */
export function failures(text: string): readonly { readonly test: string; readonly said: string }[] {
  const report = read(text);
  if (report === null) return [];
  return report.testResults.flatMap(({ name = "?", status, message, assertionResults }) => {
    const file = name.slice(name.lastIndexOf("/") + 1);
    const failed = assertionResults.filter((test) => test.status === "failed");
    if (failed.length === 0)
      return status === "failed" ? [{ test: file, said: (message ?? "").slice(0, longestWords) }] : [];
    return failed.map(({ ancestorTitles = [], title = "", failureMessages = [] }) => ({
      test: [file, ...ancestorTitles, title].join(" > "),
      said: failureMessages.join("\n").slice(0, longestWords),
    }));
  });
}

/** Tests of these files in a report, by how they ended; a file that broke as a whole counts as one failed. */
export function countFiles(text: string, files: readonly string[]): Counts {
  const { testResults } = JSON.parse(text) as Report;
  let sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of testResults.filter(({ name }) => files.includes(name ?? ""))) {
    const passed = file.assertionResults.filter(({ status }) => status === "passed").length;
    const failed = file.assertionResults.filter(({ status }) => status === "failed").length;
    const broken = failed === 0 && file.status === "failed" ? 1 : 0;
    const skipped = file.assertionResults.length - passed - failed;
    sum = addCounts(sum, { passed, failed: failed + broken, skipped });
  }
  return sum;
}

/** Why tests were skipped, as their names or those of their suites say it, with the number of tests. */
export function skipReasons(text: string): ReadonlyMap<string, number> {
  const reasons = new Map<string, number>();
  const report = read(text);
  if (report === null) return reasons;
  for (const test of report.testResults.flatMap((file) => file.assertionResults)) {
    if (test.status === "passed" || test.status === "failed") continue;
    for (const title of [...(test.ancestorTitles ?? []), test.title ?? ""]) {
      const reason = /\(skipped: (.*)\)$/.exec(title)?.[1];
      if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  return reasons;
}

/** A step that is one test as a whole. */
export function wholeStep(exitCode: number): Counts {
  return exitCode === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

export function addCounts(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** What a run comes to when some of its files were run again: the second time counts for those. */
export function replaceCounts(all: Counts, first: Counts, second: Counts): Counts {
  return addCounts(all, {
    passed: second.passed - first.passed,
    failed: second.failed - first.failed,
    skipped: second.skipped - first.skipped,
  });
}

/** The last line of a test run; the form is fixed. */
export function summaryLine(counts: Counts): string {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
}
