// Loaded into the server and into the engine's child with NODE_OPTIONS=--import. It lets the drill order faults that no
// signal gives: a step that burns CPU, a native abort, a model that loads slowly. The product knows nothing of it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";

const folder = process.env.DRILL_FOLDER;
const isEngine = /llama[\\/]child[\\/]main\.[jt]s$/.test(process.argv[1] ?? "");

if (folder !== undefined && isMainThread) {
  process.on("SIGUSR2", () => {
    const [order, ms] = readFileSync(join(folder, isEngine ? "engine.order" : "server.order"), "utf8").split(" ");
    if (order === "abort") process.abort();
    if (order === "burn") {
      const until = performance.now() + Number(ms);
      while (performance.now() < until);
    }
  });
  if (isEngine) delayLoad(Number(process.env.DRILL_LOAD_DELAY_MS ?? 0));
}

/** Holds the order to load back, as a large model or a slow disk would. @param {number} delayMs */
function delayLoad(delayMs) {
  if (delayMs === 0) return;
  const real = process.emit;
  /** @param {string} event @param {unknown[]} args */
  const emit = (event, ...args) => Reflect.apply(real, process, [event, ...args]);
  Reflect.set(process, "emit", (/** @type {string} */ event, /** @type {{ t?: string }[]} */ ...args) => {
    if (event !== "message" || args[0]?.t !== "load") return emit(event, ...args);
    setTimeout(() => emit(event, ...args), delayMs);
    return true;
  });
}
