/** An IP address and a port as one writes them together: `10.0.0.7:7443`, `[fd00::7]:7443` (RFC 3986, section 3.2.2). */
export function hostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
