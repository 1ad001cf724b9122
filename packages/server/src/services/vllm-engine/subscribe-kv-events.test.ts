import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Engine } from "../../engine/engine.ts";
import { wrapEngine } from "../../engine/wrap-engine.ts";
import { createMockEngine, type MockControls } from "../../engines/mock/mock-engine.ts";
import type { MockScript } from "../../engines/mock/mock-script.ts";
import type { KvEventBatch } from "../../generated/common.ts";
import { ManualClock, settled } from "../../operations/testing/manual-clock.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { generateRequest, isStatus, type ServiceUnderTest, serviceOver } from "./testing/service-under-test.ts";

const block = (hash: bigint) => ({ hash, tokenIds: [1, 2, 3, 4] });
const stored = (hash: bigint, parentHash?: bigint) => ({ t: "stored" as const, parentHash, blocks: [block(hash)] });
/** What the numbers of a server begin after, when its clock says 1000 s at the start. */
const base = 1_000_000n * 1024n;

interface Rig extends Omit<ServiceUnderTest, "engine"> {
  readonly engine: Engine & MockControls;
  readonly clock: ManualClock;
  readonly subscribe: (start?: bigint, loads?: boolean) => Subscriber;
}

interface Subscriber {
  readonly call: ScriptedCall<KvEventBatch>;
  readonly ended: Promise<unknown>;
}

describe("SubscribeKvEvents", () => {
  const engines: Engine[] = [];
  const calls: ScriptedCall<KvEventBatch>[] = [];

  afterEach(async () => {
    for (const call of calls.splice(0)) call.cancel();
    await Promise.all(engines.splice(0).map((engine) => engine.close(0)));
  });

  async function rig(script: MockScript = {}): Promise<Rig> {
    const clock = new ManualClock();
    const engine = createMockEngine({ stepIntervalMs: "manual", ...script }, { clock });
    engines.push(engine);
    const service = serviceOver(engine, { clock });
    const start = engine.start();
    clock.advance(0);
    await start;
    const subscribe = (start = 0n, loads = false): Subscriber => {
      const call = new ScriptedCall<KvEventBatch>();
      calls.push(call);
      const request = { startSequenceNumber: start, loadRecordsBeforeFirstBatch: loads };
      const ended = service.call("SubscribeKvEvents", request, call).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      return { call, ended };
    };
    return { ...service, engine, clock, subscribe };
  }

  const numbers = ({ written }: ScriptedCall<KvEventBatch>) =>
    written.map(({ sequenceNumber }) => sequenceNumber - base);
  const kinds = ({ written }: ScriptedCall<KvEventBatch>) =>
    written.flatMap(({ events }) => events.map(({ data }) => data?.$case));

  it("gives each batch its rank and the next number, and each event an id of the stream", async () => {
    const { engine, subscribe } = await rig();
    const { call } = subscribe();
    engine.tellKvEvents([stored(1n), stored(2n, 1n)]);
    engine.tellKvEvents([{ t: "removed", hashes: [2n] }]);
    assert.deepEqual(numbers(call), [1n, 2n]);
    assert.deepEqual(
      call.written.flatMap(({ events }) => events.map(({ eventId }) => eventId)),
      [0n, 1n, 2n],
    );
    assert.deepEqual(kinds(call), ["stored", "stored", "removed"]);
    assert.ok(call.written.every(({ dpRank }) => dpRank === 0));
    const data = call.written[0]?.events[1]?.data;
    assert.ok(data?.$case === "stored");
    assert.equal(data.value.parentBlockHash, 1n);
    assert.deepEqual(data.value.blocks[0]?.tokenIds, [1, 2, 3, 4]);
    assert.equal(data.value.blocks[0]?.blockSize, 4);
  });

  it("says nothing before the first batch, unless load records are asked for", async () => {
    const { clock, subscribe } = await rig();
    const silent = subscribe();
    const asking = subscribe(0n, true);
    assert.equal(asking.call.written.length, 1);
    const [first] = asking.call.written;
    assert.deepEqual([first?.sequenceNumber, first?.events, first?.load?.loadOnly], [0n, [], true]);
    clock.advance(3_000);
    assert.equal(silent.call.written.length, 0);
    assert.ok(asking.call.written.length > 1);
  });

  it("goes on after the number that the client has", async () => {
    const { engine, subscribe } = await rig();
    for (const hash of [1n, 2n, 3n]) engine.tellKvEvents([stored(hash)]);
    const { call } = subscribe(base + 1n);
    assert.deepEqual(numbers(call), [2n, 3n]);
    assert.ok(call.written.every(({ snapshot }) => snapshot === undefined));
  });

  it("gives a client that begins anew what the cache holds, and then what happens", async () => {
    const { engine, subscribe } = await rig();
    engine.tellKvEvents([stored(1n), stored(2n, 1n), stored(3n)]);
    engine.tellKvEvents([{ t: "removed", hashes: [3n] }]);
    const { call } = subscribe();
    engine.tellKvEvents([stored(4n)]);
    assert.deepEqual(numbers(call), [2n, 3n]);
    assert.deepEqual(call.written[0]?.snapshot, { index: 0, count: 1, blocks: 2n, unknownBefore: 0n });
    assert.deepEqual(kinds(call), ["cleared", "stored", "stored"]);
  });

  it("gives a client of an earlier server a snapshot, though nothing has happened yet", async () => {
    const { subscribe } = await rig();
    const { call } = subscribe(base - 5_000n);
    assert.deepEqual(numbers(call), [0n]);
    assert.deepEqual(kinds(call), ["cleared"]);
  });

  it("refuses a number that was never given", async () => {
    const { engine, subscribe } = await rig();
    engine.tellKvEvents([stored(1n)]);
    for (const start of [base + 2n, 2n ** 64n - 1n]) {
      const { call, ended } = subscribe(start);
      assert.ok(isStatus("OUT_OF_RANGE", "subscribe from 0")(await ended));
      assert.equal(call.written.length, 0);
    }
  });

  it("gives a slow client the latest snapshot instead of a backlog that is too long", async () => {
    const { engine, subscribe } = await rig();
    const { call } = subscribe();
    await call.read(1);
    engine.tellKvEvents([stored(0n)]);
    for (let hash = 1n; hash <= 10_000n; hash++) {
      engine.tellKvEvents([{ t: "removed", hashes: [hash - 1n] }, stored(hash)]);
    }
    assert.equal(call.written.length, 1, "nothing is written that the client does not read");
    await call.read(10);
    assert.deepEqual(numbers(call), [1n, 10_001n]);
    assert.equal(call.written[1]?.snapshot?.blocks, 1n);
    assert.equal(call.written[1]?.events.length, 2);
  });

  it("cuts a large snapshot into parts whose numbers end at the state's", async () => {
    const { engine, subscribe } = await rig();
    const blocks = Array.from({ length: 1_100 }, (_, i) => block(BigInt(i + 1)));
    engine.tellKvEvents([{ t: "stored", parentHash: undefined, blocks }]);
    const { call } = subscribe();
    assert.deepEqual(numbers(call), [-1n, 0n, 1n]);
    assert.deepEqual(
      call.written.map(({ snapshot }) => [snapshot?.index, snapshot?.count]),
      [
        [0, 3],
        [1, 3],
        [2, 3],
      ],
    );
    assert.deepEqual(kinds(call), ["cleared", "stored", "stored", "stored"]);
    const later = call.written[1]?.events[0]?.data;
    assert.ok(later?.$case === "stored");
    assert.equal(later.value.parentBlockHash, 512n, "the second part goes on where the first ended");
  });

  it("says after lost events that it does not know all", async () => {
    const { engine, subscribe } = await rig();
    const live = subscribe();
    engine.tellKvEvents([stored(1n)]);
    engine.tellKvEvents([{ t: "gap" }]);
    engine.tellKvEvents([stored(2n)]);
    assert.deepEqual(kinds(live.call), ["stored", "cleared", "stored"]);
    const { snapshot } = subscribe().call.written[0] ?? {};
    assert.deepEqual([snapshot?.blocks, snapshot?.unknownBefore], [1n, base + 2n]);
    engine.tellKvEvents([{ t: "cleared" }]);
    assert.equal(subscribe().call.written[0]?.snapshot?.unknownBefore, 0n);
  });

  it("keeps the numbers of ranks apart", async () => {
    const { engine, subscribe } = await rig();
    engine.tellKvEvents([stored(1n)], 0);
    engine.tellKvEvents([stored(2n)], 0);
    const { call } = subscribe(base + 1n);
    engine.tellKvEvents([stored(1n)], 1);
    assert.deepEqual(
      call.written.map(({ dpRank, sequenceNumber }) => [dpRank, sequenceNumber - base]),
      [
        [0, 2n],
        [1, 1n],
      ],
    );
  });

  it("tells of loads when they move, at most ten times a second, and once a second when not", async () => {
    const { clock, call: callMethod, subscribe } = await rig();
    const { call } = subscribe(0n, true);
    assert.equal(call.written.length, 1);
    clock.advance(900);
    assert.equal(call.written.length, 1);
    clock.advance(100);
    assert.equal(call.written.length, 2);
    const generating = new ScriptedCall();
    void callMethod("Generate", generateRequest(), generating).catch(() => undefined);
    void callMethod("Generate", generateRequest({}, { requestId: "s" }), generating).catch(() => undefined);
    await settled();
    clock.advance(100);
    assert.equal(call.written.length, 3);
    const load = call.written[2]?.load;
    assert.deepEqual([load?.waitingRequests, load?.prefillPendingTokens, load?.sample], [2, 6, 2n]);
    assert.equal(load?.cacheHitRate, undefined, "telemetry goes with heartbeats");
    assert.notEqual(call.written[1]?.load?.cacheHitRate, undefined);
    generating.cancel();
  });

  it("tells how long an engine with requests has been silent, and nothing of a silence without any", async () => {
    const { clock, engine, call: callMethod, subscribe } = await rig();
    const { call } = subscribe(0n, true);
    assert.equal(call.written[0]?.load?.engineSilenceMs, undefined);
    assert.equal(call.written[0]?.load?.engineReportsSteps, true);
    const generating = new ScriptedCall();
    void callMethod("Generate", generateRequest(), generating).catch(() => undefined);
    await settled();
    engine.step();
    clock.advance(300);
    assert.ok((call.written.at(-1)?.load?.engineSilenceMs ?? 0) >= 200);
    engine.step();
    clock.advance(100);
    assert.ok((call.written.at(-1)?.load?.engineSilenceMs ?? -1) <= 100);
    engine.hang();
    clock.advance(5_000);
    const load = call.written.at(-1)?.load;
    assert.ok((load?.engineSilenceMs ?? 0) >= 4_800, `${load?.engineSilenceMs}`);
    assert.ok((load?.ageMs ?? 0) >= 4_800);
    // The client gives up; the engine still has the request and does not answer.
    generating.cancel();
    await settled();
    clock.advance(1_000);
    assert.ok((call.written.at(-1)?.load?.engineSilenceMs ?? 0) >= 5_800);
  });

  it("tells at once that a dying engine's cache is gone, and of no load until it is back", async () => {
    const { clock, engine, subscribe } = await rig({ cachedPrefixes: [Array.from({ length: 32 }, (_, i) => i)] });
    const { call } = subscribe(0n, true);
    assert.deepEqual(kinds(call), ["cleared", "stored"]);
    engine.die("test", 2_000);
    const before = call.written.length;
    assert.equal(call.written.at(-1)?.events[0]?.data?.$case, "cleared");
    assert.equal(call.written.at(-1)?.load, undefined);
    clock.advance(1_900);
    assert.equal(call.written.length, before);
    clock.advance(200);
    assert.deepEqual(kinds(call).slice(-1), ["stored"]);
    assert.deepEqual(numbers(call).at(-1), 3n);
  });

  it("ends UNAVAILABLE with an engine that is gone for good", async () => {
    const { engine, subscribe } = await rig();
    const { ended } = subscribe();
    engine.die("for good");
    assert.ok(isStatus("UNAVAILABLE", "for good")(await ended));
    assert.ok(isStatus("UNAVAILABLE", "for good")(await subscribe().ended));
  });

  it("ends with its call and then keeps no timer", async () => {
    const { clock, subscribe } = await rig();
    const { call, ended } = subscribe();
    assert.equal(clock.pendingTimers, 1);
    call.cancel();
    assert.ok(isStatus("CANCELLED")(await ended));
    assert.equal(clock.pendingTimers, 0);
  });

  it("bounds the number of subscribers", async () => {
    const { subscribe } = await rig();
    for (let i = 0; i < 256; i++) subscribe();
    assert.ok(isStatus("RESOURCE_EXHAUSTED")(await subscribe().ended));
  });

  it("is unimplemented for an engine that tells no events", async () => {
    const { engine } = await rig();
    const mute = { ...wrapEngine(engine, {}), kvEvents: undefined };
    const request = { startSequenceNumber: 0n, loadRecordsBeforeFirstBatch: false };
    const answer = serviceOver(mute).call("SubscribeKvEvents", request, new ScriptedCall());
    await assert.rejects(answer, isStatus("UNIMPLEMENTED", "no KV cache events"));
  });
});
