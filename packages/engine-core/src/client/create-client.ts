import { type DeathCause, EngineCoreError } from "../engine-core-error.ts";
import { encodeAdd, requestType } from "../protocol/add.ts";
import { decodeHandshake, decodeIdentity, encodeIdentity, encodeInit } from "../protocol/handshake.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { decodeOutputs } from "../protocol/outputs.ts";
import { decodeReadyResponse, type ReadyFacts } from "../protocol/ready-response.ts";
import type { EngineCoreRequest, WireValue } from "../protocol/request.ts";
import { bindPull, bindRouter, type PullSocket, type RouterSocket } from "../zmq/sockets.ts";
import { advertised, onHostOf } from "./addresses.ts";
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

/**
 * Binds the sockets and waits for engines from then on. Rejects with `cannot-bind`, and then nothing is left open.
 * See {@link EngineCoreClient} for the rest; who calls this closes it.
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
  /** By rank, where an engine may have requests that nobody here knows. */
  readonly #leftovers = new Map<number, Leftovers>();
  /** Which engine writes on a connection of the output, because a death notice does not say whose it is. */
  readonly #writers = new WeakMap<object, number>();
  #handshake: RouterSocket | undefined;
  #input: RouterSocket | undefined;
  #output: PullSocket | undefined;
  #closed = false;

  constructor(options: EngineCoreClientOptions) {
    this.#options = options;
    const { resume, engineCount = 1 } = options;
    this.#engines = new Engines(resume?.engines.length ?? engineCount, resume?.engines);
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
    const { handshakeAddress, inputAddress, outputAddress, resume, onBadFrame: onBadPeer } = this.#options;
    try {
      this.#handshake = await bindRouter(resume?.handshakeAddress ?? handshakeAddress, {
        onMessage: (identity, frames) => this.#guarded(() => this.#takeHandshake(identity, frames)),
        onBadPeer,
      });
      const beside = onHostOf(this.#handshake.address);
      this.#input = await bindRouter(resume?.inputAddress ?? inputAddress ?? beside, {
        onMessage: (identity, frames) => this.#guarded(() => this.#takeReady(identity, frames)),
        onConnect: (identity) => this.#guarded(() => this.#connected(decodeIdentity(identity))),
        onDisconnect: (identity) => this.#guarded(() => this.#lost(decodeIdentity(identity))),
        onBadPeer,
      });
      this.#output = await bindPull(resume?.outputAddress ?? outputAddress ?? beside, {
        onMessage: (frames, writer) => this.#takeOutputs(frames, writer),
        onBadPeer,
      });
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  engineHost(engineIndex: number): string | undefined {
    return this.#input?.remoteAddressOf(encodeIdentity(engineIndex));
  }

  ready(signal?: AbortSignal): Promise<readonly ReadyFacts[]> {
    return this.#engines.ready(signal);
  }

  add(engineIndex: number, request: EngineCoreRequest): void {
    this.#assertReady(engineIndex);
    this.#leftovers.get(engineIndex)?.ours(request.requestId);
    this.#send(engineIndex, requestType.add, encodeAdd(request, Date.now() / 1000));
  }

  abort(engineIndex: number, requestIds: readonly string[]): void {
    if (requestIds.length === 0 || this.#closed || this.engines[engineIndex]?.t !== "ready") return;
    this.#leftovers.get(engineIndex)?.aborted(requestIds);
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
    this.#handshake?.close();
    this.#input?.close();
    this.#output?.close();
    const error = closedError();
    this.#calls.failAll(error);
    this.#engines.close(error);
    return Promise.resolve();
  }

  // What engines say.

  #takeHandshake(identity: Uint8Array, [body]: readonly Uint8Array[]): void {
    if (body === undefined) return;
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
    const cameAt = this.#handshake?.localAddressFor(identity);
    const told = (address: string): string => advertised(address, this.#options.advertisedHost, cameAt);
    this.#handshake?.send(identity, [encodeInit(told(input), told(output))]);
  }

  #takeReady(identity: Uint8Array, [body]: readonly Uint8Array[]): void {
    if (body === undefined) return;
    const index = decodeIdentity(identity);
    this.#engines.assertExpected(index);
    this.#announce(this.#engines.gaveFacts(decodeReadyResponse(index, body)));
  }

  #takeOutputs(frames: readonly Uint8Array[], writer: object): void {
    const [first] = frames;
    if (frames.length === 1 && first !== undefined && deathNotice.equals(first)) {
      this.#takeDeathNotice(writer);
      return;
    }
    let message: ReturnType<typeof decodeOutputs>;
    try {
      message = decodeOutputs(frames);
    } catch (thrown) {
      this.#options.onBadFrame(this.#lostOutputs(thrown, writer));
      return;
    }
    const { utilityOutput, engineIndex } = message;
    this.#writers.set(writer, engineIndex);
    if (this.engines[engineIndex]?.t !== "ready") return;
    if (utilityOutput !== undefined) this.#calls.end(utilityOutput);
    const leftovers = this.#leftovers.get(engineIndex);
    if (leftovers !== undefined) this.abort(engineIndex, leftovers.in(message.outputs));
    this.#options.onOutputs(message);
  }

  #lostOutputs(thrown: unknown, writer: object): EngineCoreError {
    if (!(thrown instanceof EngineCoreError)) throw thrown;
    const fault = { kind: "bad-frame", lostOutputsOf: this.#engineOf(writer) } as const;
    return new EngineCoreError(fault, thrown.message, { cause: thrown });
  }

  #takeDeathNotice(writer: object): void {
    const index = this.#engineOf(writer);
    // Whose notice it is that never wrote anything else, its input tells, which closes too.
    if (index !== undefined) this.#dies(index, "said-so", `engine ${index} said that it is dead`);
  }

  /** Which engine writes on a connection: known from its first message on, and when there is but one. */
  #engineOf(writer: object): number | undefined {
    return this.#writers.get(writer) ?? (this.engines.length === 1 ? 0 : undefined);
  }

  #announce(returned: ReadyFacts | undefined): void {
    if (returned === undefined) return;
    // Another process has nothing of the one before.
    this.#leftovers.delete(returned.engineIndex);
    this.#options.onReturn?.(returned.engineIndex, returned);
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

  #connected(index: number): void {
    this.#engines.assertExpected(index);
    const wasDead = this.engines[index]?.t === "dead";
    if (!this.#engines.connected(index)) return;
    this.#leftovers.set(index, new Leftovers());
    const connection = this.engines[index];
    if (wasDead && connection?.t === "ready") this.#options.onReturn?.(index, connection.facts);
  }

  /** Nobody reads an engine's input any more, and what was on its way to it is lost, whatever the reason. */
  #lost(index: number): void {
    this.#dies(index, "input-lost", `engine ${index} does not read its input any more`);
  }

  #dies(index: number, cause: DeathCause, sentence: string): void {
    if (this.#closed || this.engines[index]?.t !== "ready") return;
    this.#engines.died(index, cause);
    const error = new EngineCoreError({ kind: "dead", engineIndex: index, cause }, sentence);
    this.#calls.failOf(index, error);
    this.#options.onDeath(index, cause, error);
  }

  #send(index: number, type: Uint8Array, body: Uint8Array): void {
    this.#input?.send(encodeIdentity(index), [type, body]);
  }

  #assertReady(index: number): void {
    if (this.#closed) throw closedError();
    this.#engines.assertReady(index);
  }
}

function closedError(): EngineCoreError {
  return new EngineCoreError({ kind: "closed" }, "the client of the engine core is closed");
}
