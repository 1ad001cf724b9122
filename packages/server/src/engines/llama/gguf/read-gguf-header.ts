import { type FileHandle, open, stat } from "node:fs/promises";
import { EngineError } from "../../../engine/errors.ts";
import { GgufFormatError, MoreBytesNeeded } from "./byte-cursor.ts";
import type { GgufHeader } from "./gguf-header.ts";
import { type ParsedGguf, parseGgufHeader, requiredFileSize } from "./parse-gguf-header.ts";
import { otherParts } from "./split-parts.ts";

/** A header with a vocabulary of 260,000 tokens and its merges takes about 15 MB. */
const maxHeaderBytes = 128 * 1024 * 1024;
const firstReadBytes = 256 * 1024;
const growth = 4;

/**
 * Reads the header of a GGUF model and checks that the file is whole: as long as its tensors need. Reads the header
 * only, never the tensor data. Of a split model `path` is the first part (`…-00001-of-000NN.gguf`); the headers of all
 * parts are then read and their tensors joined.
 *
 * Throws an EngineError of kind failed-precondition with a sentence that names the file, what is wrong, and what to
 * do: a missing or unreadable file, a directory, another format, a damaged header, a file cut short, a part missing.
 */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const first = await readPart(path);
  const parts = [first];
  for (const other of otherParts(path, first.parsed.metadata)) parts.push(await readPart(other));
  return {
    path,
    version: first.parsed.version,
    alignmentBytes: first.parsed.alignmentBytes,
    metadata: first.parsed.metadata,
    tensors: parts.flatMap((part) => part.parsed.tensors),
    files: parts.map((part) => ({ path: part.path, sizeBytes: part.sizeBytes })),
  };
}

interface Part {
  readonly path: string;
  readonly sizeBytes: number;
  readonly parsed: ParsedGguf;
}

async function readPart(path: string): Promise<Part> {
  try {
    // Opening a pipe would wait for a writer, so the kind of file is asked for first.
    const { size, ...kind } = await fileKind(path);
    if (kind.isDirectory) throw unusable(path, "it is a directory", "Name the .gguf file inside it.");
    if (!kind.isFile) throw unusable(path, "it is not a regular file", "Name a .gguf file.");
    const parsed = await parseGrowing(path, size);
    const required = requiredFileSize(parsed);
    if (required.bytes > size) {
      throw unusable(
        path,
        `it is cut short: its tensors need ${required.bytes} bytes and it has ${size} (tensor ${JSON.stringify(required.tensor)} is not whole)`,
        "Download or copy it again.",
      );
    }
    return { path, sizeBytes: size, parsed };
  } catch (thrown) {
    throw explain(path, thrown);
  }
}

async function fileKind(path: string): Promise<{ size: number; isFile: boolean; isDirectory: boolean }> {
  const stats = await stat(path);
  return { size: stats.size, isFile: stats.isFile(), isDirectory: stats.isDirectory() };
}

async function parseGrowing(path: string, fileSizeBytes: number): Promise<ParsedGguf> {
  const file = await open(path, "r");
  try {
    for (let wanted = firstReadBytes; ; wanted *= growth) {
      const length = Math.min(wanted, fileSizeBytes, maxHeaderBytes);
      try {
        return parseGgufHeader(await readBeginning(file, length), fileSizeBytes);
      } catch (thrown) {
        if (!(thrown instanceof MoreBytesNeeded)) throw thrown;
        if (length === maxHeaderBytes) throw new GgufFormatError(`its header is longer than ${maxHeaderBytes} bytes`);
      }
    }
  } finally {
    await file.close();
  }
}

async function readBeginning(file: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, filled);
    if (bytesRead === 0) throw new GgufFormatError("it became shorter while it was read");
    filled += bytesRead;
  }
  return bytes;
}

function explain(path: string, thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  if (thrown instanceof GgufFormatError) {
    return unusable(path, thrown.message, "Check that it is a GGUF model, or download or convert it again.", thrown);
  }
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return unusable(path, "there is no such file", "Check the path.", thrown);
    case "EACCES":
    case "EPERM":
      return unusable(path, "this process may not read it", "Give its user read access.", thrown);
    default: {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      return unusable(path, `reading it failed (${reason})`, "Check the file and the disk.", thrown);
    }
  }
}

function unusable(path: string, fault: string, remedy: string, cause?: unknown): EngineError {
  return new EngineError("failed-precondition", `${path} cannot be used as a model: ${fault}. ${remedy}`, { cause });
}
