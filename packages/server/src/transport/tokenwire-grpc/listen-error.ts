import type { ListenAddress } from "../../rpc/server.ts";

/** The flags with which a user says host and port, for the advice in the sentence. */
export interface AddressFlags {
  readonly host: string;
  readonly port: string;
}

const mainFlags: AddressFlags = { host: "--host", port: "--port" };

/** An address that cannot be bound. `message` is a sentence for the person who started the server. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  /** The system's word for it (`EADDRINUSE`, `EACCES`, …), or `UNKNOWN`. */
  readonly code: string;
  readonly address: ListenAddress;

  constructor(address: ListenAddress, code: string, why: string, cause: unknown) {
    super(`cannot listen on ${formatAddress(address)}: ${why}`, { cause });
    this.code = code;
    this.address = address;
  }

  /** Explains what `net.Server.listen` threw or emitted. `flags` default to `--host` and `--port`. */
  static from(address: ListenAddress, thrown: unknown, flags: AddressFlags = mainFlags): ListenError {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "UNKNOWN";
    return new ListenError(address, code, explain(code, thrown, flags), thrown);
  }
}

function explain(code: string, thrown: unknown, flags: AddressFlags): string {
  switch (code) {
    case "EADDRINUSE":
      return `the port is in use; choose another with ${flags.port}`;
    case "EACCES":
      return `no permission (ports below 1024 need a privilege); choose another with ${flags.port}`;
    case "EADDRNOTAVAIL":
      return `this machine does not have that address; choose another with ${flags.host}`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EAI_NONAME":
      return `the host name is unknown; choose another with ${flags.host}`;
    case "ERR_SOCKET_BAD_PORT":
      return `the port is not in 0..65535; choose another with ${flags.port}`;
    default:
      return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/** `host:port` as it is written in a URL: an IPv6 host stands in brackets. */
export function formatAddress(address: ListenAddress): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
