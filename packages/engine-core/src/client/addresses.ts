/** A free port on the host of an address, or another path beside it. */
export function onHostOf(address: string): string {
  const tcp = splitTcp(address);
  return tcp === undefined ? `${address}-${Math.random().toString(36).slice(2, 10)}` : `tcp://${tcp.host}:*`;
}

/**
 * An address as an engine is told it: on the `host` that was asked for, or as bound. A bound 0.0.0.0 or [::] is no place to
 * connect to; there the engine is told the address of ours at which it came.
 */
export function advertised(address: string, host: string | undefined, cameAt: string | undefined): string {
  const tcp = splitTcp(address);
  if (tcp === undefined) return address;
  if (host !== undefined) return `tcp://${inBrackets(host)}:${tcp.port}`;
  if (!/^(0\.0\.0\.0|\[::\]|\*)$/.test(tcp.host)) return address;
  return `tcp://${inBrackets(cameAt?.replace(/^::ffff:(?=\d+\.)/, "") ?? "127.0.0.1")}:${tcp.port}`;
}

function inBrackets(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

function splitTcp(address: string): { readonly host: string; readonly port: string } | undefined {
  const match = /^tcp:\/\/(.+):(\d+|\*)$/.exec(address);
  const [, host, port] = match ?? [];
  return host === undefined || port === undefined ? undefined : { host, port };
}
