import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../../conformance/harness/processes.ts";
import type { Tool } from "../../conformance/harness/tools.ts";

const sources = import.meta.dirname;
const cache = process.env.TOKENWIRE_CACHE ?? join(homedir(), ".cache", "tokenwire");
const installLimitMs = 900_000;

/** The load client of this folder, a Go program. */
export const loadClient: Tool = tool("bench-front-end-client", "go", ["client/*.go", "client/go.*"], (folder) => {
  const flags = ["-mod=readonly", "-trimpath", "-o", join(folder, "bench-front-end-client")];
  return must("go", ["-C", join(sources, "client"), "build", ...flags, "."]);
});

/** A Python with the Rust servicer and with what the mock engine speaks its wire with. */
export const python: Tool = tool("bench-front-end", "python3", ["requirements.txt"], async (folder) => {
  await must("python3", ["-m", "venv", folder]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  await must(join(folder, "bin", "python"), [...pip, "-r", join(sources, "requirements.txt")]);
});

function tool(
  name: string,
  needs: Tool["needs"],
  patterns: readonly string[],
  install: (folder: string) => Promise<void>,
): Tool {
  const hash = createHash("sha256");
  for (const file of globSync([...patterns], { cwd: sources }).sort()) {
    hash.update(`${file}\n`).update(readFileSync(join(sources, file)));
  }
  const version = hash.digest("hex").slice(0, 12);
  const folder = join(cache, needs === "go" ? "go" : "python", `${name}-${version}`);
  return { name, version, needs, folder, install: () => install(folder) };
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const environment = { ...process.env, CGO_ENABLED: "0", GOWORK: "off" };
  const { code, stdout, stderr } = await run(command, args, { environment, limitMs: installLimitMs });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with code ${code}\n${stdout}${stderr}`);
}
