/**
 * How long a probe takes from the start of its process to its end, as a kubelet's exec probe pays for it.
 *
 *   npx node --conditions=tokenwire-source bench/probe/cold-start.ts [--runs 40] [--grpc-health-probe PATH]
 *
 * The build has to be there (npm run build). Programs take turns, so that other work on the machine meets all of them.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http2";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

/** A server that costs nothing to speak of, on a thread of its own because the runs below block this one. */
async function serveHealth(): Promise<void> {
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Uint8Array.of(0, 0, 0, 0, 2, 8, 1));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  parentPort?.postMessage(server.address());
}

interface Program {
  readonly name: string;
  readonly command: readonly string[];
  readonly millis: number[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { runs: { type: "string", default: "40" }, "grpc-health-probe": { type: "string" } },
  });
  const worker = new Worker(new URL(import.meta.url));
  const [{ port }] = (await once(worker, "message")) as [{ port: number }];
  const address = `127.0.0.1:${port}`;
  const node = process.execPath;
  const stranger = values["grpc-health-probe"];
  const programs: Program[] = [
    { name: "tokenwire probe, built", command: [node, "packages/server/dist/cli/main.js", "probe", "--addr", address] },
    {
      name: "tokenwire probe, from source",
      command: [node, "packages/server/bin/tokenwire.mjs", "probe", "--addr", address],
    },
    ...(stranger === undefined ? [] : [{ name: "grpc-health-probe", command: [stranger, `-addr=${address}`] }]),
    { name: "node that loads node:http2 alone", command: [node, "--input-type=module", "-e", "import 'node:http2'"] },
    { name: "node that does nothing", command: [node, "-e", "0"] },
  ].map((program) => ({ ...program, millis: [] }));

  const warmUps = 3;
  for (let run = -warmUps; run < Number(values.runs); run += 1) {
    for (const { name, command, millis } of programs) {
      const [file = "", ...words] = command;
      const startedAtMs = performance.now();
      const { status, stderr } = spawnSync(file, words);
      const tookMs = performance.now() - startedAtMs;
      if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
      if (run >= 0) millis.push(tookMs);
    }
  }
  await worker.terminate();
  for (const { name, millis } of programs) {
    const sorted = millis.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
    console.log(`${name.padEnd(34)} median ${at(0.5).padStart(6)} ms, [${at(0)}–${at(0.9)}] from fastest to 9 in 10`);
  }
}

await (isMainThread ? main() : serveHealth());
