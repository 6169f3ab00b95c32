import type { MeshEvent } from "../../api/contract/events.ts";
import type { Json } from "../../ids/json.ts";
import type { Paint } from "./paint.ts";

/** `12  10:00:01Z  member.alive  name=n2 address=10.0.0.2` */
export function eventLine(event: MeshEvent, paint: Paint): string {
  const time = `${event.at.slice(11, 19)}Z`;
  return `${paint("dim", `${event.seq}  ${time}`)}  ${paint("bold", event.type)}  ${facts(event.data)}`
    .trimEnd()
    .concat("\n");
}

function facts(data: MeshEvent["data"]): string {
  if (data === null) return "";
  if (typeof data !== "object" || Array.isArray(data)) return value(data as Json);
  return Object.entries(data)
    .map(([key, item]) => `${key}=${value(item as Json)}`)
    .join(" ");
}

function value(item: Json): string {
  return typeof item === "string" && /^[^\s="]+$/.test(item) ? item : JSON.stringify(item);
}
