/** A free port on the host of an address, or another path beside it. */
export function onHostOf(address: string): string {
  const tcp = splitTcp(address);
  return tcp === undefined ? `${address}-${Math.random().toString(36).slice(2, 10)}` : `tcp://${tcp.host}:*`;
}

/** An address as engines are told it: a bound 0.0.0.0 or [::] is no place to connect to. */
export function advertised(address: string, host: string | undefined): string {
  const tcp = splitTcp(address);
  if (tcp === undefined) return address;
  if (host !== undefined) return `tcp://${host}:${tcp.port}`;
  return /^(0\.0\.0\.0|\[::\]|\*)$/.test(tcp.host) ? `tcp://127.0.0.1:${tcp.port}` : address;
}

function splitTcp(address: string): { readonly host: string; readonly port: string } | undefined {
  const match = /^tcp:\/\/(.+):(\d+|\*)$/.exec(address);
  const [, host, port] = match ?? [];
  return host === undefined || port === undefined ? undefined : { host, port };
}
