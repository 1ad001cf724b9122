import { readdirSync, readFileSync } from "node:fs";

/** A message as it went over a socket of a real vLLM 0.32.0 (CPU). A message to the engine begins with its identity. */
export interface GoldenMessage {
  readonly from: "engine" | "front end";
  readonly frames: readonly Uint8Array[];
}

const folder = new URL("golden-frames/", import.meta.url);

/** The files of `golden-frames/`, without their ending. Each is one exchange with the engine. */
export function goldenNames(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".txt"))
    .map((name) => name.slice(0, -".txt".length));
}

/**
 * Reads an exchange: a line is a message, `<` from the engine and `>` to it, its frames in hexadecimal with a space between
 * them. Lines that begin with `#` say what it is.
 */
export function readGoldenFrames(name: string): readonly GoldenMessage[] {
  const lines = readFileSync(new URL(`${name}.txt`, folder), "utf8")
    .trimEnd()
    .split("\n");
  return lines
    .filter((line) => !line.startsWith("#"))
    .map((line) => {
      const [direction, ...frames] = line.split(" ");
      return {
        from: direction === "<" ? "engine" : "front end",
        frames: frames.map((hex) => Buffer.from(hex, "hex")),
      };
    });
}

/** All messages of the output socket. */
export function goldenOutputs(): readonly (readonly Uint8Array[])[] {
  return goldenNames()
    .filter((name) => name !== "handshake" && name !== "input-ready")
    .flatMap((name) => readGoldenFrames(name))
    .filter(({ from }) => from === "engine")
    .map(({ frames }) => frames);
}
