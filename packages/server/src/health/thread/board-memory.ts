/**
 * The shared memory between the thread that knows and the thread that answers. Numbers are in the machine's byte order.
 *
 * | bytes | type | meaning |
 * | --- | --- | --- |
 * | 0–3 | int32 | beats: how often the main loop has turned its timer; wraps |
 * | 4–7 | int32 | sequence: odd while a record is being written, otherwise twice the number of records; wraps |
 * | 8–15 | int64 | when the last beat was, milliseconds since the epoch |
 * | 16–19 | int32 | length of the record in bytes |
 * | 20–23 | | not used |
 * | 24–… | bytes | the record, filled up to whole words |
 *
 * One thread writes, any number reads, and none waits for another: a sequence lock. Each word is read and written
 * atomically, the record's too: all atomic accesses of JavaScript stand in one total order, so a reader that finds the
 * same even sequence before and after its copy has copied one record. With plain accesses a processor may move the copy
 * past the second look (ECMA-262, "Memory Model").
 */
const beatsWord = 0;
const sequenceWord = 1;
const beatTimeWord = 1; // of 8 bytes
const lengthWord = 4;
const headerWords = 6;

/**
 * A writer is at it for microseconds. One that the system stopped halfway must not stop its readers: they come back at
 * the next change.
 */
const maxReadAttempts = 64;

export interface BoardRecord {
  /** Changes with each record. */
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** One view of the memory. Each thread makes its own over the same buffer. */
export class BoardMemory {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #wide: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#wide = new BigInt64Array(buffer, 0, headerWords / 2);
  }

  /** New memory for records of up to `capacityBytes`, with an empty record in it. */
  static allocate(capacityBytes: number): BoardMemory {
    return new BoardMemory(new SharedArrayBuffer((headerWords + Math.ceil(capacityBytes / 4)) * 4));
  }

  /** Longest record. */
  get capacityBytes(): number {
    return (this.#words.length - headerWords) * 4;
  }

  /** Counts one turn of the writer's loop. `nowMs` is in milliseconds since the epoch. */
  beat(nowMs: number): void {
    Atomics.store(this.#wide, beatTimeWord, BigInt(Math.round(nowMs)));
    Atomics.add(this.#words, beatsWord, 1);
  }

  get beats(): number {
    return Atomics.load(this.#words, beatsWord);
  }

  /** Milliseconds since the epoch; 0 before the first beat. */
  get beatAtMs(): number {
    return Number(Atomics.load(this.#wide, beatTimeWord));
  }

  get sequence(): number {
    return Atomics.load(this.#words, sequenceWord);
  }

  /** Replaces the record and wakes who waits. Throws a RangeError, and changes nothing, when it does not fit. */
  write(bytes: Uint8Array): void {
    if (bytes.length > this.capacityBytes) {
      throw new RangeError(`the record has ${bytes.length} bytes, at most ${this.capacityBytes} fit`);
    }
    const source = toWords(bytes);
    const sequence = Atomics.load(this.#words, sequenceWord);
    Atomics.store(this.#words, sequenceWord, (sequence + 1) | 0);
    Atomics.store(this.#words, lengthWord, bytes.length);
    for (let word = 0; word < source.length; word += 1) {
      Atomics.store(this.#words, headerWords + word, source[word] ?? 0);
    }
    Atomics.store(this.#words, sequenceWord, (sequence + 2) | 0);
    Atomics.notify(this.#words, sequenceWord);
  }

  /** A copy of the record as it was at one moment, or undefined when it was being written all the time. */
  read(): BoardRecord | undefined {
    for (let attempt = 0; attempt < maxReadAttempts; attempt += 1) {
      const sequence = Atomics.load(this.#words, sequenceWord);
      if (sequence % 2 !== 0) continue;
      const length = Atomics.load(this.#words, lengthWord);
      const copy = new Int32Array(Math.ceil(length / 4));
      for (let word = 0; word < copy.length; word += 1) copy[word] = Atomics.load(this.#words, headerWords + word);
      if (Atomics.load(this.#words, sequenceWord) === sequence) {
        return { sequence, bytes: new Uint8Array(copy.buffer, 0, length) };
      }
    }
    return undefined;
  }

  /** Resolves when the sequence is another than `seen`; at once when it is so already. Keeps no event loop alive. */
  async changed(seen: number): Promise<void> {
    await Atomics.waitAsync(this.#words, sequenceWord, seen).value;
  }
}

function toWords(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  return words;
}
