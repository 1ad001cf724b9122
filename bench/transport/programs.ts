import { createHash } from "node:crypto";
import { globSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../../conformance/harness/processes.ts";
import type { Tool } from "../../conformance/harness/tools.ts";

const root = join(import.meta.dirname, "..", "..");
const cache = process.env.TOKENWIRE_CACHE ?? join(homedir(), ".cache", "tokenwire");
const buildLimitMs = 1_200_000;

/** Where {@link compileServers} puts the servers. */
export const compiledServers: string = join(root, "bench", "dist", "transport", "servers");

/** The load client and grpc-go's server, built into the tool cache; changed sources are another version. */
export const goPrograms: Tool = tool("load-client", "go", "go", ["go.*", "*/*.go"], (sources, folder) => {
  const packages = ["./load-client", "./grpc-go-server"];
  return must("go", ["-C", sources, "build", "-mod=readonly", "-trimpath", "-o", `${folder}/`, ...packages]);
});

/** tonic's server, optimised. */
export const tonicServer: Tool = tool(
  "tonic-server",
  "cargo",
  "tonic-server",
  ["Cargo.*", "build.rs", "src/*.rs"],
  async (sources, folder) => {
    const target = join(folder, "target");
    const places = ["--path", sources, "--root", folder, "--target-dir", target];
    await must("cargo", ["install", "--locked", "--quiet", ...places]);
    rmSync(target, { recursive: true, force: true });
  },
);

/**
 * Compiles the packages and the servers in TypeScript, because users run compiled packages: paced streams of a process that
 * strips types from its sources cost a fifth more (docs/benchmarks.md).
 */
export async function compileServers(): Promise<void> {
  const tsc = join(root, "node_modules", ".bin", "tsc");
  await must(tsc, ["-b", join(root, "packages", "grpc"), join(root, "packages", "health")]);
  await must(tsc, ["-p", join(import.meta.dirname, "servers")]);
}

function tool(
  name: string,
  needs: "go" | "cargo",
  subfolder: string,
  patterns: readonly string[],
  install: (sources: string, folder: string) => Promise<void>,
): Tool {
  const sources = join(import.meta.dirname, subfolder);
  const hash = createHash("sha256");
  for (const file of globSync([...patterns], { cwd: sources }).sort()) {
    hash.update(`${file}\n`).update(readFileSync(join(sources, file)));
  }
  const version = hash.digest("hex").slice(0, 12);
  const folder = join(cache, needs, `bench-transport-${name}-${version}`);
  return { name, version, needs, folder, install: () => install(sources, folder) };
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const environment = { ...process.env, CGO_ENABLED: "0", GOWORK: "off" };
  const { code, stdout, stderr } = await run(command, args, { environment, limitMs: buildLimitMs });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with code ${code}\n${stdout}${stderr}`);
}
