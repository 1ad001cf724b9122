import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../../conformance/harness/processes.ts";
import type { Tool } from "../../conformance/harness/tools.ts";

const sources = import.meta.dirname;
const cache = process.env.TOKENWIRE_CACHE ?? join(homedir(), ".cache", "tokenwire");
const programs = ["watch-client", "grpc-go-server"] as const;
const version = sourceHash();

/** The client and grpc-go's server of this folder, built into the tool cache; changed sources are another version. */
export const goPrograms: Tool = {
  name: "watch-client",
  version,
  needs: "go",
  folder: join(cache, "go", `bench-watchers-${version}`),
  install,
};

async function install(): Promise<void> {
  const packages = programs.map((name) => `./${name}`);
  const args = ["-C", sources, "build", "-mod=readonly", "-trimpath", "-o", `${goPrograms.folder}/`, ...packages];
  const { code, stdout, stderr } = await run("go", args, {
    environment: { ...process.env, CGO_ENABLED: "0" },
    limitMs: 600_000,
  });
  if (code !== 0) throw new Error(`go ${args.join(" ")} ended with code ${code}\n${stdout}${stderr}`);
}

function sourceHash(): string {
  const hash = createHash("sha256");
  for (const file of globSync(["go.mod", "go.sum", "*/*.go"], { cwd: sources }).sort()) {
    hash.update(`${file}\n`).update(readFileSync(join(sources, file)));
  }
  return hash.digest("hex").slice(0, 12);
}
