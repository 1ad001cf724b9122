import { readFileSync } from "node:fs";

/** The version in package.json, which lies two folders up from the sources and from the build. */
export function packageVersion(): string {
  const facts: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const version = typeof facts === "object" && facts !== null && "version" in facts ? facts.version : undefined;
  return String(version);
}
