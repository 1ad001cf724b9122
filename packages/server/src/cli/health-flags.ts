import { builtInNames, type HealthAlias } from "../health/names.ts";
import { type HealthThresholds, healthThresholds } from "../health/thresholds.ts";
import type { CommandFlags, Environment, FlagReader } from "./flags.ts";
import { UsageError } from "./usage-error.ts";
import { integer, seconds, type ValueParser } from "./value-parsers.ts";

export interface HealthFlags {
  readonly healthThresholds: FlagReader<HealthThresholds>;
  readonly healthAliases: FlagReader<readonly HealthAlias[]>;
}

const day = 86_400;

/** Declares the flags that say when a fact becomes a verdict. The readers throw a UsageError. */
export function declareHealthFlags(flags: CommandFlags): HealthFlags {
  const intervalMs = flags.value({
    flag: "--health-interval <seconds>",
    description: "time between two looks at the engine, 0.1 to 60",
    parse: seconds({ from: 0.1, to: 60 }),
    fallback: "1",
  });
  const stallFloorMs = flags.value({
    flag: "--stall-floor <seconds>",
    description: "a shorter silence of the engine is never a stall, 0.1 to 3600; less than --hang-timeout",
    parse: seconds({ from: 0.1, to: 3600 }),
    fallback: "5",
  });
  const hangTimeoutMs = flags.value({
    flag: "--hang-timeout <seconds>",
    description: "a silence of so long is a hang, which ends liveness, 1 to 86400; twice that while it burns CPU",
    parse: seconds({ from: 1, to: day }),
    fallback: "120",
  });
  const startTimeoutMs = flags.value({
    flag: "--start-timeout <seconds>",
    description: "an engine that starts for longer ends liveness, 1 to 86400",
    parse: seconds({ from: 1, to: day }),
    fallback: "600",
  });
  const canaryIntervalMs = flags.value({
    flag: "--canary-interval <seconds>",
    description: "ask an engine that is idle for so long for one token, up to 86400; 0 never asks",
    parse: seconds({ from: 0, to: day }),
    fallback: "30",
  });
  const recoveryCount = flags.value({
    flag: "--recovery-count <count>",
    description: "good observations in a row that end a stall or a hang, 1 to 1000",
    parse: integer({ from: 1, to: 1000 }),
    fallback: "2",
  });
  const readyMaxWaiting = flags.optional({
    flag: "--ready-max-waiting <count>",
    description: "not ready while more requests than this wait (default: off)",
    parse: integer({ from: 0, to: 1_000_000 }),
  });
  const aliases = flags.repeated({
    flag: "--health-alias <name=class>",
    description: "another health name, that answers as readiness, liveness or overall",
    parse: healthAlias,
  });
  return {
    healthThresholds: (environment) => thresholds(environment),
    healthAliases: (environment) => checkedAliases(aliases(environment)),
  };

  function thresholds(environment: Environment): HealthThresholds {
    const given = {
      intervalMs: intervalMs(environment),
      stallFloorMs: stallFloorMs(environment),
      hangTimeoutMs: hangTimeoutMs(environment),
      startTimeoutMs: startTimeoutMs(environment),
      canaryIntervalMs: canaryIntervalMs(environment),
      recoveryCount: recoveryCount(environment),
      readyMaxWaiting: readyMaxWaiting(environment),
    };
    const shown = (ms: number): string => `${ms / 1000} s`;
    if (given.stallFloorMs >= given.hangTimeoutMs) {
      const { stallFloorMs: floorMs, hangTimeoutMs: hangMs } = given;
      throw new UsageError(`--stall-floor (${shown(floorMs)}) must be less than --hang-timeout (${shown(hangMs)}).`);
    }
    if (given.intervalMs >= given.hangTimeoutMs) {
      const { intervalMs: everyMs, hangTimeoutMs: hangMs } = given;
      throw new UsageError(
        `--health-interval (${shown(everyMs)}) must be less than --hang-timeout (${shown(hangMs)}).`,
      );
    }
    return healthThresholds(given);
  }
}

const maxNameBytes = 1024;
/** With the names that are there always, as many as the health port takes. */
const maxAliases = 28;

/** `NAME=readiness`: a name of visible ASCII without spaces, so that it can stand in a probe's flag. */
export const healthAlias: ValueParser<HealthAlias> = (source, text) => {
  const match = /^([\x21-\x7e]+)=(readiness|liveness|overall)$/.exec(text);
  const [, name, of] = match ?? [];
  if (name === undefined || of === undefined || name.length > maxNameBytes) {
    throw new UsageError(
      `${source} must be NAME=readiness, NAME=liveness or NAME=overall, not ${JSON.stringify(text.slice(0, 80))}.`,
    );
  }
  return { name, class: of as HealthAlias["class"] };
};

function checkedAliases(aliases: readonly HealthAlias[]): readonly HealthAlias[] {
  if (aliases.length > maxAliases) {
    throw new UsageError(`--health-alias may be given ${maxAliases} times, not ${aliases.length}.`);
  }
  const names = new Set(builtInNames.keys());
  for (const { name } of aliases) {
    if (names.has(name)) throw new UsageError(`--health-alias: the name ${JSON.stringify(name)} is there already.`);
    names.add(name);
  }
  return aliases;
}
