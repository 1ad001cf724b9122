import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EventOrder } from "./event-order.ts";

/** A publisher that keeps its last batches, and a wire that loses some. */
class Wire {
  readonly heard: string[] = [];
  readonly asked: number[] = [];
  readonly order: EventOrder<number>;
  canAsk = true;

  constructor(beginsUnknown = false) {
    this.order = new EventOrder<number>(beginsUnknown, {
      deliver: (payload) => this.heard.push(String(payload)),
      ask: (from) => {
        if (this.canAsk) this.asked.push(from);
        return this.canAsk;
      },
      lost: (before) => this.heard.push(before === undefined ? "unknown" : `lost before ${before}`),
      restarted: () => this.heard.push("restarted"),
    });
  }

  live(...sequences: number[]): void {
    for (const sequence of sequences) this.order.live(sequence, sequence);
  }

  answer(...sequences: number[]): void {
    for (const sequence of sequences) this.order.replayed(sequence, sequence);
    this.order.replayEnded(true);
  }

  takeHeard(): string {
    return this.heard.splice(0).join(" ");
  }
}

describe("the order of KV events", () => {
  it("is that of the numbers when none is missing", () => {
    const wire = new Wire();
    wire.order.connected();
    wire.answer();
    wire.live(0, 1, 2);
    assert.equal(wire.takeHeard(), "0 1 2");
    assert.deepEqual(wire.asked, [0]);
  });

  it("asks for what is missing, and holds what comes meanwhile", () => {
    const wire = new Wire();
    wire.live(0, 3, 4);
    assert.deepEqual([wire.takeHeard(), wire.asked], ["0", [1]]);
    wire.answer(1, 2, 3);
    wire.live(5);
    assert.equal(wire.takeHeard(), "1 2 3 4 5");
  });

  it("tells what the replay does not have any more", () => {
    const wire = new Wire();
    wire.live(0, 9);
    wire.answer(7, 8);
    assert.equal(wire.takeHeard(), "0 lost before 7 7 8 9");
  });

  it("asks again for a hole in an answer, and once more for what follows a cut one", () => {
    const wire = new Wire();
    wire.live(0, 6);
    wire.answer(1, 3, 4);
    assert.deepEqual(wire.asked, [1, 2]);
    wire.order.replayed(2, 2);
    wire.order.replayEnded(false);
    assert.deepEqual(wire.asked, [1, 2, 3]);
    wire.answer(3, 4, 5);
    assert.equal(wire.takeHeard(), "0 1 2 3 4 5 6");
  });

  it("gives up what an answer without anything new leaves out", () => {
    const wire = new Wire();
    wire.live(2);
    wire.order.replayEnded(false);
    assert.equal(wire.takeHeard(), "lost before 2 2");
    wire.canAsk = false;
    wire.live(5);
    assert.equal(wire.takeHeard(), "lost before 5 5");
  });

  it("knows an engine that published before only by its replay", () => {
    const withReplay = new Wire(true);
    withReplay.order.connected();
    withReplay.answer(0, 1);
    withReplay.answer();
    assert.equal(withReplay.takeHeard(), "0 1");
    const without = new Wire(true);
    without.canAsk = false;
    without.order.connected();
    without.order.connected();
    assert.equal(without.takeHeard(), "unknown");
  });

  it("finds a publisher that began anew, also after a broken connection", () => {
    const wire = new Wire();
    wire.live(0, 1);
    wire.order.connected();
    wire.answer();
    wire.live(0);
    assert.equal(wire.takeHeard(), "0 1 restarted 0");
  });

  it("is kept whatever is lost: each number once, in order, and every hole is told", () => {
    const dropped = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        dropped,
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.nat(6), { maxLength: 20 }),
        (drops, kept, speed) => {
          const wire = new Wire();
          let turn = 0;
          let answered = 0;
          const answerAll = (published: number): void => {
            while (wire.order.isAsking) {
              answered += 1;
              assert.ok(answered < 500, "it ends to ask");
              const from = Math.max(wire.asked.at(-1) ?? 0, published - kept);
              for (let sequence = from; sequence < published; sequence++) {
                // A router drops what a slow reader does not take; the first never waits.
                turn += 1;
                const isLost = sequence > from && speed[turn % (speed.length || 1)] === 0;
                if (!isLost) wire.order.replayed(sequence, sequence);
              }
              wire.order.replayEnded(true);
            }
          };
          drops.forEach((isDropped, sequence) => {
            if (!isDropped) wire.live(sequence);
            if ((speed[sequence % (speed.length || 1)] ?? 0) < 3) answerAll(sequence + 1);
          });
          answerAll(drops.length);
          wire.order.check();
          answerAll(drops.length);
          let next = 0;
          for (const each of wire.heard) {
            const lost = /^lost before (\d+)$/.exec(each)?.[1];
            if (lost !== undefined) assert.ok(Number(lost) > next, "something was lost");
            else assert.equal(Number(each), next);
            next = lost === undefined ? next + 1 : Number(lost);
          }
          assert.equal(next, drops.length);
        },
      ),
    );
  });
});
