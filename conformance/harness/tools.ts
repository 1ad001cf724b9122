import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { withLock } from "../../scripts/lock.mjs";

/** A program of somebody else that a suite needs, at a pinned version, in a cache folder outside the repository. */
export interface Tool {
  readonly name: string;
  /** Stands in the folder's name, so that another version is another folder. */
  readonly version: string;
  /** What has to be on the machine to build it. */
  readonly needs: "go" | "python3" | "cargo";
  readonly folder: string;
  /** Builds it into `folder`; rejects with a sentence that ends in the output's last lines. */
  install(): Promise<void>;
}

const conformance = dirname(import.meta.dirname);
const root = dirname(conformance);
const protos = ["common.proto", "vllm_engine.proto"].map((file) => join(root, "proto", file));
const cache = process.env.TOKENWIRE_CACHE ?? join(homedir(), ".cache", "tokenwire");

function goTool(name: string, module: string, version: string): Tool {
  const folder = join(cache, "go", `${name}-${version}`);
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: "0" };
  const install = () => run("go", ["install", "-ldflags=-s -w", `${module}@${version}`], env);
  return { name, version, needs: "go", folder, install };
}

/** A Go program of this repository: the main package in a folder that has its own go.mod. */
function goProgram(name: string, source: string, linkerFlags = ""): Tool {
  const sources = globSync("*.go", { cwd: source }).sort();
  const version = hashOf([...sources, "go.mod", "go.sum"].map((file) => join(source, file)));
  const folder = join(cache, "go", `${name}-${version}`);
  const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off" };
  const flags = ["-v", "-buildvcs=false", "-trimpath", `-ldflags=-s -w ${linkerFlags}`, "-o", join(folder, name)];
  const install = async () => {
    let packages = 0;
    const telling = setInterval(() => console.log(`Compiled ${packages} packages of ${name} ...`), 20_000);
    try {
      await run("go", ["build", "-C", source, ...flags, "."], env, (output) => {
        packages += output.split("\n").length - 1;
      });
    } finally {
      clearInterval(telling);
    }
  };
  return { name, version, needs: "go", folder, install };
}

/** A Rust program of this repository: the package in a folder that has its own Cargo.lock. */
function cargoProgram(name: string, source: string): Tool {
  const sources = globSync("src/*.rs", { cwd: source }).sort();
  const version = hashOf([...sources, "Cargo.toml", "Cargo.lock"].map((file) => join(source, file)));
  const folder = join(cache, "cargo", `${name}-${version}`);
  const target = join(folder, "target");
  const args = ["install", "--locked", "--quiet", "--path", source, "--root", folder, "--target-dir", target];
  const install = async () => {
    await run("cargo", args);
    rmSync(target, { recursive: true, force: true });
  };
  return { name, version, needs: "cargo", folder, install };
}

function hashOf(files: readonly string[]): string {
  const contents = files.map((file) => readFileSync(file));
  return createHash("sha256").update(Buffer.concat(contents)).digest("hex").slice(0, 12);
}

/** A virtual environment with `conformance/NAME/requirements.txt`, and what `prepare` makes of `inputs`. */
function pythonTool(
  name: string,
  inputs: readonly string[],
  prepare: (python: string, folder: string) => Promise<void>,
): Tool {
  const requirements = join(conformance, name, "requirements.txt");
  const version = hashOf([requirements, ...inputs]);
  const folder = join(cache, "python", `${name}-${version}`);
  const python = join(folder, "bin", "python");
  const install = async () => {
    await makeEnvironment(folder);
    await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]);
    await prepare(python, folder);
  };
  return { name: `python-${name}`, version, needs: "python3", folder, install };
}

/** Debian splits ensurepip off into python3-venv; the pip of the system can then fill the environment. */
async function makeEnvironment(folder: string): Promise<void> {
  try {
    await run("python3", ["-m", "venv", folder]);
  } catch {
    rmSync(folder, { recursive: true, force: true });
    await run("python3", ["-m", "venv", "--without-pip", folder]);
    await run("python3", ["-m", "pip", "--python", join(folder, "bin", "python"), "install", "--quiet", "pip"]);
  }
}

/** Python modules from this repository's own proto files, made by protoc's Python generator. */
async function compileProtos(python: string, folder: string): Promise<void> {
  const out = join(folder, "protos");
  mkdirSync(out, { recursive: true });
  const flags = [`-I${join(root, "proto")}`, `--python_out=${out}`, `--grpc_python_out=${out}`];
  await run(python, ["-m", "grpc_tools.protoc", ...flags, ...protos]);
}

export const grpcurl: Tool = goTool("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4");
export const grpcHealthProbe: Tool = goTool(
  "grpc-health-probe",
  "github.com/grpc-ecosystem/grpc-health-probe",
  "v0.4.61",
);
export const grpcio: Tool = pythonTool("grpcio", protos, compileProtos);
export const gateway: Tool = pythonTool("gateway", [], () => Promise.resolve());
export const kubernetesValidate: Tool = pythonTool("kubernetes", [], () => Promise.resolve());
const componentVersion = "k8s.io/component-base/version";
/** The version is the probes' user agent, kube-probe/1.34; it goes with the one in go.mod. */
export const kubeletProbes: Tool = goProgram(
  "kubelet-probes",
  join(conformance, "kubernetes", "kubelet"),
  `-X ${componentVersion}.gitVersion=v1.34.4 -X ${componentVersion}.gitMajor=1 -X ${componentVersion}.gitMinor=34`,
);

export const healthCheckedClient: Tool = goProgram(
  "health-checked-client",
  join(conformance, "grpc-go-health", "client"),
);

// The version is of a module without go.mod, which is what "incompatible" says.
export const h2spec: Tool = goTool("h2spec", "github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible");
export const connectconformance: Tool = goTool(
  "connectconformance",
  "connectrpc.com/conformance/cmd/connectconformance",
  "v1.0.7",
);
/** Its package is called `client`; the folder says which one. */
export const interopClient: Tool = goTool("client", "google.golang.org/grpc/interop/client", "v1.85.0");

const readers = join(conformance, "content");
export const grpcGoReader: Tool = goProgram("grpc-go-reader", join(readers, "grpc-go-reader"));
export const tonicReader: Tool = cargoProgram("tonic-reader", join(readers, "tonic-reader"));

/** Where an installed tool's program lies. */
export function program(tool: Tool, name: string = tool.name): string {
  return join(tool.folder, tool.needs === "go" ? "" : "bin", name);
}

/** Installs a tool unless an earlier run did. Two runs at once install it once. */
export async function ensureInstalled(tool: Tool): Promise<void> {
  if (isInstalled(tool)) return;
  mkdirSync(dirname(tool.folder), { recursive: true });
  const onWait = () => console.log(`Waiting for another installation of ${tool.name} to end ...`);
  await withLock(`${tool.folder}.lock`, { onWait }, async () => {
    if (isInstalled(tool)) return;
    // A folder without the mark is what an interrupted installation left.
    rmSync(tool.folder, { recursive: true, force: true });
    const startedAtMs = performance.now();
    console.log(`Installing ${tool.name} ${tool.version} into ${tool.folder} ...`);
    await tool.install();
    writeFileSync(join(tool.folder, ".complete"), "");
    console.log(`Installed ${tool.name} in ${Math.round((performance.now() - startedAtMs) / 1000)} s.`);
  });
}

function isInstalled(tool: Tool): boolean {
  // An environment's python is a link to the machine's, which may have been removed since.
  const works = existsSync(program(tool, tool.needs === "python3" ? "python" : tool.name));
  return works && existsSync(join(tool.folder, ".complete"));
}

/** The version line of a program on the PATH, or undefined when it does not run. */
export async function versionOf(command: Tool["needs"]): Promise<string | undefined> {
  try {
    return (await capture(command, command === "go" ? ["version"] : ["--version"])).trim();
  } catch {
    return undefined;
  }
}

async function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  onOutput?: (text: string) => void,
): Promise<void> {
  await capture(command, args, env, onOutput);
}

function capture(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  onOutput?: (text: string) => void,
): Promise<string> {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keepTail = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-64 * 1024);
    onOutput?.(chunk.toString());
  };
  child.stdout.on("data", keepTail);
  child.stderr.on("data", keepTail);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) return resolve(output);
      const tail = output.trimEnd().split("\n").slice(-20).join("\n");
      reject(new Error(`${command} ${args.join(" ")} ended with code ${code}\n${tail}`));
    });
  });
}
