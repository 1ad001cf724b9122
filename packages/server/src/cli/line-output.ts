/** Where a command writes, one line a call. */
export interface LineOutput {
  readonly out: (line: string) => void;
  readonly error: (line: string) => void;
}

/** Standard output and standard error. A reader that went away takes its lines with it and breaks nothing. */
export function standardOutput(): LineOutput {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  return {
    out: (line) => process.stdout.write(`${line}\n`),
    error: (line) => process.stderr.write(`${line}\n`),
  };
}
