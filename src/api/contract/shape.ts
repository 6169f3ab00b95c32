import { z } from "zod";
import type { Json } from "../../ids/json.ts";

/** What a schema yields, as callers see it: read-only all the way down. */
export type Shape<S extends z.ZodType> = DeepReadonly<z.output<S>>;
/** What a caller writes to satisfy a schema: defaults may be left out. */
export type Draft<S extends z.ZodType> = DeepReadonly<z.input<S>>;

export type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** RFC 3339 time in UTC. */
export const time = z.iso.datetime();
/** A host, cluster, service or key name: short and printable enough to be cut off, never parsed further. */
export const name = z.string().min(1).max(253);
/** A libp2p PeerId, or any unambiguous way to name a node: name or PeerId prefix. */
export const nodeReference = z.string().min(1).max(253);
/** Anything JSON can carry; a recursive schema would end as a dangling reference in the OpenAPI document. */
export const json = z.custom<Json>((value) => value !== undefined);
/** Text for people. */
export const text = z.string().max(4096);
