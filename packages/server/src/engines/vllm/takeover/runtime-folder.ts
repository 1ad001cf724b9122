import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../../engine/errors.ts";

/**
 * The folder for what lives as long as the machine runs, made with mode 0700: `$XDG_RUNTIME_DIR/tokenwire`, else
 * `tokenwire-UID` in the folder for temporary files. Throws `failed-precondition` when it cannot be made or is not ours
 * alone: what lies in it names processes that will be ended and addresses that will be trusted.
 */
export function runtimeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const uid = process.getuid?.();
  const base = environment.XDG_RUNTIME_DIR;
  const folder =
    base === undefined || base === "" ? join(tmpdir(), `tokenwire-${uid ?? "user"}`) : join(base, "tokenwire");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const facts = lstatSync(folder);
    const isOurs = facts.isDirectory() && (uid === undefined || facts.uid === uid) && (facts.mode & 0o077) === 0;
    if (isOurs) return folder;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineError("failed-precondition", `the folder ${folder} cannot be made: ${reason}`, { cause: thrown });
  }
  throw new EngineError(
    "failed-precondition",
    `the folder ${folder} is not a folder of this user alone (mode 0700); remove it, or set XDG_RUNTIME_DIR`,
  );
}
