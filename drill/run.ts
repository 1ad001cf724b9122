// Plays real faults on a real server and prints what health said and when:
//   npm run drill                          every fault, at the default thresholds (about twenty minutes)
//   npm run drill -- --quick               with short thresholds, as in continuous integration (some two minutes)
//   npm run drill -- --only frozen,kill    some of them, by a part of their name
//   npm run drill -- --seed 7              another order of the random mixtures
//   npm run drill -- --stall-floor 10 --hang-timeout 300 --interval 2 --canary-interval 60
//                                          at the thresholds that you mean to serve with (seconds)
// Exits 1 when something did not hold.
import { parseArgs } from "node:util";
import { type DrillRow, tableOf } from "./drill-row.ts";
import { engineAborts, engineKilled } from "./scenarios/engine-death.ts";
import { frozenWhileBusy, frozenWhileIdle, longStep } from "./scenarios/engine-frozen.ts";
import { mainBlocked } from "./scenarios/main-blocked.ts";
import { mixtures } from "./scenarios/mixtures.ts";
import { saturation } from "./scenarios/saturation.ts";
import { slowLoad } from "./scenarios/slow-load.ts";
import { termination } from "./scenarios/termination.ts";
import { type DrillSettings, defaultSettings, quickSettings } from "./settings.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    interval: { type: "string" },
    "stall-floor": { type: "string" },
    "hang-timeout": { type: "string" },
    "canary-interval": { type: "string" },
  },
});

/** Seconds from the command line, as milliseconds. */
function milliseconds(text: string | undefined, fallbackMs: number): number {
  if (text === undefined) return fallbackMs;
  const seconds = Number(text);
  if (!(seconds > 0)) {
    console.error(`error: ${JSON.stringify(text)} is no number of seconds above 0.`);
    process.exit(2);
  }
  return seconds * 1000;
}

const base = values.quick ? quickSettings : defaultSettings;
const settings: DrillSettings = {
  ...base,
  intervalMs: milliseconds(values.interval, base.intervalMs),
  stallFloorMs: milliseconds(values["stall-floor"], base.stallFloorMs),
  hangTimeoutMs: milliseconds(values["hang-timeout"], base.hangTimeoutMs),
  canaryIntervalMs: milliseconds(values["canary-interval"], base.canaryIntervalMs),
};

const scenarios: readonly (readonly [name: string, play: () => Promise<DrillRow>])[] = [
  ["kill", () => engineKilled(settings)],
  ["abort", () => engineAborts(settings)],
  ["frozen-busy", () => frozenWhileBusy(settings)],
  ["frozen-idle", () => frozenWhileIdle(settings)],
  ["long-step", () => longStep(settings)],
  ["saturation", () => saturation(settings)],
  ...settings.mainBlocksMs.map((ms) => [`main-blocked-${ms / 1000}s`, () => mainBlocked(settings, ms)] as const),
  ["slow-load", () => slowLoad(settings)],
  ["termination", () => termination(settings)],
  ["mixtures", () => mixtures(settings, Number(values.seed))],
];

const parts = values.only?.split(",") ?? [""];
const chosen = scenarios.filter(([name]) => parts.some((part) => name.includes(part)));
if (chosen.length === 0) {
  console.error(`error: no fault is called ${values.only}; there are ${scenarios.map(([name]) => name).join(", ")}.`);
  process.exit(2);
}

const rows: DrillRow[] = [];
for (const [name, play] of chosen) {
  process.stderr.write(`${name} ...\n`);
  rows.push(await play());
}
console.log(tableOf(rows));
const broken = rows.filter((row) => row.broken.length > 0).length;
console.log(`\n${rows.length - broken} of ${rows.length} faults were told as they should.`);
// Clients of grpc-js keep timers; everything that matters has been closed and printed.
process.exit(broken === 0 ? 0 : 1);
