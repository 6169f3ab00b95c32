import { describe, expect, test } from "vitest";
import { buildProgram } from "../../../src/cli/program.ts";
import { TestIo } from "./run-in-process.ts";

const names = (...args: string[]): string[] =>
  buildProgram(new TestIo(), args).commands.map((command) => command.name());
const all = names();

describe("of all commands", () => {
  test.each(all)("%s is found by its own name", (name) => {
    expect(names(name)).toContain(name);
    expect(names(name).length).toBeLessThan(4);
  });

  test.each([
    ["status", ["status"]],
    ["enable rgw", ["enable", "certificate", "disable"]],
    ["--state-dir disk status", ["status"]],
    ["--format json -d status disk", ["status"]],
    ["-v cluster list --format disk", ["cluster"]],
  ])("`%s` describes only its group's", (line, described) => {
    expect(names(...line.split(" "))).toEqual(described);
  });

  test.each([
    ["--help", "help of all"],
    ["help status", "help of one"],
    ["statsu", "a mistyped command, for its suggestion"],
    ["--state-dir status", "an option's value"],
    ["--format=json status", "an option that holds its value"],
    ["--target n1 status", "an option that only commands have"],
    ["-- status", "the end of options"],
  ])("`%s` describes all (%s)", (line) => {
    expect(names(...line.split(" "))).toEqual(all);
  });
});
