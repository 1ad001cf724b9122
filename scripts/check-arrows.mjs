// Holds the direction of the arrows between the rooms: who may import whom, each line with its reason.
//   node scripts/check-arrows.mjs           checks this repository
//   node scripts/check-arrows.mjs FOLDER    checks another folder with the same layout
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { readImports } from "./read-imports.mjs";

/**
 * A room and the rooms that it may import, itself always among them. The longest `room` that begins a file's path is
 * its room; a name that ends in `.ts` is one file. Packages of ours are named by their package name.
 *
 * @typedef {{ room: string, may: readonly string[], because: string }} Arrow
 * @typedef {{ module: RegExp, only: readonly string[], because: string }} Fence
 * @typedef {{ file: string, line: number, sentence: string }} Finding
 */

const server = "packages/server/src";

/** @type {readonly Arrow[]} */
export const arrows = [
  {
    room: "packages/health/src",
    may: [],
    because: "the health library serves any Node gRPC server, so it knows neither ours nor an engine",
  },
  {
    room: "packages/engine-core/src",
    may: [],
    because: "a client of vLLM's engine core is useful without a gRPC server",
  },
  { room: "packages/grpc/src", may: [], because: "a transport knows no service and no engine" },
  {
    room: "packages/grpc/fuzz",
    may: ["packages/grpc/src"],
    because: "fuzzers reach into the transport's parts, which its public face hides, and into nothing else",
  },

  { room: `${server}/rpc`, may: [], because: "the seam stands between services and transports and leans on neither" },
  {
    room: `${server}/engine`,
    may: [],
    because: "the contract is what engines and services agree on; it must not know one of them",
  },
  { room: `${server}/generated`, may: [], because: "generated code depends on its own files only" },
  {
    room: `${server}/operations`,
    may: [],
    because: "logging and metrics are told facts by the other rooms and ask none of them",
  },
  {
    room: `${server}/transport`,
    may: ["rpc", "operations", "@tokenwire/grpc"],
    because: "a transport can be exchanged as long as it sees methods and bytes, never messages or engines",
  },
  {
    room: `${server}/services`,
    may: ["rpc", "engine", "generated", "operations"],
    because:
      "a service translates between proto messages and the engine contract, whatever engine or transport stands behind",
  },
  {
    room: `${server}/text`,
    may: [],
    because: "text and token ids are turned into each other in one way, for engines and for the client",
  },
  {
    room: `${server}/engines/tokenizer-files.ts`,
    may: ["engine"],
    because: "which files of a folder are a tokenizer does not depend on the engine that serves the model",
  },
  {
    room: `${server}/engines/llama`,
    may: ["engine", "operations", "text", "engines/tokenizer-files"],
    because: "an engine is known by its contract; it shares nothing with another engine",
  },
  {
    room: `${server}/engines/mock`,
    may: ["engine", "operations"],
    because: "an engine is known by its contract; it shares nothing with another engine",
  },
  {
    room: `${server}/engines/vllm`,
    may: ["engine", "operations", "text", "engines/tokenizer-files", "@tokenwire/engine-core"],
    because: "an engine is known by its contract; it shares nothing with another engine",
  },
  {
    room: `${server}/health`,
    may: ["engine", "operations", "@tokenwire/health"],
    because: "verdicts come from evidence of the engine contract and go into the status table",
  },
  {
    room: `${server}/health/thread`,
    may: ["rpc", "transport", "operations", "@tokenwire/health"],
    because:
      "the health port is a server of its own over the status table; it needs no engine and no monitor to be true",
  },
  {
    room: `${server}/lifecycle`,
    may: ["rpc", "engine", "operations"],
    because: "start and stop are an order of steps over contracts, not over implementations",
  },
  {
    room: `${server}/client`,
    may: ["generated", "text"],
    because: "the client speaks to any server of the protocol, so it shares only the messages with ours",
  },
  { room: `${server}/cli`, may: ["*"], because: "the command line is where the parts are put together" },

  { room: "conformance", may: ["scripts"], because: "conformance drives the server from outside, as strangers do" },
  {
    room: "conformance/transport",
    may: ["scripts", "conformance/harness", "@tokenwire/grpc"],
    because: "the suites for transports bring a service of their own, which a server of ours has to serve",
  },
  {
    room: "conformance/vllm",
    may: ["scripts", "conformance/harness", "conformance/gateway", `${server}/generated`, "@tokenwire/engine-core"],
    because:
      "the suites over a real vLLM drive the whole server from outside, with the messages, the gateway's acceptance list and the public face of the engine's client",
  },
  {
    room: "bench",
    may: [
      "scripts",
      "conformance/harness",
      server,
      "@tokenwire/grpc",
      "@tokenwire/health",
      "packages/engine-core/src/protocol",
    ],
    because: "a benchmark measures the server and its parts, and our libraries through their public faces",
  },
  {
    room: "drill",
    may: ["conformance/harness", `${server}/generated`],
    because: "the drill plays faults on a running server from outside; only the messages are shared",
  },
];

/** What tests may import besides what their room may. @type {readonly string[]} */
export const testsMayAlso = [
  "rpc",
  "engine",
  "generated",
  "operations",
  "engines/mock",
  "transport",
  "client",
  "@tokenwire/health",
];

/** @type {readonly Fence[]} */
export const fences = [
  {
    module: /^@grpc\//,
    only: [`${server}/client`, "conformance/content", "conformance/vllm", "bench", "drill"],
    because: "grpc-js is the client of `generate`; servers stand on @tokenwire/grpc",
  },
  {
    module: /^@node-llama-cpp\//,
    only: [`${server}/engines/llama/child`],
    because: "native code runs in the engine's own process, where a crash is an observation and not our end",
  },
  {
    module: /^node:(http2|net|tls)$/,
    only: [
      "packages/engine-core/src/zmq",
      "packages/grpc/src/node",
      "packages/grpc/fuzz",
      "packages/health/src/probe",
      `${server}/operations`,
      `${server}/client`,
      "conformance",
      "bench",
    ],
    because: "sockets belong to transports and to clients",
  },
];

/** Rooms where an import may be computed at run time, because what is loaded is native code found on the machine. */
const computedImports = [`${server}/engines/llama/child`];

const scanned = [
  "packages/*/src/**/*.{ts,mts,js,mjs}",
  "packages/*/fuzz/**/*.ts",
  "packages/*/bin/*.mjs",
  "conformance/**/*.{ts,mjs}",
  "bench/**/*.{ts,mjs}",
  "drill/**/*.{ts,mjs}",
];

/**
 * Answers every import under `root` that has no arrow.
 *
 * @param {string} root
 * @returns {{ files: number, findings: Finding[] }}
 */
export function checkArrows(root) {
  const files = globSync([...scanned], { cwd: root, exclude: (path) => path === "node_modules" || path === "dist" });
  const ours = packageFolders(root);
  const findings = files.sort().flatMap((file) => checkFile(root, file, ours));
  return { files: files.length, findings };
}

/**
 * @param {string} root
 * @param {string} file
 * @param {ReadonlyMap<string, string>} ours
 * @returns {Finding[]}
 */
function checkFile(root, file, ours) {
  // The executable is the door of its package: it loads main, built or from source.
  const isDoor = /^packages\/[^/]+\/(bin\/|src\/[^/]+$)/.test(file);
  const isTest = /\.test\.m?[jt]s$|\/testing\//.test(file);
  const arrow = arrows.filter(({ room }) => isInside(file, room)).sort((a, b) => b.room.length - a.room.length)[0];
  if (arrow === undefined && !isDoor) {
    return [
      {
        file,
        line: 1,
        sentence: "is in a room without arrows; add the room with its reason to scripts/check-arrows.mjs",
      },
    ];
  }
  return readImports(readFileSync(join(root, file), "utf8")).flatMap(({ line, specifier }) => {
    const sentence = objection(file, specifier, { arrow, isTest, ours });
    return sentence === undefined ? [] : [{ file, line, sentence }];
  });
}

/**
 * Why a file must not import this, or undefined when it may.
 *
 * @param {string} file
 * @param {string | undefined} specifier
 * @param {{ arrow: Arrow | undefined, isTest: boolean, ours: ReadonlyMap<string, string> }} context
 * @returns {string | undefined}
 */
function objection(file, specifier, { arrow, isTest, ours }) {
  if (specifier === undefined) {
    if (arrow === undefined || isTest || computedImports.some((room) => isInside(file, room))) return undefined;
    return arrow.room.startsWith("packages/") ? "imports a computed name, which no reader can check" : undefined;
  }
  const fence = fences.find(({ module, only }) => module.test(specifier) && !only.some((room) => isInside(file, room)));
  if (fence !== undefined && !isTest) return `imports ${specifier}: ${fence.because}`;
  if (arrow === undefined) return undefined;

  const target = resolve(file, specifier, ours);
  if (target === undefined || isInside(target, arrow.room)) return undefined;
  // A test may run its own package's program as a user would.
  if (isTest && isInside(target, `${/^packages\/[^/]+\//.exec(file)?.[0]}bin`)) return undefined;
  const allowed = isTest ? [...arrow.may, ...testsMayAlso] : arrow.may;
  if (allowed.some((name) => names(name, file, target, ours))) return undefined;
  return `imports ${target}: ${arrow.because}`;
}

/**
 * The path that an import leads to from the root, or undefined for modules that are not ours.
 *
 * @param {string} file
 * @param {string} specifier
 * @param {ReadonlyMap<string, string>} ours
 */
function resolve(file, specifier, ours) {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(file), specifier);
  for (const [name, folder] of ours) {
    if (specifier === name || specifier.startsWith(`${name}/`)) return `${folder}/src`;
  }
  return undefined;
}

/**
 * Whether an allowance covers the target: `*` is the own package and every package of ours, a package name is that
 * package by its name, and anything else is a room of the own package or a folder of the root.
 *
 * @param {string} allowance
 * @param {string} file
 * @param {string} target
 * @param {ReadonlyMap<string, string>} ours
 */
function names(allowance, file, target, ours) {
  const own = /^packages\/[^/]+\/src/.exec(file)?.[0];
  if (allowance === "*") {
    const reached = /^packages\/[^/]+\/src/.exec(target)?.[0];
    return reached !== undefined && (reached === own || target === reached);
  }
  const folder = ours.get(allowance);
  // A package of ours is entered by its name; a relative path into its files passes its public face by.
  if (folder !== undefined) return target === `${folder}/src`;
  return isInside(target, own === undefined ? allowance : `${own}/${allowance}`);
}

/**
 * @param {string} path
 * @param {string} room
 */
function isInside(path, room) {
  return path === room || path.startsWith(`${room}/`) || path.startsWith(`${room}.`);
}

/** Package names of ours with their folders. @param {string} root @returns {Map<string, string>} */
function packageFolders(root) {
  const folders = globSync("packages/*", { cwd: root });
  return new Map(
    folders.flatMap((folder) => {
      const file = join(root, folder, "package.json");
      return existsSync(file) ? [[JSON.parse(readFileSync(file, "utf8")).name, folder]] : [];
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { files, findings } = checkArrows(process.argv[2] ?? dirname(import.meta.dirname));
  for (const { file, line, sentence } of findings) console.error(`${file}:${line} ${sentence}`);
  console.log(`${files} files, ${findings.length} imports against the arrows`);
  process.exit(findings.length === 0 ? 0 : 1);
}
