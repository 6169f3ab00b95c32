import { z } from "zod";
import { type Endpoint, endpoints } from "../../src/api/contract/endpoints.ts";
import { errorEnvelope } from "../../src/api/contract/envelope.ts";
import { type EventType, eventData, eventsQuery, eventTypes } from "../../src/api/contract/events.ts";

/** docs/reference/api.md: every endpoint with the fields of its request and reply. */
export function apiPage(): string {
  return [
    "# HTTP API",
    "<!-- Written by scripts/generate-docs.ts from src/api/contract. -->",
    "HTTP on the Unix socket `<state>/control.socket`, for root and the group `microceph`: " +
      "`curl --unix-socket /var/lib/microceph/control.socket http://localhost/1.0/mesh`. " +
      "The running daemon has the same as OpenAPI 3.1 at `/1.0/openapi.json`.",
    "Every answer is an envelope: `type` is `sync`, `async` or `error`, `metadata` carries the reply below. " +
      "An `async` answer (HTTP 202) names its job in `operation`; follow it with `GET /1.0/jobs/{id}/wait`. " +
      "Every path takes `?target=NODE` (a name or a PeerId prefix) and is then answered by that member. " +
      "Unknown fields are refused. A field marked ? may be left out.",
    "An error has the HTTP status and [code](errors.md) of its kind:",
    fieldList(errorEnvelope, "output"),
    ...Object.values(endpoints as Record<string, Endpoint>).flatMap(section),
    "## `GET /1.0/events`",
    "Events as they happen: no envelope, one JSON object per line (`application/x-ndjson`), until the caller leaves. " +
      "`since` first repeats the kept events after that number. Events are hints: re-read what they are about.",
    "Query:",
    fieldList(eventsQuery, "input"),
    "Each line has `seq` (grows in this node's stream, over restarts too; never used twice), `at` (when it was " +
      "noticed, by the clock of `node`), `node` (PeerId of the node that noticed it), `type` and `data`:",
    eventTypes.map(eventItem).join("\n"),
    "## `GET /1.0/metrics`",
    "Figures of this daemon in Prometheus' text format, without an envelope.",
  ]
    .join("\n\n")
    .concat("\n");
}

function eventItem(type: EventType): string {
  const schema = eventData[type];
  const fields = fieldList(schema, "output");
  const about = schema.description === undefined ? "" : `: ${schema.description}`;
  return `- \`${type}\`${about}${fields === "" ? "" : `\n${fields.replaceAll(/^/gm, "  ")}`}`;
}

function section(endpoint: Endpoint): string[] {
  const also = endpoint.aliases ? ` Also \`${endpoint.aliases.join("`, `")}\`.` : "";
  return [
    `## \`${endpoint.method} ${endpoint.path}\``,
    `${endpoint.summary}.${also}`,
    ...part("Query:", endpoint.query),
    ...part("Body:", endpoint.body),
    endpoint.kind === "async" ? "Reply, as a job:" : "Reply:",
    fieldList(endpoint.reply, "output"),
  ];
}

function part(title: string, schema: z.ZodType | undefined): string[] {
  const list = schema ? fieldList(schema, "input") : "";
  return list === "" ? [] : [title, list];
}

/** The parts of JSON Schema that the contract's schemas become. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

function fieldList(schema: z.ZodType, io: "input" | "output"): string {
  const converted = z.toJSONSchema(schema, { io, unrepresentable: "any", reused: "inline" }) as JsonSchema;
  return lines(resolved(converted, converted.$defs ?? {}), "").join("\n");
}

/** The schema with every named one in its place; none of ours contains itself. */
function resolved(schema: JsonSchema, named: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const target = schema.$ref === undefined ? undefined : named[schema.$ref.replace("#/$defs/", "")];
  if (target) return resolved(target, named);
  const { properties, items } = schema;
  return {
    ...schema,
    ...(items ? { items: resolved(items, named) } : {}),
    ...(properties
      ? {
          properties: Object.fromEntries(
            Object.entries(properties).map(([key, one]) => [key, resolved(one, named)]),
          ),
        }
      : {}),
  };
}

/** One list item per field, nested ones indented below it. */
function lines(schema: JsonSchema, indent: string): string[] {
  if (!schema.properties) {
    if (indent !== "") return [];
    const below = schema.items ? lines(schema.items, "  ") : [];
    return [`- ${typeName(schema)}`, ...below];
  }
  return Object.entries(schema.properties).flatMap(([key, field]) => {
    const optional = schema.required?.includes(key) ? "" : "?";
    const fallback = field.default === undefined ? "" : `, default \`${JSON.stringify(field.default)}\``;
    const note = field.description ? `: ${field.description}` : "";
    return [
      `${indent}- \`${key}\`${optional} ${typeName(field)}${fallback}${note}`,
      ...nested(field, `${indent}  `),
    ];
  });
}

function nested(schema: JsonSchema, indent: string): string[] {
  const inner = schema.anyOf?.find((one) => one.properties || one.items) ?? schema;
  return lines(inner.items ?? inner, indent);
}

function typeName(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" | ");
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeName))].join(" | ");
  if (schema.type === "array")
    return `list of ${schema.items?.properties ? "objects" : typeName(schema.items ?? {})}`;
  if (schema.format === "date-time") return "time";
  if (typeof schema.additionalProperties === "object" && !schema.properties) {
    return `map to ${typeName(schema.additionalProperties)}`;
  }
  if (typeof schema.type === "string") return schema.type;
  return schema.type?.join(" | ") ?? "any JSON";
}
