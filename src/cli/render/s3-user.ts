import type { S3User } from "../../api/contract/s3.ts";

/** The newest key, and the same ready to be pasted for the clients that people use. */
export function s3UserText({ name, keys, swift_keys, endpoints }: S3User): string {
  const key = keys.at(-1);
  if (key === undefined) return `${name} has no key: microceph s3 user key ${name} --new\n`;
  const older = keys.slice(0, -1).map(({ access_key, secret_key }) => `  ${access_key}  ${secret_key}\n`);
  const head = [
    `User:        ${name}`,
    `Access key:  ${key.access_key}`,
    `Secret key:  ${key.secret_key}`,
    `Endpoints:   ${endpoints.join(" ") || "none yet: microceph enable rgw"}`,
    ...swift_keys.map(({ user, secret_key }) => `Swift:       ${user}  ${secret_key}`),
  ].join("\n");
  const others = older.length === 0 ? "" : `Other keys:\n${older.join("")}`;
  const [endpoint] = endpoints;
  if (endpoint === undefined) return `${head}\n${others}`;
  const settings = [
    ...clientSettings(name, key, endpoint),
    ...swift_keys.slice(0, 1).map((one) => swiftSettings(one, endpoint)),
  ]
    .map(({ title, text }) => `\n# ${title}\n${text}`)
    .join("");
  return `${head}\n${others}${settings}`;
}

/** What the client `swift` needs (swift(1)). */
export function swiftSettings(
  { user, secret_key }: { readonly user: string; readonly secret_key: string },
  endpoint: string,
): { readonly title: string; readonly text: string } {
  return {
    title: "swift: for the shell",
    text: [
      `export ST_AUTH=${endpoint}/auth/v1.0`,
      `export ST_USER=${user}`,
      `export ST_KEY=${secret_key}`,
      // A gateway answers with its own port, which is not that of the common address.
      `export OS_STORAGE_URL=${endpoint}/swift/v1`,
      "swift list",
      "",
    ].join("\n"),
  };
}

/** What each client needs, for its shell or its configuration file. */
export function clientSettings(
  user: string,
  key: { readonly access_key: string; readonly secret_key: string },
  endpoint: string,
): { readonly title: string; readonly text: string }[] {
  const { host, protocol } = new URL(endpoint);
  return [
    {
      title: "awscli: for the shell",
      text: [
        `export AWS_ACCESS_KEY_ID=${key.access_key}`,
        `export AWS_SECRET_ACCESS_KEY=${key.secret_key}`,
        "export AWS_DEFAULT_REGION=default",
        `aws --endpoint-url ${endpoint} s3 ls`,
        "",
      ].join("\n"),
    },
    {
      title: "s3cmd: ~/.s3cfg",
      text: [
        "[default]",
        `access_key = ${key.access_key}`,
        `secret_key = ${key.secret_key}`,
        `host_base = ${host}`,
        `host_bucket = ${host}`,
        `use_https = ${protocol === "https:" ? "True" : "False"}`,
        "",
      ].join("\n"),
    },
    {
      title: "rclone: ~/.config/rclone/rclone.conf",
      text: [
        `[${user}]`,
        "type = s3",
        "provider = Ceph",
        `access_key_id = ${key.access_key}`,
        `secret_access_key = ${key.secret_key}`,
        `endpoint = ${endpoint}`,
        "",
      ].join("\n"),
    },
  ];
}
