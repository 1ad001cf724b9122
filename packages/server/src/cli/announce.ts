import type { EngineState } from "../engine/state.ts";
import type { ListenAddress } from "../rpc/server.ts";
import type { EngineChoice, ServeConfiguration, ServeTls } from "./configuration.ts";
import { formatAddress } from "./value-parsers.ts";

type Print = (line: string) => void;

/** Writes what a person who started `serve` wants to read, on standard output. Logs are elsewhere. */
export class Announcer {
  readonly #print: Print;
  #quarter = 0;
  #served = false;
  #tls: ServeTls | undefined;

  constructor(print: Print) {
    this.#print = print;
  }

  /** `health` is the address of the health port, when there is one. */
  listening(
    configuration: ServeConfiguration,
    version: string,
    address: ListenAddress,
    health: ListenAddress | undefined,
  ): void {
    const { engine, servedModelName, tls } = configuration;
    this.#tls = tls;
    const source = sourceOf(engine);
    this.#print(`tokenwire ${version} serves ${servedModelName} (${source})`);
    this.#print(`listening on ${formatAddress(address)}, gRPC ${securityOf(tls)}`);
    if (health !== undefined) this.#print(`health on ${formatAddress(health)}`);
  }

  /** One line for each quarter of the load; a model that loads in one go gives none. */
  engineState(state: EngineState): void {
    if (this.#served || state.t !== "starting" || state.progress === undefined) return;
    const quarter = Math.floor(state.progress * 4);
    if (quarter <= this.#quarter || quarter > 3) return;
    this.#quarter = quarter;
    this.#print(`loading ${quarter * 25}%`);
  }

  /** Health says SERVING for the first time, `sinceStartMs` after the process began. */
  serving(address: ListenAddress, sinceStartMs: number): void {
    if (this.#served) return;
    this.#served = true;
    this.#print(`SERVING after ${(sinceStartMs / 1000).toFixed(2)} s`);
    this.#print("");
    this.#print("Try in another terminal:");
    for (const command of this.#tls === undefined ? commandsToTry(address) : commandsToTryWithTls(address, this.#tls))
      this.#print(`  ${command}`);
    this.#print("");
    this.#print("Ctrl-C stops after requests in flight have ended.");
  }
}

function sourceOf(engine: EngineChoice): string {
  switch (engine.t) {
    case "llama":
    case "vllm":
      return `${engine.t}, ${engine.modelPath}`;
    case "mock":
      return engine.scriptPath ?? "mock, built-in script";
  }
}

function securityOf(tls: ServeTls | undefined): string {
  if (tls === undefined) return "without TLS";
  return tls.clientCaPath === undefined ? "with TLS" : "with TLS, for clients with a certificate";
}

function targetOf(address: ListenAddress): string {
  const host = ["0.0.0.0", "::"].includes(address.host) ? "localhost" : address.host;
  return formatAddress({ host, port: address.port });
}

function commandsToTryWithTls(address: ListenAddress, { clientCaPath }: ServeTls): string[] {
  const target = targetOf(address);
  const own = clientCaPath === undefined ? "" : " --tls-client-cert CERT.pem --tls-client-key KEY.pem";
  return [`npx tokenwire probe --addr ${target} --tls --tls-ca-cert CA.pem${own}`];
}

function commandsToTry(address: ListenAddress): string[] {
  const target = targetOf(address);
  const flag = ["localhost:50051", "127.0.0.1:50051"].includes(target) ? "" : ` --addr ${target}`;
  return [
    `npx tokenwire generate${flag} "What is the capital of France?"`,
    `npx tokenwire probe${flag}`,
    `grpc-health-probe -addr=${target}`,
    `grpcurl -plaintext ${target} list`,
  ];
}
