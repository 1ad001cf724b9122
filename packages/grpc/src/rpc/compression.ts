import { constants, gunzip, gunzipSync, gzipSync } from "node:zlib";
import { TurnQueue } from "../http2/connection/turn-queue.ts";
import { MessageError } from "./message-reader.ts";

/** Encodings of messages that the server reads and writes. */
export type Encoding = "identity" | "gzip";

/** As `grpc-accept-encoding` lists them. */
export const acceptedEncodings = "identity,gzip";

/** A message so small is inflated at once: gzip makes at most a thousandfold of it. Others go to another thread. */
const maxSyncBytes = 512;

export function isEncoding(name: string): name is Encoding {
  return name === "identity" || name === "gzip";
}

/** Whether a `grpc-accept-encoding` value names gzip. */
export function acceptsGzip(value: string): boolean {
  return value.split(",").some((name) => name.trim() === "gzip");
}

/**
 * Inflations in other threads at a time, as many as Node has such threads. They go forward piece by piece, so that with
 * all at once each would hold most of its message before the first is done.
 */
const maxAtOnce = 4;
let running = 0;
const waiting = new TurnQueue<() => void>();

/**
 * Inflates a message, at once or later. It ends in a {@link MessageError} when it is damaged or larger than the bound,
 * and in what `begin` throws, which is called when its turn has come.
 */
export function inflate(
  bytes: Uint8Array,
  maxBytes: number,
  begin: () => void = () => undefined,
): Uint8Array | Promise<Uint8Array> {
  // zlib takes no bound below 1, and a bound that is not finite means none.
  const maxOutputLength = Math.max(1, Math.min(maxBytes, constants.Z_MAX_CHUNK, 2 ** 32));
  if (bytes.length <= maxSyncBytes) {
    begin();
    try {
      return gunzipSync(bytes, { maxOutputLength });
    } catch (thrown) {
      throw inflateError(thrown, maxBytes);
    }
  }
  return new Promise((resolve, reject) => {
    const work = (): void => {
      try {
        begin();
      } catch (thrown) {
        reject(thrown);
        next();
        return;
      }
      gunzip(bytes, { maxOutputLength }, (error, inflated) => {
        if (error === null) resolve(inflated);
        else reject(inflateError(error, maxBytes));
        next();
      });
    };
    if (running === maxAtOnce) {
      waiting.push(work);
    } else {
      running += 1;
      work();
    }
  });
}

/** One is done; its place goes to the one that has waited longest. In a later turn, so that many refusals do not pile up. */
function next(): void {
  const work = waiting.shift();
  if (work === undefined) running -= 1;
  else setImmediate(work);
}

/** Deflates a message. Fast rather than small: what is worth it are large texts. */
export function deflate(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: constants.Z_BEST_SPEED });
}

function inflateError(thrown: unknown, maxBytes: number): MessageError {
  const tooLarge = thrown instanceof Error && "code" in thrown && thrown.code === "ERR_BUFFER_TOO_LARGE";
  if (tooLarge) return new MessageError("too-large", `a message inflates to more than the ${maxBytes} bytes allowed`);
  return new MessageError("malformed", "a compressed message cannot be inflated");
}
