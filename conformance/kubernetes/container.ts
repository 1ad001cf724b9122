import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../harness/free-port.ts";
import { ended, endGroup, startGroup } from "../harness/processes.ts";
import { childrenOf, demoModel, root } from "../harness/server.ts";
import { deployedPod, manifestPorts } from "./manifests.ts";

/** What stands for the model's file: the demonstration model, or a script of the mock engine. */
export type Model = { readonly t: "demo" } | { readonly t: "mock"; readonly script: string };

/** A running server with the Deployment's command line, on other ports and with another model. */
export interface Container {
  readonly ports: Readonly<Record<keyof typeof manifestPorts, number>>;
  readonly pid: number;
  /** What the server wrote on standard error so far. */
  log(): string;
  /** Process ids of the engine. */
  children(): number[];
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code; rejects after the limit. */
  exited(limitMs?: number): Promise<number | null>;
  /** Ends whatever is left. */
  kill(): void;
}

/**
 * Starts a container; resolves when its process runs, which is before its ports are open. `flags` are added to the
 * Deployment's arguments and win over them. The same `ports` serve a container that replaces another one.
 */
export async function startContainer(
  model: Model,
  flags: readonly string[] = [],
  ports?: Container["ports"],
): Promise<Container> {
  const actual = ports ?? { grpc: await freePort(), health: await freePort() };
  const [{ command, args }] = (await deployedPod()).spec.containers;
  assert.deepEqual(command, ["tokenwire", "serve"]);
  const adapted = args.flatMap((arg) => {
    if (arg.startsWith("/models/")) return model.t === "demo" ? [demoModel] : [];
    return [
      arg
        .replace(String(manifestPorts.grpc), String(actual.grpc))
        .replace(String(manifestPorts.health), String(actual.health)),
    ];
  });
  if (model.t === "mock") adapted.push("--engine", "mock", "--mock-script", model.script);
  const bin = join(root, "packages", "server", "bin", "tokenwire.mjs");
  // A variable of the developer's shell must not decide how the tested server runs.
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("TOKENWIRE_")),
  );
  const child: ChildProcess = startGroup(process.execPath, [bin, "serve", ...adapted, ...flags], environment);
  const { pid } = child;
  assert.ok(pid !== undefined, "the container did not start");
  let log = "";
  const keepTail = (text: string) => {
    log = (log + text).slice(-256 * 1024);
  };
  child.stdout?.setEncoding("utf8").on("data", keepTail);
  child.stderr?.setEncoding("utf8").on("data", keepTail);
  return {
    ports: actual,
    pid,
    log: () => log,
    children: () => childrenOf(pid),
    signal: (signal) => {
      child.kill(signal);
    },
    async exited(limitMs = 20_000) {
      assert.ok(await ended(child, limitMs), `the server still runs after ${limitMs} ms\n${log}`);
      return child.exitCode;
    },
    kill: () => endGroup(pid),
  };
}
