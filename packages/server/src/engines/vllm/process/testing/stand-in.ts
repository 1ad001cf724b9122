import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A program that can be started in place of `vllm`, in a folder of its own; see stand-in-vllm.ts. */
export interface StandIn {
  readonly command: string;
  readonly folder: string;
  remove(): void;
}

export function makeStandIn(): StandIn {
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-vllm-"));
  const command = join(folder, "vllm");
  const program = fileURLToPath(new URL("./stand-in-vllm.ts", import.meta.url));
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" --conditions=tokenwire-source "${program}" "$@"\n`, {
    mode: 0o755,
  });
  return { command, folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
