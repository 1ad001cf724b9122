import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { framed } from "./client-session.ts";
import { MessageStream, MessageTooLongError } from "./message-stream.ts";

suite("message stream", () => {
  test("however the bytes are cut, the messages come out whole and in order", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), fc.array(fc.nat(30)), (bodies, sizes) => {
        const sent = bodies.map((body) => Buffer.from(framed(body)));
        let rest = Buffer.concat(sent);
        const stream = new MessageStream(25);
        const read: Buffer[] = [];
        for (const size of sizes) {
          read.push(...stream.push(rest.subarray(0, size)));
          rest = rest.subarray(size);
        }
        read.push(...stream.push(rest));
        assert.deepEqual(read, sent);
      }),
    );
  });

  test("a message that is announced longer than allowed is refused before it comes", () => {
    const stream = new MessageStream(25);
    assert.deepEqual([...stream.push(Buffer.from(framed(Buffer.alloc(20))))].length, 1);
    assert.throws(() => [...stream.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))], MessageTooLongError);
  });
});
