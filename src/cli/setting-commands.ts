import type { Command } from "commander";
import type { Settings } from "../api/contract/status.ts";
import type { CliIo } from "./io.ts";
import type { Table } from "./render/table.ts";
import { Session } from "./session.ts";

/** `microceph mesh setting …` */
export function addSettingCommands(mesh: Command, io: CliIo): void {
  const setting = mesh
    .command("setting")
    .description("What the cluster is told about itself: grace times and other wishes");

  setting
    .command("list")
    .description("List the settings that are set")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command, { lists: true });
      await session.print(await session.client.settings(), settingTable);
    });

  setting
    .command("get")
    .description("Show one setting")
    .argument("<key>")
    .action(async (key: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.setting(key), ({ value }) => `${value}\n`);
    });

  setting
    .command("set")
    .description("Change a setting: grace.monitor and grace.service take seconds")
    .argument("<key>")
    .argument("<value>")
    .action(async (key: string, value: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.setSetting(key, value), () => "");
    });

  setting
    .command("reset")
    .description("Unset a setting: its default holds again")
    .argument("<key>")
    .action(async (key: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.resetSetting(key), () => "");
    });
}

function settingTable(settings: Settings): Table {
  return {
    header: ["KEY", "VALUE"],
    rows: Object.entries(settings)
      .sort()
      .map(([key, value]) => [key, value]),
  };
}
