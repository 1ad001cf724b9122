import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

export interface LogTailOptions {
  readonly path: string;
  /** Begin behind what is in the file; by default at its beginning. */
  readonly fromEnd?: boolean;
  onLine(line: string): void;
}

const pollMs = 100;
const chunkBytes = 64 * 1024;
/** A longer line is cut. */
const maxLineLetters = 2000;
/** What is read is thrown away when the file has grown beyond this: nobody else reads it. */
const maxFileBytes = 8 * 1024 * 1024;
const keptLines = 40;

/**
 * Follows a file that another process appends to, line by line.
 *
 * An engine that is to survive its front end writes into a file and not into a pipe: a pipe without a reader fails each
 * write, and what Python does then is anybody's guess.
 */
export class LogTail {
  readonly #options: LogTailOptions;
  readonly #descriptor: number;
  readonly #timer: NodeJS.Timeout;
  readonly #chunk = Buffer.alloc(chunkBytes);
  readonly #decoder = new StringDecoder("utf8");
  readonly #lastLines: string[] = [];
  #offset: number;
  #rest = "";
  #closed = false;

  /** Throws what opening the file throws. */
  constructor(options: LogTailOptions) {
    this.#options = options;
    this.#descriptor = openSync(options.path, "r+");
    this.#offset = options.fromEnd === true ? fstatSync(this.#descriptor).size : 0;
    this.#timer = setInterval(() => this.read(), pollMs);
    this.#timer.unref();
  }

  /** The last 40 lines, oldest first. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Takes what was appended since the last look. */
  read(): void {
    if (this.#closed) return;
    // One chunk after the other, but not for ever when somebody writes as fast as we read.
    for (let round = 0; round < 16; round += 1) {
      const bytes = readSync(this.#descriptor, this.#chunk, 0, chunkBytes, this.#offset);
      if (bytes === 0) break;
      this.#offset += bytes;
      this.#take(this.#decoder.write(this.#chunk.subarray(0, bytes)));
    }
    if (this.#offset > maxFileBytes) {
      // The writer appends, so that its next line is at the new end.
      ftruncateSync(this.#descriptor, 0);
      this.#offset = 0;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.read();
    this.#closed = true;
    clearInterval(this.#timer);
    closeSync(this.#descriptor);
  }

  #take(text: string): void {
    // Progress bars end their lines with a carriage return.
    const lines = (this.#rest + text).split(/[\r\n]+/);
    this.#rest = (lines.pop() ?? "").slice(0, maxLineLetters);
    for (const line of lines) {
      if (line.trim() === "") continue;
      const cut = line.slice(0, maxLineLetters);
      this.#lastLines.push(cut);
      this.#options.onLine(cut);
    }
    this.#lastLines.splice(0, this.#lastLines.length - keptLines);
  }
}
