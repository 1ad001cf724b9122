import { HpackEncoder } from "../hpack/encoder.ts";
import type { FixedFields } from "./fixed-fields.ts";

/** Values of these are secrets of a kind that compression can give away (RFC 7541 section 7.1). */
const neverIndexed: ReadonlySet<string> = new Set(["authorization", "cookie", "set-cookie", "proxy-authorization"]);

interface Kept {
  readonly generation: number;
  readonly bytes: Uint8Array;
}

/** Encodes the field blocks that a connection sends. */
export class FieldBlocks {
  readonly encoder: HpackEncoder = new HpackEncoder();
  readonly #kept: (Kept | undefined)[] = [];

  /** Bytes that {@link write} needs at most. */
  maxBytes(fixed: FixedFields, extra: readonly string[]): number {
    if (this.#current(fixed) !== undefined && extra.length === 0) return 64;
    return this.encoder.maxBytes(fixed.fields) + this.encoder.maxBytes(extra);
  }

  /** Writes a block of the fixed fields and then `extra` (names and values by turns), and answers its end. */
  write(out: Uint8Array, at: number, fixed: FixedFields, extra: readonly string[]): number {
    const kept = this.#current(fixed);
    let end: number;
    if (kept === undefined) {
      end = this.#encodeFixed(out, this.encoder.encodeUpdates(out, at), fixed);
    } else {
      end = at;
      for (let i = 0; i < kept.length; i += 1) {
        out[end] = kept[i] as number;
        end += 1;
      }
    }
    for (let i = 0; i < extra.length; i += 2) {
      const name = extra[i] as string;
      end = this.encoder.encode(out, end, name, extra[i + 1] as string, neverIndexed.has(name) ? "never" : "plain");
    }
    return end;
  }

  #current(fixed: FixedFields): Uint8Array | undefined {
    const kept = this.#kept[fixed.slot];
    if (kept === undefined || kept.generation !== this.encoder.generation || this.encoder.hasUpdates) return undefined;
    return kept.bytes;
  }

  #encodeFixed(out: Uint8Array, at: number, fixed: FixedFields): number {
    const { encoder } = this;
    const { fields } = fixed;
    const before = encoder.generation;
    let end = at;
    for (let i = 0; i < fields.length; i += 2) {
      end = encoder.encode(out, end, fields[i] as string, fields[i + 1] as string, "index");
    }
    // Only when nothing was added do the same bytes mean the same next time.
    if (encoder.generation === before && end - at < 64) {
      this.#kept[fixed.slot] = { generation: before, bytes: Uint8Array.from(out.subarray(at, end)) };
    }
    return end;
  }
}
