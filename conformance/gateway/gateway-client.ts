import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export interface ChatAnswer {
  readonly choices: {
    index: number;
    message: { content: string };
    finish_reason: string;
    logprobs?: { content: { logprob: number; top_logprobs: unknown[] }[] };
  }[];
  readonly usage: Usage;
}

export interface ChatEvent {
  readonly choices: { delta: { content?: string | null }; finish_reason: string | null }[];
  readonly usage?: Usage;
}

export function post(url: string, body: object, signal?: AbortSignal): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return fetch(url, { ...init, signal: signal ?? AbortSignal.timeout(60_000) });
}

/** An answer that has to be 200. */
export async function ask<Answer>(url: string, body: object): Promise<Answer> {
  const answer = await post(url, body);
  const said = await answer.text();
  assert.equal(answer.status, 200, `${url}: ${said}`);
  return JSON.parse(said);
}

/** The events of a stream, which has to end with [DONE]. */
export async function askStream<Event>(url: string, body: object): Promise<Event[]> {
  const answer = await post(url, { ...body, stream: true });
  const said = await answer.text();
  assert.equal(answer.status, 200, `${url}: ${said}`);
  const data = [...said.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? "");
  assert.equal(data.at(-1), "[DONE]");
  return data.slice(0, -1).map((event) => JSON.parse(event));
}

export async function until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 60_000): Promise<void> {
  const giveUpAtMs = performance.now() + limitMs;
  while (!(await holds())) {
    assert.ok(performance.now() < giveUpAtMs, `not within ${limitMs} ms: ${what}`);
    await sleep(50);
  }
}
