import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "../harness/seeded.ts";
import { post } from "./gateway-client.ts";
import { model } from "./worker-kind.ts";

/** What became of the requests of a soak. */
export interface Tally {
  /** Requests that settled, by what they were. */
  readonly settled: Map<string, number>;
  /** Requests that ended wrongly while nothing disturbed the workers. */
  readonly wrong: string[];
  /** What requests ended with during a disturbance, and how many did. */
  readonly disturbed: Map<string, number>;
}

export interface SoakOptions {
  /** `http://host:port` of the gateway. */
  readonly url: string;
  readonly clients: number;
  readonly seed: number;
  /** Asked before each request. */
  readonly goesOn: () => boolean;
  /** How many disturbances have begun, and whether one is under way or just over. */
  readonly disturbances: () => { readonly begun: number; readonly isOn: boolean };
}

interface Ended {
  readonly status: number;
  readonly text: string;
}

type Kind = readonly [name: string, ask: (url: string, random: () => number) => Promise<string | undefined>];

const words = ["Once upon a time", "What is the capital of France?", "Tell me a story about a fox.", "Give me JSON."];
const pick = (random: () => number): string => words[Math.floor(random() * words.length)] ?? "";

function chat(random: () => number, changes: object = {}): object {
  const messages = [{ role: "user", content: pick(random) }];
  return { model, messages, temperature: 0, ignore_eos: true, max_tokens: 1 + Math.floor(random() * 64), ...changes };
}

async function ended(url: string, body: object): Promise<Ended> {
  const answer = await post(url, body);
  return { status: answer.status, text: await answer.text() };
}

function expecting(status: number, { status: got, text }: Ended): string | undefined {
  return got === status ? undefined : `${got} instead of ${status}: ${text.slice(0, 300)}`;
}

/** A request whose client goes away; it settles when the client has nothing open any more. */
async function leave(url: string, body: object, afterMs: number): Promise<undefined> {
  const leaving = new AbortController();
  const timer = setTimeout(() => leaving.abort(), afterMs);
  try {
    await (await post(url, body, leaving.signal)).text();
  } catch (thrown) {
    if (!leaving.signal.aborted) throw thrown;
  } finally {
    clearTimeout(timer);
  }
  return undefined;
}

const kinds: readonly Kind[] = [
  ["a whole chat", async (url, random) => expecting(200, await ended(`${url}/v1/chat/completions`, chat(random)))],
  [
    "a streamed chat",
    async (url, random) => {
      const answer = await ended(`${url}/v1/chat/completions`, chat(random, { stream: true }));
      if (answer.status !== 200) return expecting(200, answer);
      const data = [...answer.text.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? "");
      const finished = data.some((event) => event.includes('"finish_reason":"length"'));
      return finished && data.at(-1) === "[DONE]" ? undefined : `ended with ${data.slice(-2).join(" ")}`;
    },
  ],
  [
    "several outputs",
    async (url, random) => {
      const asked = { model, prompt: pick(random), n: 2, max_tokens: 8, seed: 1, temperature: 1 };
      return expecting(200, await ended(`${url}/v1/completions`, asked));
    },
  ],
  [
    "an embedding",
    async (url, random) => expecting(200, await ended(`${url}/v1/embeddings`, { model, input: pick(random) })),
  ],
  [
    "a stream left in the middle",
    (url, random) =>
      leave(`${url}/v1/chat/completions`, chat(random, { stream: true, max_tokens: 1500 }), 5 + random() * 300),
  ],
  [
    "a whole answer not waited for",
    (url, random) => leave(`${url}/v1/chat/completions`, chat(random, { max_tokens: 1500 }), 5 + random() * 300),
  ],
  [
    "bad input",
    async (url, random) => {
      const bad = [{ temperature: -1 }, { top_p: 5 }, { frequency_penalty: 9 }, { max_tokens: 0 }];
      const changes = bad[Math.floor(random() * bad.length)];
      return expecting(400, await ended(`${url}/v1/chat/completions`, chat(random, changes)));
    },
  ],
  [
    "a schema that no grammar can be made of",
    async (url, random) => {
      const schema = { type: "object", properties: { a: { $ref: "#/nowhere" } }, required: ["a"] };
      const response_format = { type: "json_schema", json_schema: { name: "bad", schema } };
      return expecting(400, await ended(`${url}/v1/chat/completions`, chat(random, { response_format })));
    },
  ],
  [
    "an unknown model",
    async (url, random) =>
      expecting(404, await ended(`${url}/v1/chat/completions`, chat(random, { model: "there-is-none" }))),
  ],
];

/** Clients that ask what comes to their minds, one thing after the other. Resolves when all of them have settled. */
export async function soak(options: SoakOptions): Promise<Tally> {
  const tally: Tally = { settled: new Map(), wrong: [], disturbed: new Map() };
  await Promise.all(
    Array.from({ length: options.clients }, async (_, index) => {
      const random = seeded(options.seed + index);
      while (options.goesOn()) await askOnce(options, random, tally);
    }),
  );
  return tally;
}

async function askOnce({ url, disturbances }: SoakOptions, random: () => number, tally: Tally): Promise<void> {
  const [name, ask] = kinds[Math.floor(random() * kinds.length)] as Kind;
  const before = disturbances();
  const wrong = await ask(url, random).catch((thrown: unknown) => String(thrown));
  tally.settled.set(name, (tally.settled.get(name) ?? 0) + 1);
  if (wrong !== undefined) {
    const after = disturbances();
    if (before.isOn || after.begun !== before.begun) {
      const what = `${name}: ${wrong.replace(/\d{5,}|127\.0\.0\.1:\d+/g, "N").slice(0, 250)}`;
      tally.disturbed.set(what, (tally.disturbed.get(what) ?? 0) + 1);
    } else tally.wrong.push(`${name}: ${wrong}`);
  }
  await sleep(random() * 40);
}
