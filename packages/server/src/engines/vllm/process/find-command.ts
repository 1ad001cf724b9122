import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

/** The path of a program as a shell would find it; undefined when there is none that can be run. */
export function findCommand(command: string, searchPath: string | undefined = process.env.PATH): string | undefined {
  if (command.includes("/")) return isProgram(resolve(command)) ? resolve(command) : undefined;
  const folders = (searchPath ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, command)).find(isProgram);
}

/** The sentence for a vLLM that is not there. */
export function missingCommand(command: string): string {
  return command.includes("/")
    ? `${JSON.stringify(command)} is no program that can be run; --vllm-command names the one that starts vLLM.`
    : `${JSON.stringify(command)} was not found on the PATH; install vLLM with: pip install vllm, or name the program with --vllm-command.`;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
