import { badFrame, EngineCoreError } from "../engine-core-error.ts";
import { connectDealer, type DealerSocket } from "../zmq/dealer-socket.ts";
import { bindSub, connectSub, type SubEvents, type SubSocket } from "../zmq/sub-socket.ts";
import { EventOrder } from "./event-order.ts";
import { decodeKvEventBatch, type EngineKvEvents } from "./kv-event-batch.ts";
import type { KvEventsSource } from "./kv-events-source.ts";

export interface FollowKvEventsOptions {
  readonly source: KvEventsSource;
  /** The engine may have published before, as one that is taken over. Without a replay that reaches back this is a gap. */
  readonly beginsUnknown: boolean;
  /** Each batch once and in order, synchronously. */
  onBatch(batch: EngineKvEvents): void;
  /** Batches were lost: what was told before may hold or not. What follows is complete again. */
  onGap(sentence: string): void;
  /** The publisher is another process now, whose cache is empty. */
  onRestart(): void;
  /** Bytes that are not what the wire says. Where events were in them, `onGap` follows. */
  onBadFrame(error: EngineCoreError): void;
}

/** Who calls {@link followKvEvents} closes it. */
export interface KvEventFollower {
  /** Resolves when the publisher is reached and what it had before was read; never when it cannot be reached. */
  readonly ready: Promise<void>;
  close(): void;
}

/** Silence of a replay after which its answer is given up. */
const replaySilenceMs = 5_000;
/** Subscriptions and replays go different ways: what fell between them is asked for after this time. */
const settleMs = 1_000;
/** What ends an answer of the replay: -1 (ZmqEventPublisher.END_SEQ). */
const endOfReplay = -1n;

/**
 * Follows what an engine publishes of its prefix cache (`--kv-events-config`, vllm/distributed/kv_events.py at 0.32). It
 * connects again by itself, asks the replay for what it missed, and says where that is not possible. Rejects with
 * `cannot-bind` or with `bad-frame` for an address that cannot be used.
 */
export async function followKvEvents(options: FollowKvEventsOptions): Promise<KvEventFollower> {
  const follower = new Follower(options);
  await follower.open();
  return follower;
}

class Follower implements KvEventFollower {
  readonly ready: Promise<void>;
  readonly #options: FollowKvEventsOptions;
  readonly #ready = Promise.withResolvers<void>();
  readonly #order: EventOrder<Uint8Array>;
  #sub: SubSocket | undefined;
  #replay: DealerSocket | undefined;
  /** The number to ask for as soon as the replay is reached. */
  #wanted: number | undefined;
  #silence: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: FollowKvEventsOptions) {
    this.#options = options;
    this.ready = this.#ready.promise;
    this.#order = new EventOrder(options.beginsUnknown, {
      deliver: (payload) => this.#deliver(payload),
      ask: (from) => this.#ask(from),
      lost: (before) => {
        const which = before === undefined ? "that were published before" : `before number ${before}`;
        options.onGap(`KV events ${which} are lost`);
      },
      restarted: () => {
        this.#stopAsking();
        options.onRestart();
      },
    });
  }

  async open(): Promise<void> {
    const { source, onBadFrame } = this.#options;
    try {
      if (source.replayAddress !== undefined) {
        this.#replay = connectDealer(source.replayAddress, {
          onConnect: () => this.#sendWanted(),
          onMessage: (frames) => this.#guarded(() => this.#takeReplay(frames)),
          onBadPeer: onBadFrame,
        });
      }
      this.#sub = await openSub(source, {
        onConnect: () => this.#subscribed(),
        onMessage: (frames) => this.#guarded(() => this.#takeLive(frames)),
        onBadPeer: onBadFrame,
      });
    } catch (thrown) {
      this.close();
      throw thrown instanceof EngineCoreError ? thrown : badFrame(`${source.address}: ${messageOf(thrown)}`);
    }
    if (this.#isClosed) this.#sub.close();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#silence);
    clearTimeout(this.#settling);
    this.#sub?.close();
    this.#replay?.close();
  }

  #subscribed(): void {
    this.#order.connected();
    this.#readyUnlessAsking();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#order.check(), settleMs);
  }

  #readyUnlessAsking(): void {
    if (!this.#order.isAsking) this.#ready.resolve();
  }

  /** Topic, number, payload. */
  #takeLive(frames: readonly Uint8Array[]): void {
    const [, number, payload] = frames;
    if (frames.length !== 3 || number === undefined || payload === undefined) {
      throw badFrame(`a published message has ${frames.length} frames, not 3`);
    }
    const sequence = sequenceOf(number);
    if (sequence === endOfReplay) throw badFrame("a published message has the number of the replay's end");
    this.#order.live(Number(sequence), payload);
  }

  /** An empty frame, the topic (not in old versions), number, payload. */
  #takeReplay(frames: readonly Uint8Array[]): void {
    const [number, payload] = frames.slice(-2);
    if (frames.length < 3 || number === undefined || payload === undefined) {
      throw badFrame(`an answer of the replay has ${frames.length} frames, not 4`);
    }
    if (!this.#order.isAsking) return;
    const sequence = sequenceOf(number);
    if (sequence === endOfReplay) {
      clearTimeout(this.#silence);
      this.#order.replayEnded(true);
      this.#readyUnlessAsking();
      return;
    }
    this.#silence?.refresh();
    this.#order.replayed(Number(sequence), payload);
  }

  #deliver(payload: Uint8Array): void {
    let batch: EngineKvEvents;
    try {
      batch = decodeKvEventBatch(payload);
    } catch (thrown) {
      if (!(thrown instanceof EngineCoreError)) throw thrown;
      this.#options.onBadFrame(thrown);
      this.#options.onGap("KV events that cannot be read are lost");
      return;
    }
    this.#options.onBatch(batch);
  }

  #ask(from: number): boolean {
    if (this.#replay === undefined || this.#isClosed) return false;
    this.#wanted = from;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#stopAsking();
      this.#order.replayEnded(false);
      this.#readyUnlessAsking();
    }, replaySilenceMs);
    this.#sendWanted();
    return true;
  }

  /** An answer that still comes must not be taken for one to the next question. */
  #stopAsking(): void {
    clearTimeout(this.#silence);
    this.#wanted = undefined;
    this.#replay?.renew();
  }

  #sendWanted(): void {
    if (this.#wanted === undefined) return;
    const number = Buffer.alloc(8);
    number.writeBigInt64BE(BigInt(this.#wanted));
    if (this.#replay?.send([Buffer.alloc(0), number]) === true) this.#wanted = undefined;
  }

  /** What a publisher sends is never a reason to stop for us. */
  #guarded(read: () => void): void {
    if (this.#isClosed) return;
    try {
      read();
    } catch (thrown) {
      if (!(thrown instanceof EngineCoreError)) throw thrown;
      this.#options.onBadFrame(thrown);
    }
  }
}

/** A fixed address is where the publisher connects to, unless somebody is there already or it is of another machine. */
async function openSub({ address, mayConnect, topic }: KvEventsSource, events: SubEvents): Promise<SubSocket> {
  if (mayConnect) {
    try {
      return await bindSub(address, topic, events);
    } catch (thrown) {
      if (!(thrown instanceof EngineCoreError)) throw thrown;
    }
  }
  return connectSub(address, topic, events);
}

function sequenceOf(frame: Uint8Array): bigint {
  if (frame.length !== 8) throw badFrame(`the number of a batch of KV events has ${frame.length} bytes, not 8`);
  const sequence = Buffer.from(frame.buffer, frame.byteOffset, 8).readBigInt64BE();
  if (sequence < endOfReplay || sequence > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw badFrame(`a batch of KV events has the number ${sequence}`);
  }
  return sequence;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
