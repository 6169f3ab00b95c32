/**
 * The registry of error codes: the troubleshooting page is generated from it. A code never changes its
 * meaning and is never reused.
 */
interface CodeEntry {
  /** HTTP status of an API reply that carries it. */
  readonly http: number;
  /** Exit code of the CLI: 1 failed, 2 usage, 3 not ready, 4 refused for safety. */
  readonly exit: 1 | 2 | 3 | 4;
  readonly meaning: string;
  readonly remedy: string;
}

export const errorCodes = {
  INTERNAL: {
    http: 500,
    exit: 1,
    meaning: "The daemon met a fault of its own.",
    remedy: "Look at the daemon's log (its standard output) around this time and report it with those lines.",
  },
  USAGE: {
    http: 400,
    exit: 2,
    meaning: "The command line or request is not understood.",
    remedy: "See `microceph COMMAND --help`, or `microcephd --help` for the daemon.",
  },
  DAEMON_NOT_RUNNING: {
    http: 503,
    exit: 3,
    meaning: "No daemon answers on the control socket.",
    remedy: "Start microcephd, or name its state directory with --state-dir.",
  },
  DAEMON_RUNNING: {
    http: 409,
    exit: 4,
    meaning: "Another daemon runs on the same state directory.",
    remedy: "Use the running one, or stop it first.",
  },
  PERMISSION_DENIED: {
    http: 403,
    exit: 1,
    meaning: "The control socket or a file may not be opened by this user.",
    remedy:
      "Run as root or as a member of the group microceph. Where root may not either: `journalctl -k | grep apparmor`.",
  },
  NOT_INITIALIZED: {
    http: 503,
    exit: 3,
    meaning: "This node is not a member of a cluster yet.",
    remedy: "Run `microceph mesh status` to see what it waits for, or `microceph cluster bootstrap`.",
  },
  NOT_READY: {
    http: 503,
    exit: 3,
    meaning: "It did not become ready in the given time.",
    remedy: "The message says what it waits for; look at `microceph mesh status` and `microceph status`.",
  },
  ALREADY_INITIALIZED: {
    http: 409,
    exit: 4,
    meaning: "This node is a member of a cluster already.",
    remedy: "Run `microceph status`. Nothing was changed.",
  },
  NOT_FOUND: {
    http: 404,
    exit: 1,
    meaning: "What was named does not exist.",
    remedy: "Check the name; `microceph mesh status` lists nodes, `microceph disk list` disks.",
  },
  AMBIGUOUS_NODE: {
    http: 409,
    exit: 2,
    meaning: "The name or prefix fits more than one node.",
    remedy: "Use one of the listed PeerIds, or a longer prefix of it.",
  },
  AMBIGUOUS_CLUSTER: {
    http: 409,
    exit: 2,
    meaning: "Several clusters in sight have this name.",
    remedy: "Use the id of the cluster; `microceph mesh status` lists them.",
  },
  NO_PUBLIC_NETWORK: {
    http: 409,
    exit: 3,
    meaning: "This node has no address on a network that can carry a cluster.",
    remedy: "Give an interface an address that is neither loopback nor link-local, then try again.",
  },
  NO_QUORUM: {
    http: 503,
    exit: 3,
    meaning: "A majority of the voters cannot be reached, so nothing can be decided.",
    remedy: "Bring voters back (`microceph mesh status` names them). Reads and wishes still work here.",
  },
  CONSENT_NEEDED: {
    http: 409,
    exit: 4,
    meaning: "The change would move more data than may be moved without being asked.",
    remedy:
      "The message says how much. Run the command again with --yes to let it move; nothing was changed.",
  },
  OSD_NEEDED: {
    http: 409,
    exit: 4,
    meaning: "Without this OSD the pools could not keep their copies, or the data would not fit.",
    remedy:
      "Add a disk first. The message says which check failed, and which option takes the risk. Nothing was changed.",
  },
  REMOVAL_TOO_LATE: {
    http: 409,
    exit: 4,
    meaning: "The OSD is out of Ceph already, or was never to go: there is no removal to call off.",
    remedy: "Its disk can be added again: `microceph disk add --wipe`.",
  },
  LAST_MEMBER: {
    http: 409,
    exit: 4,
    meaning: "The only member of a cluster cannot leave it: its data has nowhere to go.",
    remedy: "Add a member first; or stop the daemon and remove its state directory to give the cluster up.",
  },
  MEMBER_ALIVE: {
    http: 409,
    exit: 4,
    meaning: "A member that answers is not removed as dead.",
    remedy: "Leave --dead away: the member then moves what it carries first. Nothing was changed.",
  },
  MEMBER_DEAD: {
    http: 409,
    exit: 4,
    meaning: "A member that does not answer cannot move what it carries.",
    remedy: "Bring it back, or remove it with --dead if it does not come back. Nothing was changed.",
  },
  WISH_CONFLICT: {
    http: 409,
    exit: 4,
    meaning: "What is to be moved was said before to stay where it is, or not to be where it is to go.",
    remedy:
      "Take that back first (`microceph enable` or `disable` with `mon`, `mgr` or `mds`), or choose another member.",
  },
  NOTHING_TO_MOVE: {
    http: 409,
    exit: 1,
    meaning: "A migration was asked for that would change nothing.",
    remedy:
      "`microceph status` shows who carries what: one member has one vote, monitor, manager and metadata server at most.",
  },
  DOWNGRADE_UNCONFIRMED: {
    http: 409,
    exit: 4,
    meaning: "A narrower failure domain lets copies share a host or rack that they did not share before.",
    remedy: "Run the command again with --confirm-failure-domain-downgrade if that is meant.",
  },
  RULE_NOT_OURS: {
    http: 409,
    exit: 4,
    meaning: "The default CRUSH rule is one that somebody made: it is never changed by this product.",
    remedy: "Set osd_pool_default_crush_rule to one of the rules microceph_auto_… to hand it over.",
  },
  ENCRYPTION_UNSUPPORTED: {
    http: 409,
    exit: 3,
    meaning: "This node cannot encrypt disks now: a program or a part of the kernel is missing.",
    remedy: "The message names what is missing; `microceph disk encryption-support` looks again.",
  },
  NOT_ENCRYPTED: {
    http: 409,
    exit: 4,
    meaning: "The OSD is not encrypted, so it has no key to change.",
    remedy: "Encryption is chosen when an OSD is made: `microceph disk add --encrypt`. Nothing was changed.",
  },
  ENCRYPTION_KEY_WRONG: {
    http: 409,
    exit: 4,
    meaning: "The key that the monitors keep for an encrypted OSD does not open its disk.",
    remedy: "Nothing was changed. Is it the right disk? `microceph disk list` shows which disk is whose.",
  },
  LEASE_LOST: {
    http: 503,
    exit: 3,
    meaning: "Another voter holds the leader lease now.",
    remedy: "Nothing to do: the new holder goes on. Run the command again if it was yours.",
  },
  STALE_DECISION: {
    http: 409,
    exit: 4,
    meaning: "The decision was overtaken by a later one and must not be carried out.",
    remedy: "Nothing to do: the later decision is carried out instead.",
  },
  CANCEL_NOT_ACKNOWLEDGED: {
    http: 409,
    exit: 4,
    meaning: "A node may be carrying the decision out and has not promised to leave it.",
    remedy: "Bring that node back; then the decision ends by itself.",
  },
  DEADLINE_EXCEEDED: {
    http: 504,
    exit: 1,
    meaning: "A call did not finish in its time.",
    remedy: "Look at `microceph status` and try again; what was begun is completed or undone by itself.",
  },
  CANCELLED: {
    http: 499,
    exit: 1,
    meaning: "The operation was cancelled, or the daemon is stopping.",
    remedy: "Run it again: what was begun is completed or undone.",
  },
  PORT_IN_USE: {
    http: 500,
    exit: 1,
    meaning: "Another process listens on an address that the daemon needs.",
    remedy:
      "Stop that process (`ss -ltnp` names it), or start microcephd with another --lobby-port or --mesh-port.",
  },
  ADDRESS_UNAVAILABLE: {
    http: 500,
    exit: 1,
    meaning: "An address that the daemon is to listen on cannot be used on this host.",
    remedy: "The message says why. Ports below 1024 need root; --lobby-port and --mesh-port choose others.",
  },
  MISSING_PROGRAM: {
    http: 500,
    exit: 3,
    meaning: "A program of Ceph or etcd is not installed.",
    remedy:
      "Install the packages ceph-mon, ceph-mgr, ceph-osd, ceph-mds, ceph-common and etcd-server (3.4 or later).",
  },
  PROGRAM_FAILED: {
    http: 500,
    exit: 1,
    meaning: "A program ended with an error.",
    remedy: "Its last lines are in the message; the whole is in its log.",
  },
  DISK_FULL: {
    http: 507,
    exit: 1,
    meaning: "The file system of the state directory has no room.",
    remedy: "Free some room; nothing half-written stays behind.",
  },
  NEEDS_ROOT: {
    http: 403,
    exit: 2,
    meaning: "This needs root.",
    remedy: "Run it as root.",
  },
  STATE_CORRUPT: {
    http: 500,
    exit: 1,
    meaning: "A file of the daemon's state cannot be read.",
    remedy:
      "The message names the file. A damaged state.db is set aside, and a member fetches what it held from the others; anything else has to be restored.",
  },
  STATE_TOO_NEW: {
    http: 500,
    exit: 4,
    meaning: "A file of the daemon's state was written by a later version.",
    remedy: "Install that version or a later one. Nothing was changed.",
  },
  CEPH_UNREACHABLE: {
    http: 503,
    exit: 3,
    meaning: "Ceph's monitors do not answer.",
    remedy: "Bring back a majority of the monitors (`microceph status` names them) and try again.",
  },
  CEPH_REFUSED: {
    http: 409,
    exit: 1,
    meaning: "Ceph answered a command with an error.",
    remedy: "Ceph's own words are in the message; `microceph status` shows its health.",
  },
  CEPH_DAEMON_DOWN: {
    http: 503,
    exit: 3,
    meaning: "A Ceph daemon of this node does not run or does not answer on its admin socket.",
    remedy: "It is restarted by itself. If it stays down, its log in the state directory says why.",
  },
  PATH_TOO_LONG: {
    http: 400,
    exit: 2,
    meaning: "The path of a Unix socket would be longer than the 107 bytes that Linux allows.",
    remedy: "Use a state directory with a shorter path (--state-dir).",
  },
  DISK_TOO_SMALL: {
    http: 400,
    exit: 2,
    meaning: "The disk or loop file is too small for an OSD.",
    remedy: "Use at least 512 MiB, better 4 GiB or more.",
  },
  DISK_IN_USE: {
    http: 409,
    exit: 4,
    meaning: "The disk is read-only, mounted, partitioned, held by something, or has content.",
    remedy:
      "Choose another disk (`microceph disk list`). If only old content is in the way and may be lost, add it with --wipe.",
  },
  TOKEN_REFUSED: {
    http: 403,
    exit: 4,
    meaning:
      "The cluster does not honour this join token: it was used by another node, revoked, or has expired.",
    remedy: "Get another one on a member: `microceph cluster add NAME`.",
  },
  NAME_TAKEN: {
    http: 409,
    exit: 4,
    meaning: "Something of this kind has this name already, or what is there once has another.",
    remedy: "Choose another name; the message says what has it (of members: `microceph cluster list`).",
  },
  FILE_SYSTEM_EXPORTED: {
    http: 409,
    exit: 4,
    meaning: "A file system cannot be removed while folders of it are exported by NFS.",
    remedy: "`microceph nfs export remove PSEUDO-PATH` first; `microceph nfs export list` shows all.",
  },
  NFS_CLIENTS_HIDDEN: {
    http: 409,
    exit: 4,
    meaning:
      "An NFS export for some clients only would be reached at the common address, where gateways see the ingress instead of the client.",
    remedy:
      "Show it to all who reach the address (`microceph nfs export remove`, and `create` without `--client`), and say in a firewall who does; or leave NFS out of the ingress: `microceph enable ingress --service`.",
  },
  REMOTE_IN_USE: {
    http: 409,
    exit: 4,
    meaning: "A site cannot be forgotten while images are mirrored with it.",
    remedy:
      "End that first (`microceph replication disable rbd POOL`, `microceph replication disable cephfs --volume NAME`); `replication list rbd` and `list cephfs` show what is mirrored.",
  },
  REPLICATION_CONFLICT: {
    http: 409,
    exit: 4,
    meaning: "Images are mirrored in another way already, or in the other direction.",
    remedy: "The message says which; `microceph replication list rbd` shows all of them.",
  },
  REPLICATION_INCOMPLETE: {
    http: 500,
    exit: 1,
    meaning: "Some images were not promoted, or not demoted; the others were.",
    remedy:
      "Run it again once what the message says is mended; a promotion without the other site's word needs --yes-i-really-mean-it.",
  },
  RESET_REFUSED: {
    http: 409,
    exit: 4,
    meaning: "A cluster may count on this node, or it has OSDs.",
    remedy: "Leave the cluster first (`microceph cluster leave`), or give --keep-disks.",
  },
  RECOVERY_REFUSED: {
    http: 409,
    exit: 4,
    meaning:
      "The cluster cannot be, or need not be, recovered on this node, or the declared nodes are not those lost.",
    remedy: "`microceph cluster recover --dry-run` shows what each member last knew.",
  },
  RECOVERY_UNCONFIRMED: {
    http: 409,
    exit: 4,
    meaning: "A recovery gives up what only the lost voters knew, so each of them must be named.",
    remedy: "Make sure that they are off and stay off, then name each with --lost.",
  },
  BACKUP_REFUSED: {
    http: 409,
    exit: 4,
    meaning:
      "The backup cannot be made or restored here: the file, the passphrase or the node does not fit. Nothing was changed.",
    remedy: "The message says what does not fit; a backup is made on a voter, and restored on a fresh node.",
  },
  MAINTENANCE_FAILED: {
    http: 409,
    exit: 4,
    meaning: "A step of the maintenance of a member was refused or failed.",
    remedy: "The output says which and why. `--force` goes on past checks that fail, at your risk.",
  },
  UPGRADE_BLOCKED: {
    http: 409,
    exit: 4,
    meaning:
      "An upgrade does not go on: data is not whole, a monitor is out of quorum, data would not be served while an OSD restarts, another upgrade runs, or Ceph cannot go from what runs to what is installed.",
    remedy:
      "Look at `microceph status`; once it is mended run it again: it goes on where it stopped. With --force it goes on all the same: data without another copy is not served while its OSD restarts.",
  },
  DATA_LOSS_UNCONFIRMED: {
    http: 409,
    exit: 4,
    meaning: "Data would be lost, or be lost with the next disk.",
    remedy: "The message says which. Run the command again with --yes-i-really-mean-it if that is meant.",
  },
  DAEMON_NEEDED: {
    http: 409,
    exit: 4,
    meaning:
      "The last running manager or metadata server cannot be taken away, nor a monitor that no other member could have.",
    remedy:
      "Have another run first: `microceph enable mgr --target NODE` (or `mds`); for a monitor, add a member, or bring one back.",
  },
  TOO_MANY_MONITORS: {
    http: 409,
    exit: 4,
    meaning: "Monitors are wanted by name on more members than there are to be monitors.",
    remedy: "Take one back first: `microceph disable mon --target NODE`. Seven members have five monitors.",
  },
  POOL_NEEDED: {
    http: 409,
    exit: 4,
    meaning: "A pool cannot be removed: something uses it.",
    remedy:
      "The message says what: disable or remove that first (`microceph disable rgw --all`, `ceph fs rm …`).",
  },
  SETTING_REFUSED: {
    http: 409,
    exit: 4,
    meaning: "An option of Ceph is not for anybody to set: microceph writes it into every ceph.conf itself.",
    remedy: "Addresses and networks follow the nodes; `microceph cluster config list` shows what is set.",
  },
  GATEWAY_NEEDED: {
    http: 503,
    exit: 3,
    meaning: "No S3 gateway is placed yet.",
    remedy: "Ask for one with `microceph enable rgw`; `microceph mesh explain rgw` says what it waits for.",
  },
  SERVICE_REFUSED: {
    http: 409,
    exit: 1,
    meaning:
      "A service that is wanted could not be placed on a node: its port or a program is missing there.",
    remedy:
      "Mend what the message names, or choose otherwise (`--port`, `--target`); it is tried again now and then, until `microceph disable` takes it back.",
  },
  ADDRESS_IN_USE: {
    http: 409,
    exit: 4,
    meaning: "Something on the network answers at the address that was to be the common one.",
    remedy: "Choose an address that nobody has; look with `ip neigh show ADDRESS`.",
  },
  USER_HAS_BUCKETS: {
    http: 409,
    exit: 4,
    meaning: "The S3 user owns buckets, which would go with it.",
    remedy: "Empty and remove its buckets first, or give --purge-data: all that is in them is lost.",
  },
  UNSUPPORTED_BY_PEER: {
    http: 501,
    exit: 1,
    meaning: "The other node does not know this request.",
    remedy: "Bring both nodes to the same version.",
  },
  PEER_UNREACHABLE: {
    http: 502,
    exit: 1,
    meaning: "Another node does not answer.",
    remedy: "Check that node's daemon and the network between the two; `microceph mesh status` shows both.",
  },
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof errorCodes;

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}
