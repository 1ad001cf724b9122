/** The thread behind `--health-port`: started by health-thread.ts, with its own event loop and nothing to do but answer. */
import { parentPort, workerData } from "node:worker_threads";
import { createHealthService } from "@tokenwire/health";
import { createLog } from "../../operations/log.ts";
import { ListenError } from "../../transport/tokenwire-grpc/listen-error.ts";
import { createRpcServer } from "../../transport/tokenwire-grpc/rpc-server.ts";
import { BoardMemory } from "./board-memory.ts";
import { decodeBoardState } from "./board-state.ts";
import { MainLoopWatch } from "./main-loop-watch.ts";
import { MirroredHealth, sentenceOn } from "./mirrored-health.ts";
import type { FromWorker, ToWorker, WorkerOptions } from "./worker-messages.ts";

/** A request is a name of at most 1024 bytes. */
const maxReceiveMessageBytes = 16 * 1024;
/** What strangers can make this thread hold: an open Watch takes about 5 KiB (bench/watchers). */
const maxWatchers = 10_000;

const { memory: buffer, address, classes, stallMs, hangTimeoutMs, tickMs, logLevel } = workerData as WorkerOptions;

// Lines go to standard error from here, not through the main thread: the news is that it may take none.
const log = createLog(logLevel);
const memory = new BoardMemory(buffer);
const watch = new MainLoopWatch({ stallMs, hangTimeoutMs, tickMs });
const health = new MirroredHealth({
  classes,
  maxWatchers,
  onListenerError: (err, service) => log.error({ reason: "watcher-failed", service, err }, "a health watcher failed"),
});
const server = createRpcServer({ log, maxReceiveMessageBytes });

const levels = { turning: "info", stalled: "warn", hung: "error" } as const;

let mirroredSequence: number | undefined;

function mirror(): void {
  if (memory.sequence === mirroredSequence) return;
  const record = memory.read();
  if (record === undefined) return;
  mirroredSequence = record.sequence;
  const state = decodeBoardState(record.bytes);
  if (state !== undefined) health.mirror(state);
}

function judgeMainLoop(): void {
  const before = watch.state;
  const state = watch.observe(memory.beats, performance.now());
  if (state === before) return;
  health.judge(state);
  const facts = { reason: `main-loop-${state.t}`, lastBeatAt: new Date(memory.beatAtMs).toISOString() };
  log[levels[state.t]](facts, sentenceOn(state));
}

async function followBoard(): Promise<never> {
  for (;;) {
    const seen = memory.sequence;
    mirror();
    await memory.changed(seen);
  }
}

function tell(message: FromWorker): void {
  parentPort?.postMessage(message);
}

parentPort?.on("message", async ({ reason }: ToWorker) => {
  clearInterval(ticking);
  mirror();
  await server.close(reason);
  process.exit(0);
});

mirror();
watch.observe(memory.beats, performance.now());
// The tick also mirrors, as a net below the wake-up calls.
const ticking = setInterval(() => {
  judgeMainLoop();
  mirror();
}, tickMs);
void followBoard();

server.register(createHealthService(health.table, { annotate: (service) => health.annotate(service) }));
try {
  tell({ t: "listening", address: await server.listen(address) });
} catch (thrown) {
  if (!(thrown instanceof ListenError)) throw thrown;
  tell({ t: "listen-failed", code: thrown.code, message: thrown.message });
  process.exit(0);
}
