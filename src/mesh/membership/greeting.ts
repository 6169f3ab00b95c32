import { type Greeting, lobbyVersion } from "../lobby/messages.ts";
import type { Context } from "./context.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { shownCluster, shownState, timeText } from "./status.ts";

/** How this node answers `hello`. */
export function greetingOf(
  { self, record, window, sight, memberView }: Context,
  { name, version }: { readonly name: string; readonly version: string },
  disks: { readonly count: number; readonly bytes: number },
  mayFound: boolean,
): Greeting {
  const state = record.current;
  const { open, until } = window();
  const cluster = shownCluster(state);
  const founding = state.state === "founding" || state.state === "founded";
  const greeting: Greeting = {
    v: lobbyVersion,
    id: self,
    name: name.slice(0, 63),
    version: version.slice(0, 63),
    state: shownState(state.state),
    window: { open, until: timeText(until) },
    disks,
    mayFound: state.state === "fresh" && mayFound,
    founding: founding ? state.key.id : null,
    founded: state.state === "founded",
    claim: claimOf(state),
    joining: record.joining,
    ...sight(),
    cluster: null,
    certificate: null,
    meshPort: null,
  };
  if (state.state !== "member" || cluster === null) return greeting;
  return {
    ...greeting,
    cluster: { id: cluster.id, name: cluster.name },
    certificate: { ...state.certificate },
    meshPort: memberView()?.meshPort ?? null,
  };
}

function claimOf(state: Lifecycle): Greeting["claim"] {
  if (state.state !== "claimed") return null;
  const { claim } = state;
  return claim.by === "founder"
    ? { cluster: claim.cluster, founder: claim.founder, confirmed: claim.confirmed, entry: null }
    : { cluster: claim.cluster, founder: null, confirmed: true, entry: claim.entry };
}

/** TXT strings of the announcement (RFC 6763 section 6): hints, nothing more. */
export function announcementOf({ self, record }: Context): Record<string, string> {
  const state = record.current;
  const cluster = state.state === "member" ? shownCluster(state) : null;
  return {
    txtvers: "1",
    id: self,
    st: shownState(state.state),
    ...(cluster === null ? {} : { c: cluster.id, n: cluster.name }),
    v: String(lobbyVersion),
  };
}
