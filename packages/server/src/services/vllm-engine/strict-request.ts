import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { RequestCodec } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Makes generated code decode as the protobuf specification asks: text that is not UTF-8 and bytes behind the end of
 * the message are refused, where the generated reader by itself puts U+FFFD and stops silently.
 *
 * `decode` throws GrpcStatusError INVALID_ARGUMENT that names the message.
 *
 * @param name of the message, for the error.
 */
export function strictRequest<Request>(
  name: string,
  message: { decode(input: BinaryReader): Request },
): RequestCodec<Request> {
  return {
    decode(bytes) {
      const reader = new BinaryReader(bytes, (text) => utf8.decode(text));
      try {
        const request = message.decode(reader);
        if (reader.pos !== reader.len) throw new RangeError(`unreadable from byte ${reader.pos} on`);
        return request;
      } catch (thrown) {
        const why = thrown instanceof TypeError ? "a text in it is not UTF-8" : String(thrown);
        throw GrpcStatusError.of("INVALID_ARGUMENT", `not a valid ${name}: ${why}`, { cause: thrown });
      }
    },
  };
}
