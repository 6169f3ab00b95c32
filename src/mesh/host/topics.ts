import type { ClusterId } from "../../ids/ids.ts";

/** What is gossiped: hints only, each with a pull behind it, as a message may be lost. */
export const topics = ["heads", "journal", "events", "seats", "sightings", "presence"] as const;
export type Topic = (typeof topics)[number];

export function topicName(cluster: ClusterId, topic: Topic): string {
  return `microceph/${cluster}/${topic}`;
}
