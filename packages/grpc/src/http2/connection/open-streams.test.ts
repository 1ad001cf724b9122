import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { OpenStreams } from "./open-streams.ts";
import type { RequestFields } from "./request-fields.ts";
import { Stream, type StreamOwner } from "./stream.ts";

const nothing = (): void => undefined;
const owner: StreamOwner = {
  sendHeaders: nothing,
  sendBytes: nothing,
  sendTrailers: nothing,
  finish: nothing,
  resetStream: nothing,
  credit: nothing,
  dropped: nothing,
};
const request: RequestFields = {
  method: "POST",
  path: "/a.B/C",
  scheme: "http",
  authority: "a",
  fields: [],
  contentLength: -1,
  note: undefined,
};

function streamOf(id: number): Stream {
  return new Stream(id, request, owner, 65_535, 65_535, 0);
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ t: fc.constant("add" as const), skipped: fc.nat(40) }) },
  { weight: 4, arbitrary: fc.record({ t: fc.constant("remove" as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ t: fc.constant("look" as const), id: fc.integer({ min: 1, max: 0x7fff_ffff }) }),
  },
);

suite("the open streams of a connection", () => {
  test("are found by their numbers until they are removed, whatever opens and ends between", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const streams = new OpenStreams();
        const model = new Map<number, Stream>();
        let next = 1;
        for (const each of steps) {
          switch (each.t) {
            case "add": {
              const stream = streamOf(next + 2 * each.skipped);
              next = stream.id + 2;
              streams.add(stream);
              model.set(stream.id, stream);
              break;
            }
            case "remove": {
              const id = [...model.keys()][each.which % Math.max(1, model.size)] ?? next;
              streams.remove(id);
              model.delete(id);
              break;
            }
            case "look":
              assert.equal(streams.get(each.id), model.get(each.id));
          }
          assert.equal(streams.size, model.size);
        }
        for (const [id, stream] of model) assert.equal(streams.get(id), stream);
        assert.deepEqual(
          streams.all().map(({ id }) => id),
          [...model.keys()],
        );
      }),
    );
  });

  test("may be many and old, and all end at once", () => {
    const streams = new OpenStreams();
    for (let id = 1; id < 20_000; id += 2) streams.add(streamOf(id));
    assert.equal(streams.size, 10_000);
    assert.equal(streams.all().length, 10_000);
    assert.equal(streams.get(1)?.id, 1);
    assert.equal(streams.get(19_999)?.id, 19_999);
    streams.clear();
    assert.equal(streams.size, 0);
    assert.equal(streams.get(1), undefined);
    assert.deepEqual(streams.all(), []);
  });
});
