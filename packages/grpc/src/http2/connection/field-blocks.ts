import type { AnswerBlocks } from "../frame/answer.ts";
import { copyBytes } from "../frame/copy-bytes.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import type { FixedFields } from "./fixed-fields.ts";

/** Values of these are secrets of a kind that compression can give away (RFC 7541 section 7.1). */
const neverIndexed: ReadonlySet<string> = new Set(["authorization", "cookie", "set-cookie", "proxy-authorization"]);

/** Longest block that is kept. */
export const maxKeptBytes = 64;

/** What stands around the content of an answer that goes out whole. */
export interface WholeAnswer {
  readonly header: FixedFields;
  readonly trailers: FixedFields;
}

interface Kept {
  readonly generation: number;
  readonly bytes: Uint8Array;
}

/** The blocks of the answer that was asked for last: most are alike. */
interface KeptAnswer extends AnswerBlocks {
  readonly answer: WholeAnswer;
  readonly generation: number;
}

/** Encodes the field blocks that a connection sends. */
export class FieldBlocks {
  readonly encoder: HpackEncoder = new HpackEncoder();
  readonly #kept: (Kept | undefined)[] = [];
  #keptAnswer: KeptAnswer | undefined;

  /**
   * The block of the fixed fields alone, when it is known and means what it did when it was written first. A size update that
   * is due has changed the generation.
   */
  kept(fixed: FixedFields): Uint8Array | undefined {
    const kept = this.#kept[fixed.slot];
    return kept !== undefined && kept.generation === this.encoder.generation ? kept.bytes : undefined;
  }

  /** Both blocks of an answer, when both are {@link kept}. */
  keptAnswer(answer: WholeAnswer): AnswerBlocks | undefined {
    const kept = this.#keptAnswer;
    if (kept !== undefined && kept.answer === answer && kept.generation === this.encoder.generation) return kept;
    const header = this.kept(answer.header);
    const trailers = this.kept(answer.trailers);
    if (header === undefined || trailers === undefined) return undefined;
    this.#keptAnswer = { answer, generation: this.encoder.generation, header, trailers };
    return this.#keptAnswer;
  }

  /** Bytes that {@link write} needs at most. */
  maxBytes(fixed: FixedFields, extra: readonly string[]): number {
    if (extra.length === 0 && this.kept(fixed) !== undefined) return maxKeptBytes;
    return this.encoder.maxBytes(fixed.fields) + this.encoder.maxBytes(extra);
  }

  /** Writes a block of the fixed fields and then `extra` (names and values by turns), and answers its end. */
  write(out: Uint8Array, at: number, fixed: FixedFields, extra: readonly string[]): number {
    const kept = this.kept(fixed);
    let end: number;
    if (kept === undefined) end = this.#encodeFixed(out, this.encoder.encodeUpdates(out, at), fixed);
    else end = copyBytes(kept, kept.length, out, at);
    for (let i = 0; i < extra.length; i += 2) {
      const name = extra[i] as string;
      end = this.encoder.encode(out, end, name, extra[i + 1] as string, neverIndexed.has(name) ? "never" : "plain");
    }
    return end;
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
    if (encoder.generation === before && end - at <= maxKeptBytes) {
      this.#kept[fixed.slot] = { generation: before, bytes: Uint8Array.from(out.subarray(at, end)) };
    }
    return end;
  }
}
