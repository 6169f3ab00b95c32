import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { yamlText } from "../../../src/cli/render/yaml.ts";
import { freshStatus, healthyStatus } from "../api/stub-operations.ts";

test("looks as people write it", () => {
  const data = {
    name: "n1",
    until: null,
    list: [{ id: 1, tags: ["a", "b c"] }, 2],
    empty: { list: [], map: {} },
  };
  expect(yamlText(data)).toBe(
    `name: n1
until: null
list:
  - id: 1
    tags:
      - a
      - b c
  - 2
empty:
  list: []
  map: {}
`,
  );
});

describe("a YAML library reads the same data back", () => {
  const strings = [
    ...[
      "",
      " ",
      "a ",
      "-",
      "- a",
      "a: b",
      "a #b",
      "#",
      "yes",
      "No",
      "null",
      "~",
      "1",
      "1e3",
      "0x1f",
      "1_000",
      ".5",
      "+1",
    ],
    ...[
      "2026-11-22T10:00:00.000Z",
      "1:30",
      "&a",
      "*a",
      "!t",
      "%",
      "@",
      "`",
      "'",
      '"',
      "a'b",
      "{",
      "[",
      "?",
      "|",
      ">",
      "=",
    ],
    ...[
      "/dev/vdb",
      "10.0.0.1",
      "fe80::1%eth0",
      "a\nb",
      "\u001b[2J",
      "\u009b",
      "\u202e",
      "\u2028",
      "ü",
      "节点",
      "...",
      "---",
    ],
    ...["true", "n", "Y", "on", "inf", ".inf", ".nan", "<<", "_", "1a", "12:30:45", "\t"],
  ];
  test.each(strings)("%j", (text) => {
    for (const version of ["1.1", "1.2"] as const) {
      expect(parse(yamlText(text), { version }), version).toBe(text);
      expect(
        parse(yamlText({ [text]: [text, { [text]: text }] }), { version, merge: false }),
        version,
      ).toEqual({
        [text]: [text, { [text]: text }],
      });
    }
    expect(yamlText(text)).toMatch(/^[^\p{Cc}\p{Cf}]*\n$/u);
  });

  test.each([
    [[]],
    [{}],
    [null],
    [[[]]],
    [[[1, [2, { a: [3] }]], {}]],
    [{ a: { b: { c: [{ d: {} }] } } }],
    [[{ a: [[{ b: 1, c: 2 }]], d: 3 }, [[4], 5]]],
    [healthyStatus()],
    [freshStatus()],
  ])("%j", (data) => expect(parse(yamlText(data))).toEqual(data));
});
