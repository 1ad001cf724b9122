/**
 * Every bound of the server on one page. What a peer can make the server hold or do is counted against one of these.
 * Times are milliseconds, sizes are bytes; `Infinity` lifts a bound where that makes sense.
 */
export interface Limits {
  /** Connections at a time, over all listeners; more are closed as they come. Default 65,536: a usual limit of open files. */
  readonly maxConnections: number;
  /** Calls that one connection may have open, handlers that outlive their call included. Default 16,384: a gateway's watches and streams. */
  readonly maxConcurrentStreams: number;
  /** Size of a request's metadata (names, values, 32 for each). Default 16 KiB: the hard limit of gRPC's C core. */
  readonly maxHeaderListBytes: number;
  /** Bytes of one field block on the wire. Default 32 KiB: a list at its bound, coded as badly as can be, is below it. */
  readonly maxHeaderBlockBytes: number;
  /** Largest request message, after decompression. Default 4 MiB: gRPC's own default. */
  readonly maxReceiveMessageBytes: number;
  /** Request bytes that the whole server holds: messages not complete or not yet read, metadata beyond 1 KiB. Default 256 MiB. */
  readonly maxBufferedRequestBytes: number;
  /** What a client may send on a stream before it hears from us. Default 256 KiB: a long prompt in one round trip. */
  readonly initialWindowBytes: number;
  /** How far a stream's window grows on a path with a long round trip. Default 8 MiB: 640 Mbit/s at 100 ms. */
  readonly maxWindowBytes: number;
  /** Frames that are taken from one connection in one turn of the event loop. Default 256: some ms when all are requests. */
  readonly maxFramesPerTurn: number;
  /** Output that one connection collects in one turn before its streams take turns. Default 32 KiB: bounds what a check waits behind. */
  readonly maxUnflushedBytes: number;
  /** Output waiting for a client that does not read, after which nothing more is read from it. Default 1 MiB. */
  readonly maxBacklogBytes: number;
  /**
   * Answers that one connection holds for a client that gives no window; with more, its new calls are refused with
   * REFUSED_STREAM. Default 64 MiB: sixteen answers of gRPC's default size.
   */
  readonly maxPendingResponseBytes: number;
  /** Time from connecting to the client's first SETTINGS, TLS included. Default 20 s: grpc-go waits 120, a slow path needs 2. */
  readonly handshakeTimeoutMs: number;
  /** Time for the rest of a field block once it has begun. Default 10 s. */
  readonly headerTimeoutMs: number;
  /**
   * Time that a request may take to come while the server waits for it: all of it where it is one message, and each
   * message of a stream from its first byte on. Default 2 min: 4 MiB at 280 kbit/s. Found up to half of it later.
   */
  readonly requestTimeoutMs: number;
  /** A connection without a frame for so long is pinged. Default 60 s, so that a client that vanished frees its streams; `Infinity`: never. */
  readonly keepaliveTimeMs: number;
  /** How long the answer to such a ping may take. Default 20 s: gRPC's default. */
  readonly keepaliveTimeoutMs: number;
  /** Pings that come faster than this, with nothing sent between them, are strikes. Default 10 s: more lenient than gRPC's 5 minutes. */
  readonly minPingIntervalMs: number;
  /** Whether pings without a call in flight are held to the same interval; else to two hours. Default true. */
  readonly permitPingsWithoutCalls: boolean;
  /** Strikes that a connection survives. Default 2: gRPC's default. */
  readonly maxPingStrikes: number;
  /** A connection without a call for so long is closed gracefully. Default `Infinity`. */
  readonly maxConnectionIdleMs: number;
  /** A connection older than this, give or take a tenth, is closed gracefully. Default `Infinity`. */
  readonly maxConnectionAgeMs: number;
  /** How long calls in flight may go on after that. Default `Infinity`. */
  readonly maxConnectionAgeGraceMs: number;
  /** Frames that carry nothing (acks, tiny window updates, priorities, empty data) at once. Default 20,000: a few ms of work. */
  readonly controlFrameBurst: number;
  /** And per second after that; content sent or received earns more. Default 10,000. */
  readonly controlFramesPerSecond: number;
  /** Calls that a client may take back at once within a second of making them. Default 2,000 (CVE-2023-44487). */
  readonly resetBurst: number;
  /** And per second after that. Default 500. */
  readonly resetsPerSecond: number;
}

export const defaultLimits: Limits = {
  maxConnections: 65_536,
  maxConcurrentStreams: 16_384,
  maxHeaderListBytes: 16 * 1024,
  maxHeaderBlockBytes: 32 * 1024,
  maxReceiveMessageBytes: 4 * 1024 * 1024,
  maxBufferedRequestBytes: 256 * 1024 * 1024,
  initialWindowBytes: 256 * 1024,
  maxWindowBytes: 8 * 1024 * 1024,
  maxFramesPerTurn: 256,
  maxUnflushedBytes: 32 * 1024,
  maxBacklogBytes: 1024 * 1024,
  maxPendingResponseBytes: 64 * 1024 * 1024,
  handshakeTimeoutMs: 20_000,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  keepaliveTimeMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  minPingIntervalMs: 10_000,
  permitPingsWithoutCalls: true,
  maxPingStrikes: 2,
  maxConnectionIdleMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeGraceMs: Number.POSITIVE_INFINITY,
  controlFrameBurst: 20_000,
  controlFramesPerSecond: 10_000,
  resetBurst: 2_000,
  resetsPerSecond: 500,
};

/** Fills in the defaults. Throws a RangeError that names the limit for anything but a positive number. */
export function limitsOf(wanted: Partial<Limits> = {}): Limits {
  const limits = { ...defaultLimits, ...wanted };
  for (const [name, value] of Object.entries(limits)) {
    if (typeof value === "boolean") continue;
    const least = name === "maxPingStrikes" || name === "minPingIntervalMs" ? 0 : 1;
    if (typeof value !== "number" || !(value >= least)) {
      throw new RangeError(`${name} is ${value}; it must be a number of at least ${least}`);
    }
    if (!name.endsWith("Ms") && !Number.isInteger(value) && value !== Number.POSITIVE_INFINITY) {
      throw new RangeError(`${name} is ${value}; it must be a whole number`);
    }
  }
  for (const name of ["initialWindowBytes", "maxWindowBytes"] as const) {
    if (limits[name] > 0x7fff_ffff) throw new RangeError(`${name} is ${limits[name]}; a window has at most 2147483647`);
  }
  return limits;
}
