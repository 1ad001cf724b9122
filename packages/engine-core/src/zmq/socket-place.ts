/** Where a socket is: a path of a Unix socket, or a host and a port. */
export type SocketPlace =
  | { readonly path: string }
  /** `host` is `*` for every address of the machine, `port` 0 for a free one. */
  | { readonly path?: undefined; readonly host: string; readonly port: number };

/** Reads a ZeroMQ address, `tcp://HOST:PORT` or `ipc://PATH`. Throws an Error for anything else. */
export function parseAddress(address: string): SocketPlace {
  const path = /^ipc:\/\/(.+)$/.exec(address)?.[1];
  if (path !== undefined) return { path };
  const [, host, port] = /^tcp:\/\/(\*|\[[^\]]+\]|[^:[\]]+):(\d{1,5}|\*)$/.exec(address) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new Error("it must be tcp://HOST:PORT or ipc://PATH");
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: port === "*" ? 0 : Number(port) };
}
