import { Worker } from "node:worker_threads";
import type { TokenizerFile } from "../../../engine/facts.ts";
import type { FromTokenizer, TokenizerWorkerData, ToTokenizer } from "./tokenizer-messages.ts";

interface Waiter {
  resolve(tokenIds: readonly number[]): void;
  reject(error: Error): void;
}

/**
 * Tokenizes long texts in a thread of its own, one after the other: one that takes seconds must not hold up the tokens of
 * others, nor health. The thread starts with the first text; one that dies fails what it had, and the next text starts another.
 */
export class TokenizerThread {
  readonly #workerData: TokenizerWorkerData;
  readonly #waiters = new Map<number, Waiter>();
  #worker: Worker | undefined;
  #calls = 0;

  /**
   * @param folder the model's folder, from which the thread reads what is not among the files.
   * @param files the model's tokenizer files, so that a folder that is gone by then is not missed; may be empty.
   */
  constructor(folder: string, files: readonly TokenizerFile[]) {
    this.#workerData = { folder, files };
  }

  /** The ids of a text with what the tokenizer adds by itself. Rejects when it cannot be tokenized, or at the close. */
  encode(text: string): Promise<readonly number[]> {
    const worker = this.#running();
    this.#calls += 1;
    const call = this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiters.set(call, { resolve, reject });
      const message: ToTokenizer = { call, text };
      worker.postMessage(message);
    });
  }

  /** Ends the thread; what it had not answered rejects. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
    this.#failAll("the engine was closed");
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const fromSource = import.meta.url.endsWith(".ts");
    const file = new URL(fromSource ? "./tokenizer-worker.ts" : "./tokenizer-worker.js", import.meta.url);
    const execArgv = fromSource ? ["--conditions=tokenwire-source"] : [];
    const worker = new Worker(file, { name: "tokenizer", workerData: this.#workerData, execArgv });
    // A thread that waits for texts keeps no process alive.
    worker.unref();
    worker.on("message", (message: FromTokenizer) => this.#answered(message));
    worker.on("error", (error) => this.#ended(worker, error.message));
    worker.on("exit", () => this.#ended(worker, "it ended"));
    this.#worker = worker;
    return worker;
  }

  #answered(message: FromTokenizer): void {
    const waiter = this.#waiters.get(message.call);
    this.#waiters.delete(message.call);
    if (message.t === "ids") waiter?.resolve(Array.from(message.tokenIds));
    else waiter?.reject(new Error(message.reason));
  }

  #ended(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#failAll(`the tokenizer's thread failed: ${reason}`);
  }

  #failAll(reason: string): void {
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.reject(new Error(reason));
  }
}
