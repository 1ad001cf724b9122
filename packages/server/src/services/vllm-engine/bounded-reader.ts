import { BinaryReader } from "@bufbuild/protobuf/wire";
import { GrpcStatusError } from "../../rpc/status.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a protobuf message that came from outside: text must be UTF-8, and tags, lengths and numbers are counted.
 *
 * The count bounds what a message can become: an empty nested message takes two bytes on the wire and some hundred in
 * memory, so that a message within the transport's limit could else take more than there is.
 *
 * Reading past the bound throws GrpcStatusError INVALID_ARGUMENT; other malformed bytes throw what BinaryReader throws.
 */
export class BoundedReader extends BinaryReader {
  constructor(bytes: Uint8Array, message: string, mostValues: number) {
    super(bytes, (text) => utf8.decode(text));
    const readUint32 = this.uint32;
    let left = mostValues;
    this.uint32 = () => {
      left -= 1;
      if (left < 0) {
        throw GrpcStatusError.of(
          "INVALID_ARGUMENT",
          `${message}: too many fields and numbers; must be at most ${mostValues} in one message`,
        );
      }
      return readUint32.call(this);
    };
  }
}
