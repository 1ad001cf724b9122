import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chooseRank } from "./choose-rank.ts";

const rankWith = (rank: number, open: number, maxRunningRequests = 4) => ({ rank, open, maxRunningRequests });

test("the rank with the least work is chosen", () => {
  assert.equal(chooseRank([rankWith(0, 3), rankWith(1, 2), rankWith(2, 5)], 0), 1);
});

test("equal ranks take turns", () => {
  const ranks = [rankWith(0, 1), rankWith(1, 1), rankWith(2, 1)];
  assert.deepEqual(
    [-1, 0, 1, 2].map((last) => chooseRank(ranks, last)),
    [0, 1, 2, 0],
  );
});

test("a rank with more slots takes more, and one that makes requests wait takes fewer", () => {
  assert.equal(chooseRank([rankWith(0, 2, 4), rankWith(1, 4, 16)], 1), 1);
  assert.equal(chooseRank([rankWith(0, 5, 4), rankWith(1, 7, 8)], 1), 1);
});

test("without a rank there is no choice", () => {
  assert.equal(chooseRank([], 0), undefined);
});

test("requests are spread so that no rank has two more than another", () => {
  const steps = fc.array(fc.boolean(), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 5 }), (adds, size) => {
      const open = Array.from({ length: size }, () => 0);
      let last = -1;
      for (const isAdd of adds) {
        const busiest = open.indexOf(Math.max(...open));
        if (!isAdd && (open[busiest] ?? 0) > 0) open[busiest] = (open[busiest] ?? 0) - 1;
        if (!isAdd) continue;
        const rank = chooseRank(
          open.map((count, index) => rankWith(index, count, 8)),
          last,
        );
        assert.ok(rank !== undefined);
        last = rank;
        open[rank] = (open[rank] ?? 0) + 1;
        assert.ok(Math.max(...open) - Math.min(...open) <= 1);
      }
    }),
  );
});
