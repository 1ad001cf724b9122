import { createRequire } from "node:module";
import { join } from "node:path";

/** llama.cpp's own grammar engine, as the judge of what this folder produces. */
export interface GrammarJudge {
  /** Throws where llama.cpp refuses the grammar. Keep the result: each call of `accepts` reads the grammar anew. */
  compile(gbnf: string): CompiledGrammar;
}

export interface CompiledGrammar {
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
