import {
  type AddressInfo,
  createServer,
  type ListenOptions as NetListenOptions,
  type Server,
  type Socket,
} from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";

/** Certificates of a TLS listener. PEM texts, as strings or bytes. */
export interface TlsCredentials {
  /** The server's certificate, followed by those between it and the root. */
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Roots that client certificates are checked against. */
  readonly ca?: string | Uint8Array;
}

export interface TlsOptions extends TlsCredentials {
  /** `require` turns away clients without a certificate of `ca`'s (mutual TLS); `request` only checks one that is given. Default `none`. */
  readonly clientCertificate?: "none" | "request" | "require";
}

/** Where a server listens: a TCP address, a Unix socket, or a listening socket that the process inherited. */
export type ListenTarget =
  | {
      readonly host: string;
      /** 0 asks the system for a free port. */
      readonly port: number;
      /** Lets several processes listen on the same port, and the kernel share connections out. Default false. */
      readonly reusePort?: boolean;
      readonly tls?: TlsOptions;
    }
  | { readonly path: string; readonly tls?: TlsOptions }
  | { readonly fd: number; readonly tls?: TlsOptions };

/** An open listener. */
export interface Listener {
  /** The bound host, or the Unix socket's path. */
  readonly host: string;
  /** The bound port; 0 for a Unix socket. */
  readonly port: number;
  /**
   * Takes other certificates for connections from now on; those that stand go on. Throws for certificates that cannot
   * be used, and for a listener without TLS; the old ones stay then.
   */
  setCertificates(credentials: TlsCredentials): void;
  /** Accepts no more connections; those that stand go on. */
  close(): void;
}

const backlog = 1024;

/** Opens a listener that hands on each connection, TLS settled. Rejects with the system's error. */
export async function openListener(
  target: ListenTarget,
  handshakeTimeoutMs: number,
  onConnection: (socket: Socket) => void,
  onRefused: (socket: Socket) => boolean,
): Promise<Listener> {
  const server = makeServer(target.tls, handshakeTimeoutMs, onConnection);
  // Before TLS, so that a server at its bound spends no handshake on more.
  server.prependListener("connection", (socket: Socket) => {
    if (onRefused(socket)) socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listenOptions(target), () => {
      server.off("error", reject);
      resolve();
    });
  });
  // Errors of single accepts, as when descriptors run out, are no end of the listener.
  server.on("error", () => undefined);
  return new NetListener(server);
}

function makeServer(
  tls: TlsOptions | undefined,
  handshakeTimeoutMs: number,
  onConnection: (socket: Socket) => void,
): Server {
  if (tls === undefined) return createServer({ noDelay: true }, onConnection);
  const mode = tls.clientCertificate ?? "none";
  const server = createTlsServer(
    {
      ...contextOf(tls),
      ALPNProtocols: ["h2"],
      handshakeTimeout: handshakeTimeoutMs,
      minVersion: "TLSv1.2",
      requestCert: mode !== "none",
      rejectUnauthorized: mode === "require",
    },
    onConnection,
  );
  // A client that breaks off its handshake is no news.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

function listenOptions(target: ListenTarget): NetListenOptions & { fd?: number } {
  if ("path" in target) return { path: target.path, backlog };
  if ("fd" in target) return { fd: target.fd };
  return { host: target.host, port: target.port, backlog, reusePort: target.reusePort ?? false };
}

function contextOf({ cert, key, ca }: TlsCredentials): { cert: Buffer; key: Buffer; ca?: Buffer } {
  return { cert: pem(cert), key: pem(key), ...(ca === undefined ? {} : { ca: pem(ca) }) };
}

function pem(value: string | Uint8Array): Buffer {
  return typeof value === "string" ? Buffer.from(value) : Buffer.from(value);
}

class NetListener implements Listener {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    const address = server.address() as AddressInfo | string | null;
    this.host = typeof address === "string" ? address : (address?.address ?? "");
    this.port = typeof address === "object" && address !== null ? address.port : 0;
  }

  setCertificates(credentials: TlsCredentials): void {
    if (!("setSecureContext" in this.#server)) throw new Error("this listener has no TLS");
    (this.#server as TlsServer).setSecureContext(contextOf(credentials));
  }

  close(): void {
    this.#server.close();
  }
}
