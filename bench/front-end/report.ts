/** One round of one cell, as the load client tells it. */
export interface Round {
  readonly tokens: number;
  readonly messages: number;
  readonly wallSeconds: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  readonly serverRssKiB: number;
  readonly serverWrites: number;
  readonly firstTokenMs: { readonly p50: number; readonly p99: number };
  readonly failures: readonly string[];
}

/** A shape of load: how many streams of how many tokens, over how many connections, at which pace of the engine. */
export interface Cell {
  readonly name: string;
  readonly streams: number;
  readonly connections: number;
  readonly tokens: number;
  readonly pace: "paced" | "flood";
  readonly sequential?: boolean;
}

/** The middle value, with the least and the most. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return { median: at(0.5), min: at(0), max: at(1) };
}

export function microsecondsPerToken(round: Round): number {
  return (round.serverCpuSeconds * 1e6) / round.tokens;
}

/** The table of one cell in Markdown: a row per front end, the ratio against the first row's. */
export function toMarkdown(cell: Cell, rounds: ReadonlyMap<string, readonly Round[]>): string {
  const lines = [
    `### ${cell.name}`,
    "",
    "| front end | µs CPU per token | ratio | share of a core | tokens/s | TTFT p50 / p99, ms | tokens per message | writes per second | RSS, MiB |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
  ];
  let reference: number | undefined;
  for (const [name, measured] of rounds) {
    const cost = spread(measured.map(microsecondsPerToken));
    reference ??= cost.median;
    const median = (of: (round: Round) => number): number => spread(measured.map(of)).median;
    lines.push(
      `| ${name} | ${[
        `${cost.median.toFixed(1)} [${cost.min.toFixed(1)}–${cost.max.toFixed(1)}]`,
        (cost.median / reference).toFixed(2),
        median((round) => round.serverCpuSeconds / round.wallSeconds).toFixed(2),
        median((round) => round.tokens / round.wallSeconds).toFixed(0),
        `${median((round) => round.firstTokenMs.p50).toFixed(2)} / ${median((round) => round.firstTokenMs.p99).toFixed(2)}`,
        median((round) => round.tokens / round.messages).toFixed(2),
        median((round) => round.serverWrites / round.wallSeconds).toFixed(0),
        median((round) => round.serverRssKiB / 1024).toFixed(0),
      ].join(" | ")} |`,
    );
  }
  return lines.join("\n");
}
