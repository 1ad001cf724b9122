import { defaultMaxFrameBytes, frameHeaderBytes } from "../frame/frame-header.ts";
import { writeHeadersHeader } from "../frame/headers.ts";
import type { FieldBlocks } from "./field-blocks.ts";
import type { FixedFields } from "./fixed-fields.ts";
import type { Output } from "./output.ts";

/** Where the frames go. */
interface HeaderTarget {
  readonly blocks: FieldBlocks;
  /** Makes room for a frame. */
  reserve(bytes: number): Output;
}

/** Writes a field section as HEADERS, and CONTINUATION where it is longer than a frame: the fixed fields, then `extra`. */
export function writeHeaders(
  target: HeaderTarget,
  streamId: number,
  fixed: FixedFields,
  extra: readonly string[],
  endStream: boolean,
): void {
  const most = target.blocks.maxBytes(fixed, extra);
  if (most > defaultMaxFrameBytes) {
    const scratch = Buffer.allocUnsafe(most);
    const block = scratch.subarray(0, target.blocks.write(scratch, 0, fixed, extra));
    writeLongBlock(target, streamId, block, endStream);
    return;
  }
  const output = target.reserve(frameHeaderBytes + most);
  const { chunk, at } = output;
  const start = at + frameHeaderBytes;
  const end = target.blocks.write(chunk, start, fixed, extra);
  writeHeadersHeader(chunk, at, streamId, end - start, { first: true, last: true, endStream });
  output.at = end;
}

function writeLongBlock(target: HeaderTarget, streamId: number, block: Buffer, endStream: boolean): void {
  let from = 0;
  do {
    const length = Math.min(defaultMaxFrameBytes, block.length - from);
    const output = target.reserve(frameHeaderBytes + length);
    const { chunk, at } = output;
    const frame = { first: from === 0, last: from + length === block.length, endStream };
    const start = writeHeadersHeader(chunk, at, streamId, length, frame);
    chunk.set(block.subarray(from, from + length), start);
    output.at = start + length;
    from += length;
  } while (from < block.length);
}
