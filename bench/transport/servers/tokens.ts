import type { MessageWriter } from "@tokenwire/grpc";

/** Messages of ../tokens.proto. Both servers in JavaScript use this codec, so that it makes no difference. */
export interface GenerateRequest {
  readonly messages: number;
  readonly intervalMs: number;
  readonly stepMs: number;
}

export interface TokenChunk {
  readonly tokenId: number;
  readonly index: number;
}

/** Largest chunk: two tags, a length, and two varints of five bytes. */
const maxChunkBytes = 13;

export function chunkAt(index: number): TokenChunk {
  return { tokenId: 1000 + (index % 30_000), index };
}

export function decodeGenerateRequest(bytes: Uint8Array): GenerateRequest {
  let messages = 0;
  let intervalMs = 0;
  let stepMs = 0;
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined || shift > 28) throw new Error("the request is not a GenerateRequest");
      at += 1;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
  };
  while (at < bytes.length) {
    const tag = next();
    if (tag === 0x08) messages = next();
    else if (tag === 0x10) intervalMs = next();
    else if (tag === 0x18) stepMs = next();
    else throw new Error("the request is not a GenerateRequest");
  }
  return { messages, intervalMs, stepMs };
}

/** What calls a stream's listener: a timer of its own, or the clock of the steps that it shares. */
export type Pace = NodeJS.Timeout | StepClock;

interface StepClock {
  readonly stepMs: number;
  readonly listeners: Set<() => void>;
  readonly timer: NodeJS.Timeout;
}

/** By the length of a step. */
const stepClocks = new Map<number, StepClock>();

/** Calls back as often as a request is paced, until {@link stopPace}. */
export function startPace({ intervalMs, stepMs }: GenerateRequest, listener: () => void): Pace {
  if (stepMs === 0) return setInterval(listener, intervalMs);
  const clock = stepClocks.get(stepMs) ?? startClock(stepMs);
  clock.listeners.add(listener);
  return clock;
}

/** Calls back no more. A clock of steps stops when nobody is left. */
export function stopPace(pace: Pace, listener: () => void): void {
  if (!("stepMs" in pace)) {
    clearInterval(pace);
    return;
  }
  if (!pace.listeners.delete(listener) || pace.listeners.size > 0) return;
  clearInterval(pace.timer);
  stepClocks.delete(pace.stepMs);
}

function startClock(stepMs: number): StepClock {
  const listeners = new Set<() => void>();
  const step = (): void => {
    for (const listener of listeners) listener();
  };
  const clock = { stepMs, listeners, timer: setInterval(step, stepMs) };
  stepClocks.set(stepMs, clock);
  return clock;
}

export function encodeTokenChunk(chunk: TokenChunk): Uint8Array {
  const bytes = Buffer.allocUnsafe(maxChunkBytes);
  return bytes.subarray(0, writeChunk(bytes, 0, chunk));
}

export function encodeTokenChunkInto(chunk: TokenChunk, writer: MessageWriter): void {
  writer.reserve(maxChunkBytes);
  writer.at = writeChunk(writer.bytes, writer.at, chunk);
}

function writeChunk(out: Uint8Array, start: number, { tokenId, index }: TokenChunk): number {
  let at = start;
  out[at] = 0x0a;
  out[at + 1] = tokenId < 0x80 ? 1 : tokenId < 0x4000 ? 2 : 3;
  at = writeVarint(out, at + 2, tokenId);
  if (index === 0) return at;
  out[at] = 0x10;
  return writeVarint(out, at + 1, index);
}

function writeVarint(out: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 127) {
    out[at] = (rest & 127) | 128;
    at += 1;
    rest >>>= 7;
  }
  out[at] = rest;
  return at + 1;
}
