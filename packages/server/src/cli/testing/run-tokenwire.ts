import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../../bin/tokenwire.mjs", import.meta.url));

export interface Finished {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly out: string;
  readonly error: string;
}

export interface RunningTokenwire {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves once the text stands in what was written so far; rejects when the process ends without it. */
  printed(where: "out" | "error", text: string): Promise<void>;
  readonly finished: Promise<Finished>;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Flags for Node itself. */
  readonly nodeFlags?: readonly string[];
}

/** Starts the program as a user would, in a process of its own, without the caller's TOKENWIRE_* variables. */
export function startTokenwire(words: readonly string[], options: StartOptions = {}): RunningTokenwire {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(TOKENWIRE_|NODE_)/.test(name));
  const child = spawn(process.execPath, [...(options.nodeFlags ?? []), launcher, ...words], {
    env: { ...Object.fromEntries(inherited), ...options.environment },
  });
  const written = { out: "", error: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written.out += text;
    child.emit("written");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    written.error += text;
    child.emit("written");
  });
  let ended = false;
  const finished = once(child, "close").then(([exitCode]): Finished => {
    ended = true;
    child.emit("written");
    return { exitCode, ...written };
  });
  return {
    child,
    finished,
    printed: async (where, text) => {
      while (!written[where].includes(text)) {
        if (ended) throw new Error(`ended without ${JSON.stringify(text)}: ${JSON.stringify(written)}`);
        await once(child, "written");
      }
    },
  };
}

/** Runs the program to its end. */
export function runTokenwire(words: readonly string[], options: StartOptions = {}): Promise<Finished> {
  return startTokenwire(words, options).finished;
}
