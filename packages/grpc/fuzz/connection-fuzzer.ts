import { type Limits, limitsOf } from "../src/limits.ts";
import { type RpcConnection, RpcServer } from "../src/rpc/rpc-server.ts";
import { ManualClock } from "../src/testing/manual-clock.ts";
import { ClientScript } from "./connection-inputs.ts";
import { cut } from "./frame-fuzzer.ts";
import { fuzzService } from "./fuzz-service.ts";
import { type Fuzzer, rule, sameBytes, seedOf } from "./fuzzer.ts";
import { Random } from "./random.ts";
import { checkAnswers } from "./server-answers.ts";

/** Small bounds, so that a short input comes to them, and the defaults. */
const presets: readonly Partial<Limits>[] = [
  {},
  { maxConcurrentStreams: 2, initialWindowBytes: 64, maxReceiveMessageBytes: 200, maxBufferedRequestBytes: 2_000 },
  {
    maxHeaderListBytes: 300,
    maxHeaderBlockBytes: 200,
    controlFrameBurst: 30,
    controlFramesPerSecond: 1,
    resetBurst: 3,
  },
  { maxUnflushedBytes: 600, maxWindowBytes: 100_000, maxConnectionIdleMs: 20_000, keepaliveTimeMs: 5_000 },
  { handshakeTimeoutMs: 3_000, headerTimeoutMs: 1_000, maxUnflushedBytes: 100, maxPingStrikes: 0 },
];
/** In front of the client's bytes: which limits, how many bytes come in a turn, how long one is, and in which we leave. */
const headBytes = 3;
const paces = 40;
/** What an answer may have beside content for each byte that a client sent: a bound against amplification. */
const answerBytesPerByte = 30;
const answerBytesAtLeast = 2_048;

/** A multiple of the milliseconds that deadlines are rounded up to. */
const alignmentMs = 1_000;

/** What became of an input. */
interface Run {
  readonly output: Uint8Array;
  readonly failure: string | undefined;
  readonly finished: boolean;
  readonly openStreams: number;
  readonly calls: number;
}

/**
 * The whole server above the socket: connection, calls and a service with a method of each kind, under a clock that is
 * turned by hand. The same bytes come once by the turn and once in pieces, and have to have the same answer.
 */
export const connectionFuzzer: Fuzzer = {
  name: "connection",
  maxBytes: 2_000,

  make(random) {
    const script = new ClientScript(random);
    script.begin();
    for (let left = random.between(1, 14); left > 0; left -= 1) script.step();
    const pace = random.below(random.oneIn(4) ? 256 : paces);
    const head = Uint8Array.of(random.below(presets.length), random.oneIn(2) ? 255 : random.next(), pace);
    return Buffer.concat([head, script.bytes]).subarray(0, connectionFuzzer.maxBytes);
  },

  async check(input) {
    const whole = await run(input, undefined);
    const pieces = await run(input, new Random(seedOf(input)));
    rule(whole.failure === pieces.failure, () => `ends with "${whole.failure}", and in pieces "${pieces.failure}"`);
    rule(
      whole.openStreams === pieces.openStreams,
      () => `${whole.openStreams} and in pieces ${pieces.openStreams} streams`,
    );
    rule(sameBytes(whole.output, pieces.output), () => "another output when the input comes in pieces");
    const answers = checkAnswers(input.subarray(headBytes), whole.output, whole.failure);
    const bound = answerBytesAtLeast + answerBytesPerByte * input.length;
    rule(answers.overheadBytes <= bound, () => `${answers.overheadBytes} bytes of answers beside content`);
    return `${answers.outcome} ${whole.failure ?? ""} ${whole.openStreams}${whole.finished ? "!" : ""}`;
  },
};

/** One server for each set of limits: a connection leaves nothing behind in it, which is one of the rules. */
const servers = presets.map((preset) => {
  const clock = new ManualClock();
  const rpc = new RpcServer(limitsOf(preset), clock, () => undefined);
  // The sentence has a chance number in it otherwise.
  rpc.handlerFailed = () => "a handler failed";
  rpc.register(fuzzService);
  return { rpc, clock };
});

async function run(input: Uint8Array, random: Random | undefined): Promise<Run> {
  const [preset = 0, turn = 0, pace = 0] = input;
  const { rpc, clock } = servers[preset % servers.length] as (typeof servers)[number];
  // Deadlines share timers by the clock's milliseconds, so every run begins at the same place between two of them.
  clock.advance(alignmentMs - (clock.nowMs() % alignmentMs));
  const connection = rpc.connect("", () => undefined);
  const output: Uint8Array[] = [];
  const turnBytes = 1 + turn * 8;
  const leaveInTurn = Math.floor(pace / paces);
  let at = headBytes;
  let turns = 0;
  do {
    turns += 1;
    if (turns === leaveInTurn) connection.http2.leave();
    const bytes = Buffer.from(input.subarray(at, at + turnBytes));
    for (const piece of random === undefined ? [bytes] : cut(bytes, random)) connection.receive(Buffer.from(piece));
    at += turnBytes;
    await settle(connection, output);
    clock.advance((pace % paces) * 100);
    connection.http2.tick(clock.nowMs());
    await settle(connection, output);
    checkHeld(connection, rpc);
  } while (at < input.length);
  const { http2 } = connection;
  const result = {
    output: Buffer.concat(output),
    failure: http2.failure?.message,
    finished: http2.finished,
    openStreams: http2.streamCount,
    calls: rpc.activeCalls,
  };
  http2.disconnected();
  await nextTurn();
  if (rpc.activeCalls > 0) await nextTurn();
  rule(rpc.activeCalls === 0, () => `${rpc.activeCalls} calls are left when the connection is gone`);
  rule(http2.streamCount === 0, () => "streams are left when the connection is gone");
  // Other threads may still be inflating.
  for (let turns = 0; rpc.heldBytes !== 0 && turns < 100_000; turns += 1) await nextTurn();
  rule(rpc.heldBytes === 0, () => `${rpc.heldBytes} bytes of requests are held for nobody`);
  return result;
}

/** Handlers and their promises run, and what they put off to the next turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets handlers run and streams send until both have nothing to do. The count bounds it: more rounds are a loop. */
async function settle({ http2 }: RpcConnection, output: Uint8Array[]): Promise<void> {
  for (let rounds = 0; ; rounds += 1) {
    rule(rounds < 10_000, () => "output without end");
    await nextTurn();
    http2.pump();
    for (const piece of http2.take()) output.push(Uint8Array.from(piece));
    http2.sender.output.release();
    if (!http2.hasWork) break;
  }
}

function checkHeld({ http2 }: RpcConnection, rpc: RpcServer): void {
  const { maxConcurrentStreams } = rpc.limits;
  rule(http2.streamCount <= maxConcurrentStreams, () => `${http2.streamCount} streams of ${maxConcurrentStreams}`);
  const { queuedStreams, pendingBytes } = http2.sender;
  rule(queuedStreams <= 2 * http2.streamCount + 64, () => `${queuedStreams} streams in the queue`);
  const pending = [...http2.streams()].reduce((sum, stream) => sum + stream.pendingBytes, 0);
  rule(pending === pendingBytes, () => `${pending} bytes are pending and ${pendingBytes} are counted`);
  rule(rpc.heldBytes >= 0, () => `${rpc.heldBytes} bytes of requests are held`);
  rule(!http2.finished || http2.streamCount === 0, () => "streams are open on a connection at its end");
  const open = [...http2.streams()].filter((stream) => stream.open).length;
  rule(open === http2.streamCount, () => `${http2.streamCount} streams and ${open} of them open`);
}
