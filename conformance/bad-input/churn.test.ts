import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "../harness/seeded.ts";
import { type Server, startServer } from "../harness/server.ts";
import { bytes, float, int } from "./protobuf-bytes.ts";
import { answerOf, embed, generate, held, param, reference, service } from "./requests.ts";
import { type Ended, framed, Stranger } from "./stranger.ts";

const clients = 24;
const callsPerClient = 120;
const health = "/grpc.health.v1.Health/";
const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

let server: Server;
before(async () => {
  server = await startServer(["--max-num-seqs", "8"]);
});
after(() => server?.kill());

interface Tally {
  calls: number;
  honest: number;
  readonly wrong: string[];
}

/** A call whose answer is checked, and what was wrong with it. */
type Kind = (stranger: Stranger, random: () => number) => Promise<string | undefined>;

const longest = [int(param.ignoreEos, 1), int(param.maxTokens, 1900)];
const oneOf = <T>(random: () => number, choices: readonly T[]): T =>
  choices[Math.floor(random() * choices.length)] as T;

function expecting(
  statuses: readonly (number | undefined)[],
  what: string,
  { status, details, hung }: Ended,
): string | undefined {
  if (hung) return `${what} hung`;
  return statuses.includes(status) ? undefined : `${what} ended ${status}: ${details}`;
}

const cut = undefined;
const honest: Kind = async (stranger, random) => {
  const { request, ids } = reference(Math.floor(random() * 16));
  const ended = await stranger.call(`${service}Generate`, request);
  const right = ended.status === 0 && JSON.stringify(answerOf(ended).ids) === JSON.stringify(ids);
  return right ? undefined : `an honest call ended ${ended.status}: ${ended.details}, ${answerOf(ended).ids}`;
};

const hostile: readonly Kind[] = [
  async (stranger, random) =>
    expecting(
      [0, cut],
      "a cancelled Generate",
      await stranger.call(
        `${service}Generate`,
        generate({ whole: random() < 0.3, sampling: [...longest, int(param.n, 1 + Math.floor(random() * 4))] }),
        random() < 0.5
          ? { cancelAfterMs: random() * 25 }
          : { cancelAfterMessages: 1 + Math.floor(random() * 8), cancelAfterMs: 200 },
      ),
    ),
  async (stranger, random) =>
    expecting(
      [0, 4, cut],
      "a Generate with a short deadline",
      await stranger.call(`${service}Generate`, generate({ sampling: longest }), {
        headers: { "grpc-timeout": oneOf(random, ["0m", "1m", "1n", "4m", "15m"]) },
      }),
    ),
  async (stranger, random) =>
    expecting([3], "garbage", await stranger.call(`${service}Generate`, Buffer.from([0x0f, ...garbage(random)]))),
  async (stranger, random) =>
    expecting(
      [0, 6],
      "a Generate with an id in use",
      await stranger.call(`${service}Generate`, generate({ id: `same${Math.floor(random() * 3)}` })),
    ),
  async (stranger) => {
    const ids = Array.from({ length: 40 }, (_, i) => bytes(1, i < 3 ? `same${i}` : `nobody${i}`));
    return expecting([0], "an Abort", await stranger.call(`${service}Abort`, Buffer.concat(ids)));
  },
  async (stranger, random) =>
    expecting(
      [0, cut],
      "an Embed",
      await stranger.call(`${service}Embed`, embed(Array(1500).fill(5)), { cancelAfterMs: random() * 10 }),
    ),
  async (stranger, random) => {
    const constraint = oneOf(random, [
      bytes(param.regex, "(a|b)*c{1,40}"),
      bytes(param.regex, "(".repeat(900)),
      bytes(param.grammar, 's ::= "a" s "b" | "a" s "c" | "x"\nroot ::= s'),
      bytes(param.jsonSchema, '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'),
      bytes(param.choice, Buffer.concat([bytes(1, "yes"), bytes(1, "no")])),
      int(param.jsonObject, 1),
    ]);
    const manner = random() < 0.5 ? {} : { cancelAfterMs: random() * 20 };
    const sampling = [int(param.maxTokens, 12), int(param.minTokens, 6), int(param.n, 3), constraint];
    return expecting(
      [0, 3, cut],
      "a constraint",
      await stranger.call(`${service}Generate`, generate({ sampling }), manner),
    );
  },
  async (stranger, random) =>
    expecting(
      [0, cut],
      "a Watch",
      await stranger.call(`${health}Watch`, random() < 0.5 ? Buffer.alloc(0) : bytes(1, "nobody"), {
        cancelAfterMs: random() * 30,
      }),
    ),
  async (stranger, random) =>
    expecting([0], "reflection", await stranger.call(reflection, bytes(oneOf(random, [3, 4, 6]), "x".repeat(20_000)))),
  async (stranger, random) =>
    expecting(
      [0, cut],
      "GetTokenizer",
      await stranger.call(`${service}GetTokenizer`, Buffer.alloc(0), { cancelAfterMs: random() * 4 }),
    ),
  async (stranger, random) =>
    expecting(
      [0, 4, cut],
      "FlushCache",
      await stranger.call(`${service}FlushCache`, float(1, random() * 0.1), { cancelAfterMs: 300 }),
    ),
  async (stranger, random) => {
    const message = framed(generate({ sampling: longest }));
    const stream = stranger.begin(`${service}Generate`, message.subarray(0, Math.floor(random() * message.length)));
    await sleep(random() * 5);
    stream.close(8);
    return undefined;
  },
];

async function client(target: string, seed: number, tally: Tally, running: () => boolean = () => true): Promise<void> {
  const random = seeded(seed);
  let stranger = new Stranger(target);
  for (let i = 0; i < callsPerClient && running(); i += 1) {
    const isHonest = random() < 0.15;
    const problem = await (isHonest ? honest : oneOf(random, hostile))(stranger, random);
    tally.calls += 1;
    if (isHonest) tally.honest += 1;
    if (problem !== undefined) tally.wrong.push(problem);
    if (random() < 0.02) {
      // Some leave in the middle of calls that nobody will read.
      for (let k = 0; k < 5; k += 1) stranger.begin(`${service}Generate`, framed(generate({ sampling: longest })));
      await sleep(random() * 20);
      stranger.leave();
      stranger = new Stranger(target);
    }
  }
  stranger.leave();
}

async function churn(seed: number): Promise<Tally> {
  const tally: Tally = { calls: 0, honest: 0, wrong: [] };
  await Promise.all(Array.from({ length: clients }, (_, i) => client(server.target, seed + i, tally)));
  return tally;
}

/** Resolves when the server holds no request; fails when it still does after some seconds. */
async function settles(): Promise<void> {
  const stranger = new Stranger(server.target);
  const nothing = { running: 0, waiting: 0, calls: 0 };
  try {
    let last = await held(stranger);
    for (let i = 0; i < 100 && JSON.stringify(last) !== JSON.stringify(nothing); i += 1) {
      await sleep(50);
      last = await held(stranger);
    }
    assert.deepEqual(last, nothing);
    for (let i = 0; i < 16; i += 1) assert.equal(await honest(stranger, () => i / 16), undefined);
  } finally {
    stranger.leave();
  }
  await server.until("", 1);
}

test("hostile calls in any order change no honest answer, keep no slot and hold no memory", async (t) => {
  const [engine] = server.children();
  assert.ok(engine !== undefined);
  await churn(1);
  await settles();
  const before = { server: residentMiB(server.pid), engine: residentMiB(engine) };
  const second = await churn(1000);
  await settles();
  const now = { server: residentMiB(server.pid), engine: residentMiB(engine) };
  t.diagnostic(
    `${second.calls} calls, ${second.honest} honest; MiB before ${JSON.stringify(before)}, after ${JSON.stringify(now)}`,
  );
  assert.deepEqual(second.wrong, []);
  assert.deepEqual(server.children(), [engine], "the engine's process must have lived");
  // The first round fills heaps and caches; a leak of the second's three thousand calls would be more than this.
  assert.ok(now.server < before.server + 150, `the server grew from ${before.server} to ${now.server} MiB`);
  assert.ok(now.engine < before.engine + 100, `the engine grew from ${before.engine} to ${now.engine} MiB`);
  assert.doesNotMatch(server.log(), /"level":"(?:warn|error|fatal)"/);
});

test("an engine killed again and again under 32 clients fails their calls UNAVAILABLE and comes back", async () => {
  let on = true;
  const endings: Ended[] = [];
  const callers = Array.from({ length: 32 }, async (_, i) => {
    const stranger = new Stranger(server.target);
    while (on) {
      const message =
        i % 4 === 0
          ? embed(Array(300).fill(5))
          : generate({ sampling: [int(param.maxTokens, 60), int(param.n, 1 + (i % 3))] });
      endings.push(await stranger.call(`${service}${i % 4 === 0 ? "Embed" : "Generate"}`, message));
      if (endings.at(-1)?.status === 14) await sleep(20);
    }
    stranger.leave();
  });
  for (let i = 0; i < 3; i += 1) {
    await server.until("", 1);
    const [engine] = server.children();
    if (engine !== undefined) process.kill(engine, "SIGKILL");
    await server.until("", 2);
  }
  await server.until("", 1);
  on = false;
  await Promise.all(callers);
  const statuses = new Set(endings.map(({ status, hung }) => (hung ? "hung" : status)));
  assert.deepEqual([...statuses].sort(), [0, 14]);
  await settles();
});

test("SIGTERM under hostile clients ends every call and the process, with exit code 0", async () => {
  let on = true;
  const tally: Tally = { calls: 0, honest: 0, wrong: [] };
  const callers = Array.from({ length: clients }, (_, i) => client(server.target, 5000 + i, tally, () => on));
  await sleep(500);
  const stopped = server.stop();
  await stopped;
  on = false;
  await Promise.all(callers);
  assert.ok(tally.calls > 0);
  assert.deepEqual(
    tally.wrong.filter((problem) => problem.includes("hung")),
    [],
  );
});

function garbage(random: () => number): number[] {
  return Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256));
}

function residentMiB(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}
