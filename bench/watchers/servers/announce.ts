import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";

/** What a server of this benchmark prints first, as one line of JSON. */
export interface Announcement {
  readonly port: number;
  /** The names and versions of what answers, for the report. */
  readonly software: string;
}

/** Prints the line that says where this process listens and what it is made of, the version of Node added. */
export function announce(port: number, packages: readonly string[]): void {
  const software = [...packages.map(nameAndVersion), `Node ${process.version.slice(1)}`].join(", ");
  console.log(JSON.stringify({ port, software } satisfies Announcement));
}

/** Calls back at each SIGUSR2 with the status that comes next, NOT_SERVING first. */
export function onFlip(set: (status: "SERVING" | "NOT_SERVING") => void): void {
  let serving = true;
  process.on("SIGUSR2", () => {
    serving = !serving;
    set(serving ? "SERVING" : "NOT_SERVING");
  });
}

function nameAndVersion(name: string): string {
  const file = findPackageJSON(name, import.meta.url);
  if (file === undefined) throw new Error(`the package ${name} is not installed`);
  return `${name} ${JSON.parse(readFileSync(file, "utf8")).version}`;
}
