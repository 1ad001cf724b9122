import type { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Engine } from "../../engine/engine.ts";
import type { RequestCodec } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { BoundedReader } from "./bounded-reader.ts";

/** What a request may hold besides a full prompt and a bias for every token: its other fields, and a prompt too long. */
const spareValues = 65_536;
/** An id that is not packed has its own tag. */
const valuesPerId = 2;
/** Numbers of one entry of a map from int to float: its tag and length, the key with its tag, the value's tag. */
const valuesPerBias = 5;
/** Before the model is known. */
const valuesBeforeReady = 1_048_576;

/**
 * Makes generated code decode as the protobuf specification asks: text that is not UTF-8 and bytes behind the end of
 * the message are refused, where the generated reader by itself puts U+FFFD and stops silently. A message with more
 * fields and numbers than {@link mostValuesFor} allows is refused before it takes memory.
 *
 * `decode` throws GrpcStatusError INVALID_ARGUMENT that names the message.
 *
 * @param name of the message, for the error.
 * @param mostValues how many tags, lengths and numbers it may hold.
 */
export function strictRequest<Request>(
  name: string,
  message: { decode(input: BinaryReader): Request },
  mostValues: () => number = () => spareValues,
): RequestCodec<Request> {
  return {
    decode(bytes) {
      const reader = new BoundedReader(bytes, name, mostValues());
      try {
        const request = message.decode(reader);
        if (reader.pos !== reader.len) throw new RangeError(`unreadable from byte ${reader.pos} on`);
        return request;
      } catch (thrown) {
        if (thrown instanceof GrpcStatusError) throw thrown;
        const why = thrown instanceof TypeError ? "a text in it is not UTF-8" : String(thrown);
        throw GrpcStatusError.of("INVALID_ARGUMENT", `not a valid ${name}: ${why}`, { cause: thrown });
      }
    },
  };
}

/** The most that a request with a prompt can hold and still be right for the engine's model, with room to spare. */
export function mostValuesFor(engine: Engine): number {
  if (engine.state.t !== "ready") return valuesBeforeReady;
  const { maxModelLenTokens, vocabSize } = engine.facts();
  return maxModelLenTokens * valuesPerId + vocabSize * valuesPerBias + spareValues;
}
