import { EngineError } from "../../engine/errors.ts";
import type { GetTokenizerChunk, GetTokenizerRequest } from "../../generated/common.ts";
import { endOf, type ServerStreamingHandler } from "../../rpc/call.ts";
import type { VllmEngineContext } from "./context.ts";
import { packTokenizerFiles, type TokenizerArchive } from "./tokenizer-archive.ts";

/** As vLLM's servicer cuts it; far below any client's message limit. */
const chunkBytes = 64 * 1024;

/**
 * GetTokenizer: a ZIP of the model's tokenizer files in chunks of 64 KiB, with the SHA-256 of all of it on the last.
 *
 * The archive is made at the first call and kept; a failure is not kept. FAILED_PRECONDITION when the model carries no
 * tokenizer.
 */
export function getTokenizerHandler(
  context: VllmEngineContext,
): ServerStreamingHandler<GetTokenizerRequest, GetTokenizerChunk> {
  let kept: Promise<TokenizerArchive> | undefined;
  const archive = (): Promise<TokenizerArchive> => {
    kept ??= pack(context).catch((thrown: unknown) => {
      kept = undefined;
      throw thrown;
    });
    return kept;
  };
  return async (_request, call) => {
    const { bytes, sha256 } = await archive();
    for (let start = 0; start < bytes.length; start += chunkBytes) {
      const end = Math.min(start + chunkBytes, bytes.length);
      // A view: generated code asks for a Buffer, and the archive may be large.
      const data = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
      const goesOn = call.write({ data, sha256: end === bytes.length ? sha256 : "" });
      if (!goesOn && end < bytes.length) await call.drained();
      const ended = endOf(call);
      if (ended !== undefined) throw ended;
    }
  };
}

async function pack(context: VllmEngineContext): Promise<TokenizerArchive> {
  const files = await context.engine.tokenizerFiles();
  if (files.length === 0) throw new EngineError("failed-precondition", "this model carries no tokenizer files");
  return packTokenizerFiles(files);
}
