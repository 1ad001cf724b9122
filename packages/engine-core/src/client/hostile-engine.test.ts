import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { goldenNames, readGoldenFrames } from "../protocol/testing/read-golden-frames.ts";
import { connectDealer, connectPush } from "../testing/zeromq-sockets.ts";
import { FrontEnd } from "./testing/front-end.ts";

const golden = goldenNames()
  .flatMap((name) => readGoldenFrames(name))
  .map(({ frames }) => frames);

/** What an engine really sent, some of its bytes changed, or anything. */
const message: fc.Arbitrary<readonly Uint8Array[]> = fc.oneof(
  fc.tuple(fc.constantFrom(...golden), fc.nat(1_000), fc.integer({ min: 0, max: 255 })).map(([frames, at, byte]) =>
    frames.map((frame) => {
      const changed = Uint8Array.from(frame);
      if (changed.length > 0) changed[at % changed.length] = byte;
      return changed;
    }),
  ),
  fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 3 }),
);

it("a client survives whatever engines say on any of its sockets, and serves the next engine", async () => {
  await using frontEnd = await FrontEnd.open();
  const { handshake, input, output } = frontEnd.client.addresses;
  const ignore = (): void => undefined;
  const hostile = [
    await connectDealer(handshake, Uint8Array.of(0, 0), ignore),
    await connectDealer(input, Uint8Array.of(0, 0), ignore),
    await connectDealer(handshake, Uint8Array.of(1), ignore),
    await connectDealer(input, Uint8Array.of(9, 9), ignore),
    await connectPush(output),
  ];
  for (const messages of fc.sample(fc.array(message, { minLength: 5, maxLength: 5 }), 200)) {
    hostile.forEach((socket, at) => {
      socket.send(messages[at] ?? []);
    });
  }
  // A connection keeps its order, so a last word that is quoted tells that all before it was read. Of peers with identities
  // that no engine has nothing is read.
  const lastWords = new Map<number, Uint8Array>([
    [0, encodeMessagePack({ status: "last word 0" })],
    [1, encodeMessagePack({ max_model_len: "last word 1" })],
    [4, encodeMessagePack([0, [["a", [1], null, null, null, 44_444]]])],
  ]);
  for (const [at, word] of lastWords) hostile[at]?.send([word]);
  const awaited = new Set(["last word 0", "last word 1", "finish_reason is 44444"]);
  while (awaited.size > 0) {
    const { message: sentence } = await frontEnd.badFrame();
    for (const word of awaited) if (sentence.includes(word)) awaited.delete(word);
  }
  for (const socket of hostile) socket.close();
  await frontEnd.engine({ tokenAt: () => 42 });
  await frontEnd.client.ready();
  frontEnd.client.add(0, { requestId: "after", promptTokenIds: [1], samplingParams: { max_tokens: 2 } });
  const outputs = await frontEnd.whole("after");
  assert.deepEqual(
    outputs.flatMap(({ newTokenIds }) => newTokenIds),
    [42, 42],
  );
});
