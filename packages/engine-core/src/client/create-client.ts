import { type DeathCause, EngineCoreError } from "../engine-core-error.ts";
import { encodeAdd, requestType } from "../protocol/add.ts";
import { decodeHandshake, decodeIdentity, encodeIdentity, encodeInit } from "../protocol/handshake.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { decodeOutputs } from "../protocol/outputs.ts";
import { decodeReadyResponse, type ReadyFacts } from "../protocol/ready-response.ts";
import type { EngineCoreRequest, WireValue } from "../protocol/request.ts";
import { bindPull, bindRouter, type PullSocket, type RouterSocket } from "../zmq/sockets.ts";
import { advertised, isOnThisMachine, onHostOf } from "./addresses.ts";
import type {
  EngineConnection,
  EngineCoreClient,
  EngineCoreClientOptions,
  RememberedEngines,
} from "./engine-core-client.ts";
import { Engines } from "./engines.ts";
import { Leftovers } from "./leftovers.ts";
import { UtilityCalls } from "./utility-calls.ts";

/** vLLM's word for "this engine is dead" (vllm/v1/engine/core.py, ENGINE_CORE_DEAD), alone in its message. */
const deathNotice = Buffer.from("ENGINE_CORE_DEAD");
/** How long an engine on another machine may be away before it counts as dead; ZeroMQ reconnects within 200 ms. */
const awayLimitMs = 2_000;
/** How often an engine that is to be taken over is looked for. */
const lookAgainMs = 20;
/** Takes nothing back. Tells whether anybody reads an engine's input. */
const emptyAbort = encodeMessagePack([]);

/**
 * Binds the sockets and waits for engines from then on. Rejects with `cannot-bind` or `no-zeromq`, and then nothing is
 * left open. See {@link EngineCoreClient} for the rest; who calls this closes it.
 */
export async function createEngineCoreClient(options: EngineCoreClientOptions): Promise<EngineCoreClient> {
  const client = new SocketClient(options);
  await client.bind();
  return client;
}

class SocketClient implements EngineCoreClient {
  readonly #options: EngineCoreClientOptions;
  readonly #engines: Engines;
  readonly #calls = new UtilityCalls();
  readonly #leftovers: Leftovers | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  #handshake: RouterSocket | undefined;
  #input: RouterSocket | undefined;
  #output: PullSocket | undefined;
  #closed = false;

  constructor(options: EngineCoreClientOptions) {
    this.#options = options;
    this.#engines = new Engines(options.resume?.engines.length ?? options.engineCount ?? 1);
    this.#leftovers = options.resume === undefined ? undefined : new Leftovers();
  }

  get addresses(): { readonly handshake: string; readonly input: string; readonly output: string } {
    const [handshake, input, output] = [this.#handshake, this.#input, this.#output];
    if (handshake === undefined || input === undefined || output === undefined) throw closedError();
    return { handshake: handshake.address, input: input.address, output: output.address };
  }

  get engines(): readonly EngineConnection[] {
    return this.#engines.connections;
  }

  async bind(): Promise<void> {
    const { handshakeAddress, inputAddress, outputAddress, resume } = this.#options;
    try {
      this.#handshake = await bindRouter(resume?.handshakeAddress ?? handshakeAddress, {
        onMessage: (frames) => this.#guarded(() => this.#takeHandshake(frames)),
      });
      const beside = onHostOf(this.#handshake.address);
      this.#input = await bindRouter(resume?.inputAddress ?? inputAddress ?? beside, {
        onMessage: (frames) => this.#guarded(() => this.#takeReady(frames)),
        onDisconnect: () => this.#lookForReaders(),
      });
      this.#output = await bindPull(resume?.outputAddress ?? outputAddress ?? beside, {
        onMessage: (frames) => this.#takeOutputs(frames),
      });
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
    for (const facts of resume?.engines ?? []) void this.#resume(facts);
  }

  ready(signal?: AbortSignal): Promise<readonly ReadyFacts[]> {
    return this.#engines.ready(signal);
  }

  add(engineIndex: number, request: EngineCoreRequest): void {
    this.#assertReady(engineIndex);
    this.#leftovers?.ours(request.requestId);
    this.#send(engineIndex, requestType.add, encodeAdd(request, Date.now() / 1000));
  }

  abort(engineIndex: number, requestIds: readonly string[]): void {
    if (requestIds.length === 0 || this.#closed || this.engines[engineIndex]?.t !== "ready") return;
    this.#leftovers?.aborted(requestIds);
    this.#send(engineIndex, requestType.abort, encodeMessagePack([...requestIds]));
  }

  call(engineIndex: number, method: string, args: readonly WireValue[] = [], signal?: AbortSignal): Promise<unknown> {
    try {
      this.#assertReady(engineIndex);
      signal?.throwIfAborted();
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    const { id, answer } = this.#calls.begin(engineIndex, method, signal);
    this.#send(engineIndex, requestType.utility, encodeMessagePack([0, id, method, args]));
    return answer;
  }

  tellDead(engineIndex: number, sentence: string): void {
    this.#dies(engineIndex, "told", sentence);
  }

  remember(): RememberedEngines {
    const { handshake, input, output } = this.addresses;
    const engines = this.engines.flatMap((engine) => (engine.t === "ready" ? [engine.facts] : []));
    return { version: 1, handshakeAddress: handshake, inputAddress: input, outputAddress: output, engines };
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#handshake?.close();
    this.#input?.close();
    this.#output?.close();
    const error = closedError();
    this.#calls.failAll(error);
    this.#engines.close(error);
    return Promise.resolve();
  }

  // What engines say.

  #takeHandshake(frames: readonly Uint8Array[]): void {
    const [identity, body] = frames;
    if (identity === undefined || body === undefined) return;
    const index = decodeIdentity(identity);
    const status = decodeHandshake(body);
    this.#engines.assertExpected(index);
    if (status === "READY") {
      this.#announce(this.#engines.saidReady(index));
      return;
    }
    // The same process never says HELLO twice.
    this.#dies(index, "handshake-again", `engine ${index} was started again`);
    this.#engines.saidHello(index);
    const { input, output } = this.addresses;
    const told = (address: string): string => advertised(address, this.#options.advertisedHost);
    void this.#handshake?.send(identity, [encodeInit(told(input), told(output))]);
  }

  #takeReady(frames: readonly Uint8Array[]): void {
    const [identity, body] = frames;
    if (identity === undefined || body === undefined) return;
    const index = decodeIdentity(identity);
    this.#engines.assertExpected(index);
    this.#announce(this.#engines.gaveFacts(decodeReadyResponse(index, body)));
  }

  #takeOutputs(frames: readonly Uint8Array[]): void {
    const [first] = frames;
    if (frames.length === 1 && first !== undefined && deathNotice.equals(first)) {
      this.#takeDeathNotice();
      return;
    }
    this.#guarded(() => {
      const message = decodeOutputs(frames);
      const { utilityOutput } = message;
      if (utilityOutput !== undefined) this.#calls.end(utilityOutput);
      if (this.#leftovers !== undefined) this.abort(message.engineIndex, this.#leftovers.in(message.outputs));
      this.#options.onOutputs(message);
    });
  }

  /** The notice does not say whose it is. With several engines the one that nobody can reach any more is the dead one. */
  #takeDeathNotice(): void {
    const alive = this.#engines.alive();
    const [only] = alive;
    if (alive.length === 1 && only !== undefined) this.#dies(only, "said-so", `engine ${only} said that it is dead`);
    else this.#lookForReaders();
  }

  #announce(returned: ReadyFacts | undefined): void {
    if (returned !== undefined) this.#options.onReturn?.(returned.engineIndex, returned);
  }

  /** What an engine sends is never a reason to stop for us. */
  #guarded(read: () => void): void {
    try {
      read();
    } catch (thrown) {
      if (!(thrown instanceof EngineCoreError)) throw thrown;
      this.#options.onBadFrame(thrown);
    }
  }

  // Who is there.

  /** A connection to the input is gone, and ZeroMQ does not say whose: asks each engine's in turn. */
  #lookForReaders(): void {
    for (const index of this.#engines.alive()) void this.#lookForReader(index, true);
  }

  async #lookForReader(index: number, mayReturn: boolean): Promise<void> {
    if (this.#closed || (await this.#isReachable(index)) || this.#closed) return;
    // Connections within a machine do not break by themselves; those between machines may come again.
    if (mayReturn && !isOnThisMachine(this.addresses.input)) {
      this.#after(awayLimitMs, () => void this.#lookForReader(index, false));
      return;
    }
    this.#dies(index, "input-lost", `engine ${index} does not read its input any more`);
  }

  async #resume(facts: ReadyFacts): Promise<void> {
    const index = facts.engineIndex;
    if (this.#closed || this.engines[index]?.t !== "waiting") return;
    if (await this.#isReachable(index)) this.#engines.resumed(facts);
    else if (!this.#closed) this.#after(lookAgainMs, () => void this.#resume(facts));
  }

  async #isReachable(index: number): Promise<boolean> {
    const sent = await this.#input?.send(encodeIdentity(index), [requestType.abort, emptyAbort]);
    return sent === "sent";
  }

  #dies(index: number, cause: DeathCause, sentence: string): void {
    if (this.#closed || this.engines[index]?.t !== "ready") return;
    this.#engines.died(index, cause);
    const error = new EngineCoreError({ kind: "dead", engineIndex: index, cause }, sentence);
    this.#calls.failOf(index, error);
    this.#options.onDeath(index, cause, error);
  }

  #send(index: number, type: Uint8Array, body: Uint8Array): void {
    void this.#input?.send(encodeIdentity(index), [type, body]).then((sent) => {
      if (sent === "unreachable") void this.#lookForReader(index, true);
    });
  }

  #assertReady(index: number): void {
    if (this.#closed) throw closedError();
    this.#engines.assertReady(index);
  }

  #after(delayMs: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, delayMs);
    this.#timers.add(timer);
  }
}

function closedError(): EngineCoreError {
  return new EngineCoreError({ kind: "closed" }, "the client of the engine core is closed");
}
