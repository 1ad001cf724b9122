import type { Change, Round } from "./measure.ts";

/** One server's figures over all rounds. */
export interface Row {
  readonly name: string;
  readonly software: string;
  readonly first: ChangeFigures;
  /** Undefined when there was one change per round. */
  readonly later: ChangeFigures | undefined;
  readonly kibPerWatcher: Figure;
  readonly rssMiB: Figure;
}

export interface ChangeFigures {
  readonly notifyMs: Figure;
  readonly serverCpuMs: Figure;
  readonly clientCpuMs: Figure;
}

export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Sums up the rounds of each server, in the order in which they first ran. */
export function toRows(rounds: readonly Round[], watchers: number): readonly Row[] {
  return [...Map.groupBy(rounds, (round) => round.name).entries()].map(([name, own]) => {
    const later = own.flatMap(({ changes }) => changes.slice(1));
    return {
      name,
      software: own[0]?.software ?? "",
      first: changeFigures(own.flatMap(({ changes }) => changes.slice(0, 1))),
      later: later.length === 0 ? undefined : changeFigures(later),
      kibPerWatcher: figure(own.map(({ idleRssKiB, openRssKiB }) => (openRssKiB - idleRssKiB) / watchers)),
      rssMiB: figure(own.map(({ openRssKiB }) => openRssKiB / 1024)),
    };
  });
}

/** The rows as a Markdown table: medians, with the least and the most in brackets. */
export function toMarkdown(rows: readonly Row[]): string {
  const lines = rows.map(({ name, first, later, kibPerWatcher, rssMiB }) => [
    name,
    show(first.notifyMs, 0),
    show(later?.notifyMs, 0),
    show(first.serverCpuMs, 0),
    show(later?.serverCpuMs, 0),
    show(kibPerWatcher, 1),
    show(rssMiB, 0),
  ]);
  const head = [
    "server",
    "notify, first change, ms",
    "notify, later changes, ms",
    "server CPU, first change, ms",
    "server CPU, later changes, ms",
    "RSS per watcher, KiB",
    "RSS, all watching, MiB",
  ];
  const rule = ["---", ...head.slice(1).map(() => "---:")];
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A sentence for each change that did not reach every watcher exactly once. */
export function toFailures(rounds: readonly Round[]): readonly string[] {
  return rounds.flatMap(({ name, changes }) =>
    changes.flatMap(({ problem, tally: { once, missed, repeated, wrong } }, index) =>
      problem === undefined
        ? []
        : `${name}, change ${index + 1}: ${problem} (once ${once}, missed ${missed}, repeated ${repeated}, wrong status ${wrong})`,
    ),
  );
}

function changeFigures(changes: readonly Change[]): ChangeFigures {
  return {
    notifyMs: figure(changes.map(({ notifyMs }) => notifyMs)),
    serverCpuMs: figure(changes.map(({ serverCpuMs }) => serverCpuMs)),
    clientCpuMs: figure(changes.map(({ clientCpuMs }) => clientCpuMs)),
  };
}

function figure(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const half = (sorted.length - 1) / 2;
  return { median: (at(Math.floor(half)) + at(Math.ceil(half))) / 2, min: at(0), max: at(sorted.length - 1) };
}

function show(value: Figure | undefined, digits: number): string {
  if (value === undefined) return "–";
  const [median, min, max] = [value.median, value.min, value.max].map((number) => number.toFixed(digits));
  return `${median} [${min}–${max}]`;
}
