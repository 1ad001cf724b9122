import type { WholeAnswer } from "../http2/connection/field-blocks.ts";
import type { Sender } from "../http2/connection/sender.ts";
import type { Stream } from "../http2/connection/stream.ts";
import { copyBytes } from "../http2/frame/copy-bytes.ts";
import { messagePrefixBytes, writeMessagePrefix } from "../http2/frame/message-prefix.ts";
import { answerHeaders, okTrailers } from "./answers.ts";
import { deflate } from "./compression.ts";
import { OutputWriter } from "./message-writer.ts";
import type { Method } from "./service.ts";

/** A message up to this is copied into the output at once; a larger one waits as it is until it is framed. */
const smallMessageBytes = 500;
const okAnswer: WholeAnswer = { header: answerHeaders, trailers: okTrailers };
const noFields: readonly string[] = [];
/** Where the one message of an answer is written, unless it is larger. */
const scratch = Buffer.alloc(smallMessageBytes);
/** One for all, because a message is written from its beginning to its end before the next begins. */
const writer = new OutputWriter();

/**
 * Encodes a message and sends it behind its prefix; answers its length. Throws what the encoder throws; nothing of the
 * message is sent then.
 */
export function sendMessage(
  sender: Sender,
  stream: Stream,
  method: Method,
  message: unknown,
  compressed: boolean,
): number {
  const { encodeInto } = method;
  if (compressed) return sendFramed(sender, stream, 1, deflate(encode(method, message)));
  if (encodeInto === undefined) return sendFramed(sender, stream, 0, method.encodeResponse(message));
  return sendInPlace(sender, stream, message, encodeInto);
}

/**
 * Sends an answer that is this message alone, with its header and its trailers. Answers the message's length; throws as
 * {@link sendMessage} does.
 */
export function sendAnswer(sender: Sender, stream: Stream, method: Method, message: unknown): number {
  let bytes: Uint8Array;
  let length: number;
  if (method.encodeInto === undefined) {
    bytes = method.encodeResponse(message);
    length = bytes.length;
  } else {
    writer.open(scratch, 0);
    method.encodeInto(message, writer);
    bytes = writer.bytes;
    length = writer.length;
  }
  if (!sender.sendAnswer(stream, bytes, length, okAnswer)) {
    stream.sendHeaders(answerHeaders, noFields, false);
    sendLarge(sender, stream, 0, bytes === scratch ? copyOf(bytes, length) : bytes.subarray(0, length));
    stream.sendTrailers(okTrailers, noFields);
  }
  return length;
}

function encode(method: Method, message: unknown): Uint8Array {
  if (method.encodeInto === undefined) return method.encodeResponse(message);
  writer.openOwn();
  method.encodeInto(message, writer);
  return writer.written;
}

/** The encoder writes into the output. What it wrote is dropped by not committing, when it throws or does not fit. */
function sendInPlace(
  sender: Sender,
  stream: Stream,
  message: unknown,
  encodeInto: NonNullable<Method["encodeInto"]>,
): number {
  const at = sender.begin(stream);
  if (at < 0) writer.openOwn();
  else writer.open(sender.output.chunk, at + messagePrefixBytes);
  encodeInto(message, writer);
  const { length } = writer;
  if (at >= 0 && writer.inPlace) {
    writeMessagePrefix(sender.output.chunk, at, 0, length);
    if (sender.commit(stream, at, messagePrefixBytes + length)) return length;
  }
  // A copy where it lies in the output, which is written over next.
  sendLarge(sender, stream, 0, writer.inPlace ? copyOf(writer.written, length) : writer.written);
  return length;
}

function sendFramed(sender: Sender, stream: Stream, flag: 0 | 1, bytes: Uint8Array): number {
  if (bytes.length <= smallMessageBytes) {
    const at = sender.begin(stream);
    if (at >= 0) {
      const { chunk } = sender.output;
      copyBytes(bytes, bytes.length, chunk, writeMessagePrefix(chunk, at, flag, bytes.length));
      if (sender.commit(stream, at, messagePrefixBytes + bytes.length)) return bytes.length;
    }
  }
  sendLarge(sender, stream, flag, bytes);
  return bytes.length;
}

function sendLarge(sender: Sender, stream: Stream, flag: 0 | 1, bytes: Uint8Array): void {
  const prefix = Buffer.alloc(messagePrefixBytes);
  writeMessagePrefix(prefix, 0, flag, bytes.length);
  sender.sendPieces(stream, prefix, bytes);
}

/** The first bytes in a buffer of their own; `slice` of a Buffer would be a view. */
function copyOf(bytes: Uint8Array, length: number): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes, 0, length);
}
