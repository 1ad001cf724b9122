import type { Cell } from "./cells.ts";
import type { Sample } from "./measure.ts";

interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The samples as a Markdown table: a row for each cell, medians with the least and the most in brackets. */
export function toMarkdown(samples: readonly Sample[], cells: readonly Cell[], servers: readonly string[]): string {
  const rows = cells.flatMap((cell) => {
    const own = (server: string) => samples.filter((sample) => sample.cell === cell.name && sample.server === server);
    if (cell.probed === true) {
      const latency = (key: "p50Ms" | "p99Ms") =>
        servers.map((server) => show(own(server).flatMap((sample) => sample[key] ?? [])));
      return [
        [`${cell.title}, p50, ms`, ...latency("p50Ms")],
        [`${cell.title}, p99, ms`, ...latency("p99Ms")],
      ];
    }
    const unit = `µs per ${cell.operation}`;
    return [[`${cell.title}, ${unit}`, ...servers.map((server) => show(own(server).map(({ cpuUs }) => cpuUs)))]];
  });
  const head = ["server CPU", ...servers];
  const rule = ["---", ...servers.map(() => "---:")];
  return [head, rule, ...rows].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** How many times the CPU (or the p99) of `ours` each other server takes, by medians. */
export function toRatios(
  samples: readonly Sample[],
  cells: readonly Cell[],
  servers: readonly string[],
  ours: string,
): string {
  const value = (cell: Cell, server: string): number =>
    figure(
      samples
        .filter((sample) => sample.cell === cell.name && sample.server === server)
        .map(({ cpuUs, p99Ms }) => p99Ms ?? cpuUs),
    ).median;
  const others = servers.filter((server) => server !== ours);
  const rows = cells.map((cell) => {
    const own = value(cell, ours);
    const times = others.map((server) => ratio(value(cell, server) / own));
    return [cell.probed === true ? `${cell.title}, p99` : cell.title, ...times];
  });
  const head = [`times ${ours}`, ...others];
  const rule = ["---", ...others.map(() => "---:")];
  return [head, rule, ...rows].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

function ratio(value: number): string {
  return Number.isFinite(value) ? `${significant(value)}×` : "–";
}

function show(values: readonly number[]): string {
  if (values.length === 0) return "–";
  const { median, min, max } = figure(values);
  return `${significant(median)} [${significant(min)}–${significant(max)}]`;
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function figure(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const half = (sorted.length - 1) / 2;
  return { median: (at(Math.floor(half)) + at(Math.ceil(half))) / 2, min: at(0), max: at(sorted.length - 1) };
}
