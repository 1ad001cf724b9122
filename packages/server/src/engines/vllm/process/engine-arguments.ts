export interface EngineArguments {
  readonly modelPath: string;
  /** Where the engines say HELLO. */
  readonly handshake: { readonly host: string; readonly port: number };
  readonly dataParallelSize: number;
  /** The user's own, put last. */
  readonly args: readonly string[];
}

/** The words behind the program's name that start engines without a front end of vLLM's. */
export function engineArguments({ modelPath, handshake, dataParallelSize, args }: EngineArguments): string[] {
  return [
    ...["serve", modelPath, "--headless"],
    ...["--data-parallel-address", handshake.host, "--data-parallel-rpc-port", String(handshake.port)],
    ...["--data-parallel-size", String(dataParallelSize)],
    ...args,
  ];
}

const startedHere = "tokenwire gives it to the engine itself";
const notInEngine = "the engine listens nowhere; it is a flag of tokenwire's, before --";

const refused: ReadonlyMap<string, string> = new Map([
  ["--headless", startedHere],
  ["--data-parallel-address", startedHere],
  ["-dpa", startedHere],
  ["--data-parallel-rpc-port", startedHere],
  ["-dpp", startedHere],
  ["--data-parallel-size", "it is a flag of tokenwire's, before --"],
  ["-dp", "use --data-parallel-size of tokenwire, before --"],
  ["--host", notInEngine],
  ["--port", notInEngine],
  ["--served-model-name", "clients see tokenwire's, before --"],
  ["--grpc", "tokenwire serves gRPC itself"],
  ["--api-server-count", "tokenwire is the only front end"],
  ["-asc", "tokenwire is the only front end"],
  ["--data-parallel-hybrid-lb", "tokenwire balances over the engines itself"],
  ["--data-parallel-external-lb", "tokenwire balances over the engines itself"],
]);

/** The sentence for the first of the user's words that cannot go to the engine, or undefined. */
export function refuseEngineArguments(args: readonly string[]): string | undefined {
  for (const word of args) {
    const name = (word.split("=", 1)[0] ?? "").replaceAll("_", "-");
    const reason = refused.get(name);
    if (reason !== undefined) return `${name} cannot stand behind --: ${reason}.`;
  }
  return undefined;
}
