// Installs the dependencies when they are missing or older than package-lock.json; otherwise does nothing. It runs
// before `npm start` and `npm test`, on whatever Node the machine has, so it is plain JavaScript for Node 20 and newer.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./lock.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// npm says what is wrong first and, for some errors, prints its whole usage after it.
const shownLines = 30;

if (!isInstalled()) {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const onWait = () => console.log("Waiting for another installation in this folder to end ...");
  process.exitCode = await withLock(join(root, ".cache", "set-up.lock"), { onWait }, async () =>
    isInstalled() ? 0 : await install(),
  );
}

/**
 * Compares package-lock.json with the lockfile that npm leaves in node_modules as its last step, so that an
 * installation made by hand counts and an interrupted one does not.
 */
function isInstalled() {
  const wanted = packagesOf(join(root, "package-lock.json"));
  const found = packagesOf(join(root, "node_modules", ".package-lock.json"));
  if (wanted === undefined) {
    console.error("package-lock.json is missing or is not JSON. Restore it: git checkout package-lock.json");
    process.exit(1);
  }
  if (found === undefined || !existsSync(join(root, "node_modules", ".bin", "node"))) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/")) continue;
    const there = found[path];
    // npm leaves out the builds for other platforms, and they are optional.
    if (there === undefined && entry.optional === true) continue;
    if (there?.version !== entry.version || there?.integrity !== entry.integrity) return false;
  }
  return Object.keys(found).every((path) => !path.startsWith("node_modules/") || path in wanted);
}

/**
 * @param {string} file
 * @returns {Record<string, { version?: string, integrity?: string, optional?: boolean }> | undefined}
 */
function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Runs `npm ci` and answers the exit code for this process. */
async function install() {
  const startedAtMs = Date.now();
  console.log("Installing dependencies (npm ci), once for this package-lock.json ...");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const child = npm?.endsWith(".js")
    ? spawn(process.execPath, [npm, ...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    : spawn("npm", args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (/** @type {Buffer} */ chunk) => {
    output = (output + chunk).slice(0, 256 * 1024);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const failure = await new Promise((resolve) => {
    child.on("error", (thrown) => resolve(`npm did not start: ${thrown.message}`));
    child.on("close", (code, signal) =>
      resolve(code === 0 ? undefined : `npm ci ended with ${signal ?? `code ${code}`}`),
    );
  });
  if (failure !== undefined) {
    const lines = output.trimEnd().split("\n");
    const shown =
      lines.length <= 2 * shownLines ? lines : [...lines.slice(0, shownLines), "...", ...lines.slice(-shownLines)];
    console.error(shown.join("\n"));
    console.error(`\n${failure}. ${advice()}`);
    // What npm left behind must not look like an installation to the next run.
    rmSync(join(root, "node_modules", ".package-lock.json"), { force: true });
    return 1;
  }
  if (!existsSync(join(root, "node_modules", ".bin", "node"))) {
    console.error(
      "npm ci ended well but the pinned Node (package `node`) is not there: its install script did not run.\n" +
        "Allow install scripts (npm config get ignore-scripts must say false) and run the command again.",
    );
    return 1;
  }
  console.log(`Dependencies installed in ${Math.round((Date.now() - startedAtMs) / 1000)} s.`);
  return 0;
}

function advice() {
  const npmVersion = /^npm\/(\d+)/.exec(process.env.npm_config_user_agent ?? "")?.[1];
  const nodeMajor = Number(process.versions.node.split(".")[0]);
  if (npmVersion !== undefined && Number(npmVersion) < 10) {
    return `This is npm ${npmVersion}; the repository needs npm 10 or newer (npm install -g npm@11).`;
  }
  if (nodeMajor < 20) return `This is Node ${process.versions.node}; the installation needs Node 20 or newer.`;
  return "Check that the npm registry can be reached (npm ping), then run the same command again.";
}
