import { describe, expect, it } from "vitest";
import {
  checkScript,
  type Front,
  haproxyConfig,
  type IngressSettings,
  keepalivedConfig,
} from "../../../../src/ceph/daemons/ingress-config.ts";
import { handle } from "../../../../src/ids/ids.ts";

const fourth = { vip: "10.0.0.100", prefix: 24, port: 80 };
const sixth = { vip: "fd00::64", prefix: 64, port: 443 };
const backends = [
  { handle: handle("n2"), address: "10.0.0.2", port: 8080, tlsPort: null },
  { handle: handle("n1"), address: "fd00::1", port: 8080, tlsPort: null },
];
const paths = {
  ...{ socket: "/s/run/haproxy.sock", pid: "/s/run/haproxy.pid", check: "/s/check-haproxy" },
  certificate: null,
};

const haproxy = (
  told: IngressSettings,
  backends: Front["backends"],
  ...rest: [Parameters<typeof haproxyConfig>[2], boolean]
): string => haproxyConfig(told, { backends, s3: true, ranks: [] }, ...rest);

describe("haproxy's configuration", () => {
  it("names every gateway, in the same order whatever they came in", () => {
    const text = haproxy(fourth, backends, paths, true);
    expect(text).toContain("  server n1 [fd00::1]:8080 check\n  server n2 10.0.0.2:8080 check\n");
    expect(haproxy(fourth, [...backends].reverse(), paths, true)).toBe(text);
    expect(text).toContain("  bind 10.0.0.100:80 transparent\n");
    expect(haproxy(sixth, [], paths, true)).toContain("  bind [fd00::64]:443 transparent\n");
  });

  it("speaks TLS itself once it has the certificate, and can send a request again", () => {
    const one = { handle: handle("n3"), address: "10.0.0.3", port: null, tlsPort: 8443 };
    const told = { ...paths, certificate: "/s/abc.pem" };
    const [, encrypted = ""] = haproxy(fourth, [one], told, true).split("frontend s3-tls");
    expect(encrypted).toContain("  bind 10.0.0.100:443 transparent ssl crt /s/abc.pem\n");
    expect(encrypted).toMatch(/retry-on conn-failure empty-response\n[\s\S]* ssl verify none\n/);
    expect(encrypted).not.toMatch(/mode tcp|check-ssl/);
    // Gateways without TLS are no business of it.
    expect(haproxy(fourth, backends, told, true)).not.toContain("s3-tls");
  });

  it("passes TLS on as it is without, and only where a gateway speaks it", () => {
    expect(haproxy(fourth, backends, paths, true)).not.toContain("s3-tls");
    const both = { handle: handle("n3"), address: "10.0.0.3", port: null, tlsPort: 8443 };
    const text = haproxy(fourth, [...backends, both], paths, true);
    const [plain = "", encrypted = ""] = text.split("frontend s3-tls");
    expect(plain).not.toContain("n3");
    expect(encrypted).toContain("  bind 10.0.0.100:443 transparent\n");
    expect(encrypted).toContain("  server n3 10.0.0.3:8443 check\n");
    expect(encrypted).not.toContain("n1");
    expect(haproxy({ ...fourth, tlsPort: 8443 }, [both], paths, true)).toContain(
      "10.0.0.100:8443 transparent",
    );
  });

  it("shows what the active manager has to show, at the ports after the managers' own", () => {
    expect(haproxy(fourth, backends, paths, true)).not.toMatch(/prometheus|dashboard/);
    const manager = { handle: handle("n1"), address: "10.0.0.1" };
    const text = haproxy(
      fourth,
      [
        { ...manager, port: 9283, tlsPort: null, panel: "prometheus" },
        { ...manager, port: null, tlsPort: 8443, panel: "dashboard" },
        ...backends,
      ],
      paths,
      true,
    );
    expect(text).toMatch(/bind 10\.0\.0\.100:9284 transparent\n(?:.*\n)*.*server n1 10\.0\.0\.1:9283 check/);
    expect(text).toMatch(/bind 10\.0\.0\.100:8444 transparent\n(?:.*\n)*.*server n1 10\.0\.0\.1:8443 check/);
    // They are no gateways.
    expect(text.split("frontend prometheus")[0]).not.toMatch(/:9283|:8443/);
  });

  it("sends each NFS client to a gateway of its own, and to no other while that one is away", () => {
    const nfs = { ...fourth, nfsPort: 2049 };
    const gateway = (n: number, rank: number) => ({
      ...{ handle: handle(`n${n}`), address: `10.0.0.${n}`, port: 12_049, tlsPort: null, rank },
    });
    const text = haproxyConfig(nfs, { backends: [gateway(3, 2)], s3: false, ranks: [0, 2] }, paths, true);
    expect(text).toContain("frontend nfs\n  mode tcp\n  bind 10.0.0.100:2049 transparent\n");
    expect(text).toContain("  use_backend nfs-%[src,crc32(1),mod(2)]\n");
    expect(text.split("backend nfs-0\n")[1]?.split("backend nfs-1\n")).toEqual([
      "  mode tcp\n",
      expect.stringMatching(
        /^ {2}mode tcp\n {2}server n3 10\.0\.0\.3:12049 source 10\.0\.0\.100:0 tcp-ut 5s\n$/,
      ),
    ]);
    // Of S3 nothing is there.
    expect(text).not.toMatch(/s3|:80 /);
    expect(haproxyConfig(nfs, { backends: [], s3: true, ranks: [] }, paths, true)).not.toContain("nfs");
  });

  it("gives root up where there is a user for it", () => {
    expect(haproxy(fourth, [], paths, true)).toContain("  user nobody\n");
    expect(haproxy(fourth, [], paths, false)).not.toContain("nobody");
  });
});

describe("keepalived's configuration", () => {
  it("is the same router on every node, with a priority of its own", () => {
    const [one = "", two = ""] = ["n1", "n2"].map((name) =>
      keepalivedConfig(fourth, handle(name), "eth0", paths),
    );
    const numberAfter = (text: string, key: string): number =>
      Number(new RegExp(`${key} (\\d+)`).exec(text)?.[1]);
    expect(numberAfter(one, "virtual_router_id")).toBe(numberAfter(two, "virtual_router_id"));
    expect(numberAfter(one, "priority")).not.toBe(numberAfter(two, "priority"));
    for (let n = 0; n < 300; n += 1) {
      const text = keepalivedConfig(
        { ...fourth, vip: `10.0.${n >> 8}.${n & 255}` },
        handle(`n${n}`),
        "eth0",
        paths,
      );
      const [router, priority] = [numberAfter(text, "virtual_router_id"), numberAfter(text, "priority")];
      expect(router >= 1 && router <= 255 && priority >= 1 && priority <= 254).toBe(true);
    }
  });

  it("puts the address on the interface of its network, and takes it away when haproxy is gone", () => {
    const text = keepalivedConfig(fourth, handle("n1"), "ens3", paths);
    expect(text).toMatch(/interface ens3\n[\s\S]*virtual_ipaddress \{\n {4}10\.0\.0\.100\/24\n/);
    expect(text).toContain('script "/s/check-haproxy"');
    expect(text).not.toContain("native_ipv6");
    expect(keepalivedConfig(sixth, handle("n1"), "ens3", paths)).toContain("native_ipv6");
    expect(checkScript(paths)).toBe("#!/bin/sh\nexec kill -0 \"$(cat '/s/run/haproxy.pid')\"\n");
  });
});
