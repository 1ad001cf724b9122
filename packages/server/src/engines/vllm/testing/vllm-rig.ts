import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { MockEngineCore, type MockEngineCoreOptions } from "@tokenwire/engine-core/testing";
import type { Engine } from "../../../engine/engine.ts";
import { createLog } from "../../../operations/log.ts";
import { createVllmEngine, type VllmEngineOptions } from "../vllm-engine.ts";

/** The demonstration model's folder. */
export const demoFolder: string = fileURLToPath(new URL("../../../../../../models/demo/hf", import.meta.url));

// An engine lets its requests run on while it closes, so its cores end with the test file and not with it.
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** The engine and mock engine cores, one per rank, that wait for its sockets. */
export interface VllmRig {
  /** Not started; to start it is all that the cores wait for. Who makes it closes it; the cores end with the test file. */
  readonly engine: Engine;
  /** By rank, once they have been told where to go. */
  cores(): Promise<readonly MockEngineCore[]>;
}

export interface VllmRigOptions {
  readonly ranks?: number;
  readonly core?: Omit<MockEngineCoreOptions, "handshakeAddress" | "engineIndex">;
  readonly engine?: Partial<VllmEngineOptions>;
}

export function vllmRig({ ranks = 1, core = {}, engine: changes = {} }: VllmRigOptions = {}): VllmRig {
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-vllm-"));
  const handshakeAddress = `ipc://${folder}/handshake`;
  const engine = createVllmEngine({
    modelPath: demoFolder,
    source: { t: "attached" },
    handshakeAddress,
    inputAddress: `ipc://${folder}/input`,
    outputAddress: `ipc://${folder}/output`,
    dataParallelSize: ranks,
    log: createLog("silent"),
    ...changes,
  });
  const starting = Array.from({ length: ranks }, (_, engineIndex) =>
    MockEngineCore.start({ ...core, handshakeAddress, engineIndex }),
  );
  ends.push(() => {
    for (const each of starting) void each.then((started) => started.close());
    rmSync(folder, { recursive: true, force: true });
  });
  return { engine, cores: () => Promise.all(starting) };
}
