import { requestType } from "../protocol/add.ts";
import { encodeIdentity } from "../protocol/handshake.ts";
import { type Decoded, decodeMessagePack } from "../protocol/msgpack/reader.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import type { WireValue } from "../protocol/request.ts";
import { encodeOutputs, type MockMessage, type MockOutput } from "./mock-outputs.ts";
import { decodeAdd, type MockRequest } from "./mock-request.ts";
import { MockSequence, type TokenAt } from "./mock-sequence.ts";
import { connectDealer, connectPush, type EngineSocket } from "./zeromq-sockets.ts";

export interface MockEngineCoreOptions {
  /** Where the front end waits, as `--data-parallel-address` and `--data-parallel-rpc-port` would say. */
  readonly handshakeAddress: string;
  /** Data-parallel rank. Default 0. */
  readonly engineIndex?: number;
  /** Keys of the ready response that are to differ; `max_model_len` is 2048 by default, `max_num_seqs` 128. */
  readonly ready?: Readonly<Record<string, WireValue>>;
  /** The least time between two steps. Default 0: as fast as the event loop turns. */
  readonly stepMs?: number;
  /** Statistics with every message, as vLLM sends them unless told not to. Default true. */
  readonly stats?: boolean;
  /** Which token follows; by default one that depends on prompt, seed and position, and is never an EOS. */
  readonly tokenAt?: TokenAt;
  /** Answers of utility methods, beside those that every vLLM has. Throwing makes a failure. */
  readonly utilities?: Readonly<Record<string, (args: readonly Decoded[]) => WireValue>>;
}

type Mode = "turning" | "hung" | "gone";

/**
 * An EngineCore for tests: it speaks the real sockets from the engine's side, in this process, and plays faults on
 * request. One token per running request and step, all of a step in one message, as vLLM does. It computes nothing.
 */
export class MockEngineCore {
  /** Every request that was taken, in order. */
  readonly requests: MockRequest[] = [];
  /** Every id that an ABORT named, in order; empty ABORTs (a front end's question whether anybody reads) leave none. */
  readonly aborted: string[] = [];
  /** Names of the utility methods that were called, in order. */
  readonly calls: string[] = [];
  readonly #options: MockEngineCoreOptions;
  readonly #index: number;
  readonly #maxModelLen: number;
  readonly #maxNumSeqs: number;
  readonly #running: MockSequence[] = [];
  readonly #waiting: MockSequence[] = [];
  readonly #held: (() => void)[] = [];
  #handshake: EngineSocket | undefined;
  #input: EngineSocket | undefined;
  #output: EngineSocket | undefined;
  #addresses: { readonly input: string; readonly output: string } | undefined;
  #mode: Mode = "turning";
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  private constructor(options: MockEngineCoreOptions) {
    this.#options = options;
    this.#index = options.engineIndex ?? 0;
    this.#maxModelLen = Number(options.ready?.max_model_len ?? 2048);
    this.#maxNumSeqs = Number(options.ready?.max_num_seqs ?? 128);
  }

  /** Connects and says HELLO. Resolves when the front end has answered and READY is on its way. */
  static async start(options: MockEngineCoreOptions): Promise<MockEngineCore> {
    const engine = new MockEngineCore(options);
    const { promise, resolve } = Promise.withResolvers<{ readonly input: string; readonly output: string }>();
    const identity = encodeIdentity(engine.#index);
    engine.#handshake = await connectDealer(options.handshakeAddress, identity, ([body]) => {
      if (body !== undefined) resolve(addressesOf(body));
    });
    engine.#handshake.send([encodeMessagePack({ status: "HELLO", local: false, headless: true })]);
    await engine.#connect(await promise);
    engine.#handshake.send([encodeMessagePack({ status: "READY", local: false, headless: true })]);
    return engine;
  }

  get runningRequests(): number {
    return this.#running.length;
  }

  get waitingRequests(): number {
    return this.#waiting.length;
  }

  // Faults.

  /** Stops to step and to answer; connections stay, and what comes in waits. As SIGSTOP does to vLLM. */
  hang(): void {
    if (this.#mode === "turning") this.#mode = "hung";
    this.#stopTurning();
  }

  /** Ends a {@link MockEngineCore.hang}: what waited is done now. */
  resume(): void {
    if (this.#mode !== "hung") return;
    this.#mode = "turning";
    for (const work of this.#held.splice(0)) work();
    this.#turn();
  }

  /** Says ENGINE_CORE_DEAD and is gone, as after an exception in a worker. */
  die(): void {
    this.sendRaw([Buffer.from("ENGINE_CORE_DEAD")]);
    // The notice has to leave first.
    setImmediate(() => this.close());
  }

  /** Closes its input alone, as after an ADD that vLLM could not decode: it never reads again, and goes on to step. */
  goDeaf(): void {
    this.#input?.close();
  }

  /** Any bytes on the output socket. */
  sendRaw(frames: readonly Uint8Array[]): void {
    this.#output?.send(frames);
  }

  /** A message of one's own on the output socket. */
  send(message: Omit<MockMessage, "engineIndex">): void {
    this.sendRaw(encodeOutputs({ ...message, engineIndex: this.#index }));
  }

  /** Ends the oldest request with the finish reason `error`. */
  failOldest(): void {
    const oldest = this.#running.shift();
    if (oldest !== undefined) {
      this.send({ outputs: [{ requestId: oldest.request.requestId, newTokenIds: [], finishReason: "error" }] });
    }
  }

  /** Closes its sockets without a word, as a killed process does. Idempotent. */
  close(): void {
    this.#mode = "gone";
    this.#stopTurning();
    for (const socket of [this.#handshake, this.#input, this.#output]) socket?.close();
  }

  // The wire.

  async #connect(addresses: { readonly input: string; readonly output: string }): Promise<void> {
    this.#addresses = addresses;
    this.#output = await connectPush(addresses.output);
    this.#input = await connectDealer(addresses.input, encodeIdentity(this.#index), (frames) => {
      this.#whenTurning(() => this.#take(frames));
    });
    this.#input.send([encodeMessagePack(readyResponse(this.#index, this.#options.ready))]);
  }

  /** The addresses that the front end gave. */
  get addresses(): { readonly input: string; readonly output: string } | undefined {
    return this.#addresses;
  }

  #whenTurning(work: () => void): void {
    if (this.#mode === "turning") work();
    else if (this.#mode === "hung") this.#held.push(work);
  }

  #take([type, body]: readonly Uint8Array[]): void {
    if (type === undefined || body === undefined) return;
    switch (type[0]) {
      case requestType.add[0]:
        this.#add(body);
        break;
      case requestType.abort[0]:
        this.#abort(body);
        break;
      case requestType.utility[0]:
        this.#call(body);
        break;
      default:
        break;
    }
  }

  #add(body: Uint8Array): void {
    let request: MockRequest;
    try {
      request = decodeAdd(body);
    } catch {
      this.goDeaf();
      return;
    }
    this.requests.push(request);
    this.#waiting.push(new MockSequence(request, this.#maxModelLen, this.#options.tokenAt));
    this.#turn();
  }

  /** As in vLLM, nothing is said of an aborted request. */
  #abort(body: Uint8Array): void {
    const ids = decodeMessagePack(body);
    if (!Array.isArray(ids)) return;
    for (const id of ids) {
      if (typeof id !== "string") continue;
      this.aborted.push(id);
      for (const list of [this.#running, this.#waiting]) {
        const at = list.findIndex(({ request }) => request.requestId === id);
        if (at >= 0) list.splice(at, 1);
      }
    }
  }

  #call(body: Uint8Array): void {
    const call = decodeMessagePack(body);
    if (!Array.isArray(call)) return;
    const [, callId, method, args] = call as readonly Decoded[];
    if (typeof callId !== "number" || typeof method !== "string") return;
    this.calls.push(method);
    try {
      const result = this.#answer(method, Array.isArray(args) ? (args as readonly Decoded[]) : []);
      this.send({ outputs: [], utility: { callId, result } });
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      this.send({ outputs: [], utility: { callId, failure: `Call to ${method} method failed: ${reason}` } });
    }
  }

  #answer(method: string, args: readonly Decoded[]): WireValue {
    const own = this.#options.utilities?.[method];
    if (own !== undefined) return own(args);
    switch (method) {
      case "get_supported_tasks":
        return ["generate"];
      case "is_sleeping":
      case "is_scheduler_paused":
        return false;
      case "reset_prefix_cache":
        return true;
      case "collective_rpc":
        return [null];
      case "reset_mm_cache":
      case "execute_dummy_batch":
        return null;
      default:
        throw new Error(`'EngineCoreProc' object has no attribute '${method}'`);
    }
  }

  // Steps.

  #turn(): void {
    if (this.#mode !== "turning" || this.#timer !== undefined || this.#immediate !== undefined) return;
    if (this.#running.length + this.#waiting.length === 0) return;
    const stepMs = this.#options.stepMs ?? 0;
    const step = (): void => {
      this.#timer = undefined;
      this.#immediate = undefined;
      this.#step();
      this.#turn();
    };
    if (stepMs === 0) this.#immediate = setImmediate(step);
    else this.#timer = setTimeout(step, stepMs);
  }

  #stopTurning(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  #step(): void {
    while (this.#running.length < this.#maxNumSeqs) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#running.push(next);
    }
    const outputs: MockOutput[] = this.#running.map((sequence) => sequence.step());
    const done = this.#running.filter((sequence) => sequence.isDone);
    for (const sequence of done) this.#running.splice(this.#running.indexOf(sequence), 1);
    this.send({ outputs, stats: this.#stats() });
    // After a finish vLLM sends one more message that has only statistics.
    if (done.length > 0 && this.#options.stats !== false) this.send({ outputs: [], stats: this.#stats() });
  }

  #stats(): MockMessage["stats"] {
    if (this.#options.stats === false) return undefined;
    const [runningRequests, waitingRequests] = [this.#running.length, this.#waiting.length];
    return { runningRequests, waitingRequests, kvCacheUsage: Math.min(1, runningRequests / this.#maxNumSeqs) };
  }
}

function addressesOf(init: Uint8Array): { readonly input: string; readonly output: string } {
  const message = decodeMessagePack(init);
  const addresses = message instanceof Map ? message.get("addresses") : undefined;
  const first = (key: string): string => {
    const list = addresses instanceof Map ? addresses.get(key) : undefined;
    const [address] = Array.isArray(list) ? list : [];
    if (typeof address !== "string") throw new TypeError(`INIT has no ${key}`);
    return address;
  };
  return { input: first("inputs"), output: first("outputs") };
}

function readyResponse(engineIndex: number, changes: MockEngineCoreOptions["ready"]): WireValue {
  return {
    max_model_len: 2048,
    num_gpu_blocks: 8192,
    block_size: 128,
    dp_stats_address: null,
    dtype: "float32",
    vllm_version: "0.32.0",
    world_size: 1,
    data_parallel_size: 1,
    tensor_parallel_size: 1,
    pipeline_parallel_size: 1,
    decode_context_parallel_size: 1,
    data_parallel_rank: engineIndex,
    max_num_seqs: 128,
    max_num_batched_tokens: 2048,
    instance_id: "mock",
    supports_lora: false,
    max_loras: 0,
    kv_cache_size_tokens: 1_048_576,
    kv_cache_max_concurrency: 512,
    kv_events_config: null,
    effective_attention_block_size: 128,
    ...changes,
  };
}
