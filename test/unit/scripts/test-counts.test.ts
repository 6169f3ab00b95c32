import { expect, it } from "vitest";
import {
  addCounts,
  countFiles,
  countReport,
  failedFiles,
  failures,
  replaceCounts,
  skipReasons,
  summaryLine,
  wholeStep,
} from "../../../scripts/test-counts.ts";

const report = (numbers: object, files: { status: string; tests: string[] }[] = []): string =>
  JSON.stringify({
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    ...numbers,
    testResults: files.map((file) => ({
      status: file.status,
      assertionResults: file.tests.map((status) => ({ status })),
    })),
  });

it.each([
  ["all passed", report({ numPassedTests: 5 }), 0, "5 passed, 0 failed, 0 skipped"],
  [
    "skipped and to do",
    report({ numPassedTests: 1, numPendingTests: 2, numTodoTests: 1 }),
    0,
    "1 passed, 0 failed, 3 skipped",
  ],
  [
    "one failed",
    report({ numPassedTests: 1, numFailedTests: 1 }, [{ status: "failed", tests: ["passed", "failed"] }]),
    1,
    "1 passed, 1 failed, 0 skipped",
  ],
  [
    "a file that does not load",
    report({}, [{ status: "failed", tests: [] }]),
    1,
    "0 passed, 1 failed, 0 skipped",
  ],
  [
    "a failed hook",
    report({ numPendingTests: 3 }, [{ status: "failed", tests: ["skipped", "skipped", "skipped"] }]),
    1,
    "0 passed, 1 failed, 3 skipped",
  ],
  ["an unhandled error", report({ numPassedTests: 2 }), 1, "2 passed, 1 failed, 0 skipped"],
  ["no report", "", 0, "0 passed, 1 failed, 0 skipped"],
])("%s", (_, text, code, line) => expect(summaryLine(countReport(text, code))).toBe(line));

it("counts a file that was run again as its second run went, and every other as its first", () => {
  const tests = (...all: string[]): object[] => all.map((status) => ({ status }));
  const first = JSON.stringify({
    ...{ numPassedTests: 4, numFailedTests: 1, numPendingTests: 2, numTodoTests: 0 },
    testResults: [
      { name: "/lab/a", status: "passed", assertionResults: tests("passed", "passed") },
      { name: "/lab/b", status: "failed", assertionResults: tests("passed", "failed", "passed") },
      { name: "/lab/c", status: "failed", assertionResults: tests("skipped", "skipped") },
    ],
  });
  const failed = failedFiles(first);
  expect(failed).toEqual(["/lab/b", "/lab/c"]);
  const before = countFiles(first, failed);
  expect(before).toEqual({ passed: 2, failed: 2, skipped: 2 });
  const all = countReport(first, 1);
  expect(replaceCounts(all, before, { passed: 5, failed: 0, skipped: 0 })).toEqual({
    ...{ passed: 7, failed: 0, skipped: 0 },
  });
  expect(replaceCounts(all, before, { passed: 4, failed: 1, skipped: 0 }).failed).toBe(1);
  expect(failedFiles("no report")).toEqual([]);
});

it("sums up", () => {
  expect(addCounts(wholeStep(0), wholeStep(2))).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

it("tells why tests were skipped, from their names and those of their suites", () => {
  const suite = "a lab (skipped: needs root (or more))";
  const report = {
    testResults: [
      {
        status: "passed",
        assertionResults: [
          { status: "skipped", title: "one", ancestorTitles: [suite] },
          { status: "pending", title: "two", ancestorTitles: [suite] },
          { status: "skipped", title: "three (skipped: block devices need root)", ancestorTitles: ["a lab"] },
          { status: "skipped", title: "not chosen", ancestorTitles: ["a lab"] },
          { status: "passed", title: "four (skipped: not at all)", ancestorTitles: [] },
        ],
      },
    ],
  };
  expect([...skipReasons(JSON.stringify(report))]).toEqual([
    ["needs root (or more)", 2],
    ["block devices need root", 1],
  ]);
  expect(skipReasons("no report").size).toBe(0);
});

it("says of each failed test what it said, and of a file that broke why", () => {
  const report = JSON.stringify({
    numPassedTests: 1,
    numFailedTests: 1,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [
      {
        ...{ name: "/somewhere/a.test.ts", status: "failed" },
        assertionResults: [
          { status: "passed", title: "fine" },
          {
            status: "failed",
            title: "holds",
            ancestorTitles: ["it"],
            failureMessages: [`no ${"x".repeat(9999)}`],
          },
        ],
      },
      { name: "/somewhere/b.test.ts", status: "failed", message: "no such module", assertionResults: [] },
    ],
  });
  // Its words are cut: what was expected and what was seen comes first.
  expect(failures(report).map(({ test, said }) => [test, said.slice(0, 14), said.length])).toEqual([
    ["a.test.ts > it > holds", "no xxxxxxxxxxx", 1500],
    ["b.test.ts", "no such module", 14],
  ]);
  expect(failures("no report")).toEqual([]);
});
