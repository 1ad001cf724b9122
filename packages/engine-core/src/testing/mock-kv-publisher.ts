import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import type { WireValue } from "../protocol/request.ts";
import { loadZeromq } from "./zeromq-sockets.ts";

export interface MockKvPublisherOptions {
  /** Default 0. */
  readonly dataParallelRank?: number;
  readonly topic?: string;
  /** Batches that the replay has; 0 is a publisher without one. Default 10000, as vLLM's. */
  readonly bufferSteps?: number;
  /** Where it is instead of at a free port, as after a start of another process. */
  readonly port?: number;
  /** Connects to this address, as vLLM does to one without a wildcard, in place of listening. */
  readonly connectTo?: string;
}

/**
 * vLLM's publisher of KV events for tests (ZmqEventPublisher): a PUB and a ROUTER of libzmq on this machine, in this process.
 * Who makes it closes it.
 */
export class MockKvPublisher {
  /** What an engine with this publisher says in its ready response, under `kv_events_config`. */
  readonly config: Readonly<Record<string, WireValue>>;
  readonly #rank: number;
  readonly #topic: string;
  readonly #sockets: Sockets;
  readonly #bufferSteps: number;
  #buffer: { readonly sequence: number; readonly payload: Buffer }[] = [];
  #next = 0;

  private constructor(options: MockKvPublisherOptions, sockets: Sockets) {
    this.#rank = options.dataParallelRank ?? 0;
    this.#topic = options.topic ?? "";
    this.#bufferSteps = options.bufferSteps ?? 10_000;
    this.#sockets = sockets;
    const wildcard = (endpoint: string | null | undefined): string | null =>
      typeof endpoint === "string" ? endpoint.replace("127.0.0.1", "*") : null;
    this.config = {
      enable_kv_cache_events: true,
      publisher: "zmq",
      endpoint: options.connectTo ?? wildcard(sockets.publisher.lastEndpoint),
      replay_endpoint: wildcard(sockets.replay?.lastEndpoint),
      buffer_steps: this.#bufferSteps,
      topic: this.#topic,
    };
    void this.#serveReplay();
  }

  static async start(options: MockKvPublisherOptions = {}): Promise<MockKvPublisher> {
    const { Publisher, Router } = await loadZeromq();
    const publisher = new Publisher({ linger: 0 });
    const replay = options.bufferSteps === 0 ? undefined : new Router({ linger: 0 });
    if (options.connectTo === undefined) await publisher.bind(`tcp://127.0.0.1:${options.port ?? "*"}`);
    else publisher.connect(options.connectTo);
    await replay?.bind("tcp://127.0.0.1:*");
    return new MockKvPublisher(options, { publisher, replay });
  }

  /** Publishes a batch: maps with the keys of vLLM's events, `type` among them. */
  async publish(...events: readonly WireValue[]): Promise<void> {
    const { sequence, payload } = this.#number(events);
    await this.#send(sequence, payload);
  }

  /** Numbers a batch and keeps it for the replay, but does not send it, as a PUB does for a slow subscriber. */
  drop(...events: readonly WireValue[]): void {
    this.#number(events);
  }

  /** Sends bytes in place of a batch. */
  async publishRaw(payload: Buffer): Promise<void> {
    const sequence = this.#next++;
    this.#buffer.push({ sequence, payload });
    await this.#send(sequence, payload);
  }

  /** Empties what the replay has. */
  forget(): void {
    this.#buffer = [];
  }

  close(): void {
    this.#sockets.publisher.close();
    this.#sockets.replay?.close();
  }

  #number(events: readonly WireValue[]): { readonly sequence: number; readonly payload: Buffer } {
    const payload = Buffer.from(encodeMessagePack([Date.now() / 1000, [...events], this.#rank]));
    const kept = { sequence: this.#next++, payload };
    this.#buffer.push(kept);
    if (this.#buffer.length > this.#bufferSteps) this.#buffer.shift();
    return kept;
  }

  #send(sequence: number, payload: Buffer): Promise<void> {
    return this.#sockets.publisher.send([this.#topic, numberFrame(BigInt(sequence)), payload]);
  }

  async #serveReplay(): Promise<void> {
    const { replay } = this.#sockets;
    if (replay === undefined) return;
    try {
      for await (const [client, , start] of replay) {
        if (client === undefined || start === undefined) continue;
        const from = Number(start.readBigUInt64BE());
        for (const { sequence, payload } of this.#buffer) {
          if (sequence >= from) await replay.send([client, "", this.#topic, numberFrame(BigInt(sequence)), payload]);
        }
        await replay.send([client, "", "", numberFrame(-1n), ""]);
      }
    } catch (thrown) {
      if (!replay.closed) throw thrown;
    }
  }
}

interface Sockets {
  readonly publisher: InstanceType<typeof import("zeromq")["Publisher"]>;
  readonly replay: InstanceType<typeof import("zeromq")["Router"]> | undefined;
}

function numberFrame(sequence: bigint): Buffer {
  const frame = Buffer.alloc(8);
  frame.writeBigInt64BE(sequence);
  return frame;
}
