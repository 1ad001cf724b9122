import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { EngineError } from "../../engine/errors.ts";
import type { FromChild, LlamaChildOptions, LoadedModel, ToChild } from "./ipc.ts";

const lastLines = 20;

export interface LlamaProcessHandlers {
  readonly onMessage: (message: FromChild) => void;
  /** Called once, however the process ended; not called after {@link LlamaProcess.kill}. */
  readonly onExit: (reason: string) => void;
}

/**
 * One child process with one loaded model. It is never used again after it has ended.
 *
 * The engine runs apart from the server because a native crash, or a forward pass that never returns, must be an
 * observation and not the server's own end.
 */
export class LlamaProcess {
  readonly #child: ChildProcess;
  readonly #handlers: LlamaProcessHandlers;
  readonly #stderr: string[] = [];
  #ended = false;
  #unsentBytes = 0;
  /** Resolves when the process is gone, killed or not. */
  readonly gone: Promise<void>;

  constructor(handlers: LlamaProcessHandlers) {
    this.#handlers = handlers;
    // In a clone the sources run, in the published package the emitted files: the child has the parent's form.
    const extension = import.meta.filename.endsWith(".ts") ? "ts" : "js";
    const main = fileURLToPath(new URL(`./child/main.${extension}`, import.meta.url));
    this.#child = fork(main, [], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // None of the parent's: an inspector's port, for one, can be taken only once.
      execArgv: [],
    });
    this.gone = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
    });
    this.#child.on("message", (message) => {
      if (!this.#ended) handlers.onMessage(message as FromChild);
    });
    this.#child.on("exit", (code, signal) => this.#end(signal === null ? `exit code ${code}` : `signal ${signal}`));
    this.#child.on("error", (error) => this.#end(error.message));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr.push(...text.split("\n").filter((line) => line !== ""));
      this.#stderr.splice(0, this.#stderr.length - lastLines);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The last lines that the process wrote to standard error, for the log after a crash. */
  get lastWords(): readonly string[] {
    return this.#stderr;
  }

  /** About how much was sent and not yet taken by the channel to the process. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** False when the process has ended: the message is lost. */
  send(message: ToChild): boolean {
    if (this.#ended || !this.#child.connected) return false;
    const bytes = roughBytesOf(message);
    this.#unsentBytes += bytes;
    // A failed write shows as the exit that follows it.
    this.#child.send(message, () => {
      this.#unsentBytes -= bytes;
    });
    return true;
  }

  /** Ends the process at once and reports nothing more. Resolves when it is gone. */
  kill(): Promise<void> {
    this.#ended = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    this.#child.kill("SIGKILL");
    return this.gone;
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers.onExit(reason);
  }
}

function roughBytesOf(message: ToChild): number {
  const frame = 512;
  switch (message.t) {
    case "generate": {
      const { prompt, sampling } = message;
      const promptBytes = prompt.kind === "tokens" ? prompt.tokenIds.byteLength : prompt.text.length;
      return frame + promptBytes + (sampling.gbnf?.length ?? 0) + sampling.logitBias.size * 16;
    }
    case "embed":
      return frame + message.tokenIds.byteLength;
    default:
      return frame;
  }
}

/** How a start ended: the model is loaded, it never will be, or the process died on the way. */
export type LoadResult =
  | { readonly t: "loaded"; readonly process: LlamaProcess; readonly model: LoadedModel }
  | { readonly t: "refused"; readonly error: EngineError }
  | { readonly t: "crashed"; readonly reason: string; readonly lastWords: readonly string[] };

export interface LoadHandlers {
  readonly onProgress: (share: number) => void;
  /** The process exists from here on, so that it can be killed while it loads. */
  readonly onSpawn: (process: LlamaProcess) => void;
  readonly onMessage: (process: LlamaProcess, message: FromChild) => void;
  /** Only after the model was loaded. */
  readonly onExit: (process: LlamaProcess, reason: string) => void;
}

/** Starts a child and loads the model in it. Never rejects. */
export function loadInChild(options: LlamaChildOptions, handlers: LoadHandlers): Promise<LoadResult> {
  return new Promise((resolve) => {
    let loaded = false;
    const child = new LlamaProcess({
      onMessage: (message) => {
        switch (message.t) {
          case "loading":
            handlers.onProgress(message.progress);
            break;
          case "ready":
            loaded = true;
            resolve({ t: "loaded", process: child, model: message.model });
            break;
          case "load-failed": {
            const { kind, message: sentence, field } = message.error;
            const error = new EngineError(kind, sentence, field === undefined ? {} : { field });
            void child.kill().then(() => resolve({ t: "refused", error }));
            break;
          }
          default:
            handlers.onMessage(child, message);
        }
      },
      onExit: (reason) => {
        if (loaded) handlers.onExit(child, reason);
        else resolve({ t: "crashed", reason, lastWords: child.lastWords });
      },
    });
    // Killed on the way: nothing else would end the wait.
    void child.gone.then(() => resolve({ t: "crashed", reason: "it was ended", lastWords: [] }));
    handlers.onSpawn(child);
    child.send({ t: "load", options });
  });
}
