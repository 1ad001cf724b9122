/** A shell block of a document that is marked to be executed. */
export interface ExecutedBlock {
  readonly line: number;
  readonly commands: string;
  /** 0 unless the mark says otherwise. */
  readonly exitCode: number;
  /** The lines of a `text` block right below, each of which has to be part of the output. */
  readonly expected: readonly string[];
}

/** Finds every ```sh block right below a line `<!-- executed -->`, or `<!-- executed: exit code 67 -->`. */
export function executedBlocks(markdown: string): ExecutedBlock[] {
  const pattern =
    /^<!-- executed(?:: exit code (\d+))? -->\n```sh\n([\s\S]*?)^```\n(?:\n?```text\n([\s\S]*?)^```\n)?/gm;
  return [...markdown.matchAll(pattern)].map((match) => ({
    line: markdown.slice(0, match.index).split("\n").length,
    commands: match[2] ?? "",
    exitCode: Number(match[1] ?? 0),
    expected: (match[3] ?? "").split("\n").filter((line) => line.trim() !== ""),
  }));
}
