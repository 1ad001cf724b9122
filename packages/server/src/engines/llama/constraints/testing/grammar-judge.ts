import { createRequire } from "node:module";
import { join } from "node:path";
import type { Constraint } from "../../../../engine/request.ts";
import { toGbnf } from "../index.ts";

/** llama.cpp's own grammar engine, as the judge of what this folder produces. */
interface GrammarJudge {
  /** Throws where llama.cpp refuses the grammar. Keep the result: each call of `accepts` reads the grammar anew. */
  compile(gbnf: string): CompiledGrammar;
}

interface CompiledGrammar {
  /** True where the whole text matches. */
  accepts(text: string): boolean;
}

interface Addon {
  readonly AddonGrammar: new (
    gbnf: string,
    options: { addonExports: Addon; rootRuleName: string },
  ) => { isTextCompatible(text: string): boolean };
  markLoaded(): void;
  setLoggerLogLevel(level: number): void;
  setLogger(logger: () => void): void;
  loadBackends(directory?: string): void;
  systemInfo(): string;
  init(): Promise<void>;
}

/** The reason to skip a test with, or false. */
export function skipWithout(judge: GrammarJudge | undefined): string | false {
  return judge === undefined ? "there is no llama.cpp addon for this platform" : false;
}

/** How llama.cpp answers to a constraint, after our conversion. */
export function acceptedBy(judge: GrammarJudge | undefined, constraint: Constraint): (text: string) => boolean {
  if (judge === undefined) throw new Error("the addon is not loaded");
  const compiled = judge.compile(toGbnf(constraint));
  return (text) => compiled.accepts(text);
}

/**
 * Loads the llama.cpp addon of this platform. Resolves to undefined, with the reason on stderr, where the platform has
 * none. The addon stays loaded until the process ends.
 */
export async function loadGrammarJudge(): Promise<GrammarJudge | undefined> {
  const platform = `${process.platform}-${process.arch}`;
  let binsDir: string;
  try {
    const module: { getBinsDir(): { binsDir: string } } = await import(`@node-llama-cpp/${platform}`);
    binsDir = join(module.getBinsDir().binsDir, platform);
  } catch (thrown) {
    process.stderr.write(`skipped: no llama.cpp addon for ${platform} (${String(thrown)})\n`);
    return undefined;
  }
  const addon: Addon = createRequire(import.meta.url)(join(binsDir, "llama-addon.node"));
  addon.markLoaded();
  addon.setLoggerLogLevel(2);
  addon.setLogger(() => {});
  addon.loadBackends();
  if (addon.systemInfo() === "") addon.loadBackends(binsDir);
  await addon.init();
  return {
    compile(gbnf) {
      const grammar = new addon.AddonGrammar(gbnf, { addonExports: addon, rootRuleName: "root" });
      return { accepts: (text) => grammar.isTextCompatible(text) };
    },
  };
}
