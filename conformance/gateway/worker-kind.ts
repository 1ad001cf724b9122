import type { Server } from "../harness/server.ts";

/** The name under which every worker of the list serves the demonstration model. */
export const model = "tokenwire-demo";

/** A server of the list. */
export interface Worker extends Server {
  /**
   * Takes away what the worker's tokenizer path leads to, which the worker needed for its start alone. Answers the path;
   * undefined where the worker tells none, because the tokenizer is inside the model's file.
   */
  hideTokenizer(): string | undefined;
  /** Ends the server with SIGKILL, and serves again at the same address, with the engine that is left of it if one is. */
  replaced(): Promise<Worker>;
}

/** How to start the servers that the list is about. Every worker serves the demonstration model as {@link model}. */
export interface WorkerKind {
  readonly name: string;
  start(flags?: readonly string[]): Promise<Worker>;
  /** One whose Embed answers. */
  startToEmbed(): Promise<Server>;
  /** One whose events tell what its prefix cache holds. */
  startToTell(): Promise<Worker>;
  /** A worker beside it, with the same model; of the same kind where the machine has room for two. Its events tell too. */
  startOther(flags?: readonly string[]): Promise<Server>;
  /** Both tell their caches in blocks of one size; a gateway (smg 1.13.0) keeps one size for all workers of a model. */
  readonly otherHasSameBlocks: boolean;
  /** A lost engine is started again in the same server. */
  readonly restartsEngine: boolean;
}
