import { EventEmitter, once } from "node:events";
import { EngineCoreError, type EngineCoreFault } from "../../engine-core-error.ts";
import type { EngineCoreOutput } from "../../protocol/outputs.ts";
import type { ReadyFacts } from "../../protocol/ready-response.ts";
import { MockEngineCore, type MockEngineCoreOptions } from "../../testing/index.ts";
import { createEngineCoreClient } from "../create-client.ts";
import type { EngineCoreClient, RememberedEngines } from "../engine-core-client.ts";

/** A client with everything that it heard, and the mock engines that came to it. Disposing closes all. */
export class FrontEnd implements AsyncDisposable {
  readonly deaths: (readonly [engineIndex: number, cause: string])[] = [];
  readonly engines: MockEngineCore[] = [];
  readonly #outputs: EngineCoreOutput[] = [];
  readonly #badFrames: EngineCoreError[] = [];
  readonly #returns: ReadyFacts[] = [];
  readonly #heard = new EventEmitter();
  #client: EngineCoreClient | undefined;

  private constructor() {}

  static async open(options: { engineCount?: number; resume?: RememberedEngines } = {}): Promise<FrontEnd> {
    const frontEnd = new FrontEnd();
    const heard = (): boolean => frontEnd.#heard.emit("heard");
    frontEnd.#client = await createEngineCoreClient({
      handshakeAddress: "tcp://127.0.0.1:*",
      ...options,
      onOutputs: ({ outputs }) => {
        frontEnd.#outputs.push(...outputs);
        heard();
      },
      onDeath: (engineIndex, cause) => {
        frontEnd.deaths.push([engineIndex, cause]);
        heard();
      },
      onBadFrame: (error) => {
        frontEnd.#badFrames.push(error);
        heard();
      },
      onReturn: (_engineIndex, facts) => {
        frontEnd.#returns.push(facts);
        heard();
      },
    });
    return frontEnd;
  }

  /** A client with one engine that is ready. */
  static async ready(options: Omit<MockEngineCoreOptions, "handshakeAddress"> = {}): Promise<FrontEnd> {
    const frontEnd = await FrontEnd.open();
    await frontEnd.engine(options);
    await frontEnd.client.ready();
    return frontEnd;
  }

  get client(): EngineCoreClient {
    if (this.#client === undefined) throw new Error("not open");
    return this.#client;
  }

  async engine(options: Omit<MockEngineCoreOptions, "handshakeAddress"> = {}): Promise<MockEngineCore> {
    const engine = await MockEngineCore.start({ ...options, handshakeAddress: this.client.addresses.handshake });
    this.engines.push(engine);
    return engine;
  }

  outputsOf(requestId: string): EngineCoreOutput[] {
    return this.#outputs.filter((output) => output.requestId === requestId);
  }

  first(requestId: string): Promise<EngineCoreOutput> {
    return this.#until(() => this.outputsOf(requestId)[0]);
  }

  /** All outputs of a request, when it has ended. */
  whole(requestId: string): Promise<EngineCoreOutput[]> {
    return this.#until(() => {
      const outputs = this.outputsOf(requestId);
      return outputs.at(-1)?.finishReason === undefined ? undefined : outputs;
    });
  }

  death(): Promise<readonly [engineIndex: number, cause: string]> {
    return this.#until(() => this.deaths[0]);
  }

  /** The next one that was not taken yet. */
  badFrame(): Promise<EngineCoreError> {
    return this.#until(() => this.#badFrames.shift());
  }

  returned(): Promise<ReadyFacts> {
    return this.#until(() => this.#returns.shift());
  }

  async #until<Found>(find: () => Found | undefined): Promise<Found> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await once(this.#heard, "heard");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.engines) engine.close();
    await this.client.close();
  }
}

/** For `assert.throws` and `assert.rejects`. */
export function isFault(kind: EngineCoreFault["kind"]): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof EngineCoreError && thrown.fault.kind === kind;
}
