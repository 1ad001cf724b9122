/**
 * How long a health Check takes on the main port and on the health port: idle, under token load, and while the main
 * thread stands still for five seconds.
 *
 *     npx node --conditions=tokenwire-source bench/health/latency.ts [model.gguf]
 *
 * Server, token load and this client are processes of their own and share the machine's cores. Three rounds; a row has
 * the median of the rounds, with the least and the most. Takes two minutes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { Asker, type Check } from "./check-latency.ts";

const rounds = 3;
const checksPerSecond = 100;
const measuredMs = 10_000;
/** Ends before the block does. */
const blockedMs = 4_500;
const streams = 32;
const model = process.argv[2] ?? "models/demo/tiny-f16.gguf";
const root = fileURLToPath(new URL("../..", import.meta.url));
const ports = ["main", "health"] as const;
type Port = (typeof ports)[number];

/** A program of ours whose standard output can be waited for. */
class Program {
  readonly process: ChildProcess;
  output = "";

  constructor(script: string, words: readonly string[]) {
    const file = fileURLToPath(new URL(script, import.meta.url));
    const flags = ["--conditions=tokenwire-source", file, ...words];
    this.process = spawn(process.execPath, flags, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
      this.process.emit("output");
    });
  }

  async printed(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.output);
      if (found !== null) return found[1] ?? found[0];
      if (this.process.exitCode !== null) throw new Error(`a program ended without printing ${pattern}`);
      await Promise.race([once(this.process, "output"), once(this.process, "close")]);
    }
  }

  /** Ends it with SIGTERM and resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    this.process.kill("SIGTERM");
    await once(this.process, "close");
  }
}

type Askers = Readonly<Record<Port, Asker>>;
type Answers = Readonly<Record<Port, Check[]>>;

async function askBoth(askers: Askers, forMs: number): Promise<Answers> {
  const [main, health] = await Promise.all(ports.map((port) => askers[port].ask(forMs, checksPerSecond)));
  return { main: main ?? [], health: health ?? [] };
}

function percentile(checks: readonly Check[], share: number): number {
  const sorted = checks.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
}

function show(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const digits = (value = Number.NaN): string => (value < 100 ? value.toPrecision(3) : value.toFixed(0));
  return `${digits(sorted[Math.floor(sorted.length / 2)])} [${digits(sorted[0])}–${digits(sorted.at(-1))}]`;
}

function printRows(phase: string, results: readonly Answers[]): void {
  for (const port of ports) {
    const checks = results.map((round) => round[port]);
    const statuses = Map.groupBy(checks.flat(), ({ status }) => status);
    const answers = [...statuses].map(([status, group]) => `${group.length} ${status}`).join(", ");
    const columns = [0.5, 0.99, 1].map((share) => show(checks.map((round) => percentile(round, share))));
    console.log(`| ${[phase, port, ...columns, answers].join(" | ")} |`);
  }
  const ratios = [0.5, 0.99, 1].map((share) =>
    show(results.map((round) => percentile(round.main, share) / percentile(round.health, share))),
  );
  console.log(`| ${[phase, "main ÷ health", ...ratios, ""].join(" | ")} |`);
}

const loadBefore = loadavg()[0] ?? 0;
const address = ["--host", "127.0.0.1", "--port", "0", "--health-port", "0"];
const server = new Program("blocking-server.ts", [
  "serve",
  model,
  ...address,
  "--max-num-seqs",
  `${streams}`,
  "--log-level",
  "error",
]);
try {
  await server.printed(/SERVING after/);
  const mainAddress = await server.printed(/listening on (\S+:\d+)/);
  const askers: Askers = {
    main: new Asker(mainAddress),
    health: new Asker(await server.printed(/health on (\S+:\d+)/)),
  };
  // The first calls run on cold code.
  await askBoth(askers, 2_000);

  const results = { idle: [] as Answers[], loaded: [] as Answers[], blocked: [] as Answers[] };
  const rates: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    results.idle.push(await askBoth(askers, measuredMs));

    const load = new Program("token-load.ts", [mainAddress, `${streams}`]);
    try {
      await load.printed(/running/);
      results.loaded.push(await askBoth(askers, measuredMs));
    } finally {
      await load.stop();
    }
    rates.push(Number(await load.printed(/(\d+) tokens\/s/)));

    server.output = "";
    server.process.kill("SIGUSR2");
    await server.printed(/blocked/);
    results.blocked.push(await askBoth(askers, blockedMs));
    while ((await askers.health.ask(100, 10)).at(-1)?.status !== "SERVING");
  }
  for (const port of ports) askers[port].close();

  console.log("| main thread | port | p50, ms | p99, ms | longest, ms | answers for readiness |");
  console.log("| --- | --- | ---: | ---: | ---: | --- |");
  printRows("idle", results.idle);
  printRows(`${streams} token streams`, results.loaded);
  printRows("stands still", results.blocked);
  console.log(`\ntoken load: ${show(rates)} tokens/s; load average ${loadBefore.toFixed(1)} before`);
} finally {
  await server.stop();
}
