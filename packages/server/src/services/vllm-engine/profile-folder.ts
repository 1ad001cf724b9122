import { mkdir, realpath } from "node:fs/promises";
import { join, posix } from "node:path";
import { refuse } from "./validate/refuse.ts";

const longestPath = 255;

/**
 * The folder below `root` that a client named, made when it is not there. A client may neither leave `root` nor learn
 * what is outside of it.
 *
 * @param outputDir relative to `root`; undefined and "" are `root` itself.
 * @throws GrpcStatusError INVALID_ARGUMENT for a path that is absolute, too long, holds NUL, or leads out of `root`, also
 *   through a link.
 */
export async function profileFolder(root: string, outputDir: string | undefined): Promise<string> {
  const named = outputDir ?? "";
  const normal = posix.normalize(named === "" ? "." : named);
  const leaves = normal === ".." || normal.startsWith("../");
  if (named.length > longestPath || named.includes("\0") || posix.isAbsolute(named) || leaves) refuseFolder(named);
  const base = await realpath(root);
  const folder = join(base, normal);
  // The parts that exist are looked at before anything is made, so that no link leads a new folder elsewhere.
  for (const part of partsOf(base, normal)) {
    const real = await realpath(part).catch(() => undefined);
    if (real === undefined) break;
    if (real !== base && !real.startsWith(base === "/" ? base : `${base}/`)) refuseFolder(named);
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function partsOf(base: string, relative: string): string[] {
  const names = relative.split("/").filter((name) => name !== "" && name !== ".");
  return names.map((_, index) => join(base, ...names.slice(0, index + 1)));
}

function refuseFolder(named: string): never {
  refuse(
    "output_dir",
    "not allowed",
    named,
    `a path of at most ${longestPath} characters, relative to the server's --profile-dir and inside of it`,
  );
}
