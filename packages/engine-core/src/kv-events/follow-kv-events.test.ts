import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReadyFacts } from "../protocol/ready-response.ts";
import { readyFacts } from "../protocol/ready-response.ts";
import type { WireValue } from "../protocol/request.ts";
import { MockKvPublisher, type MockKvPublisherOptions } from "../testing/index.ts";
import { followKvEvents, type KvEventFollower } from "./follow-kv-events.ts";
import { kvEventsSource } from "./kv-events-source.ts";

function removed(hash: number): WireValue {
  return { type: "BlockRemoved", block_hashes: [hash], medium: "GPU" };
}

function factsWith(config: WireValue): ReadyFacts {
  return readyFacts(0, { max_model_len: 2048, kv_events_config: config });
}

/** A follower of a publisher, and everything that it says, as words. */
class Listener implements Disposable {
  readonly heard: string[] = [];
  readonly #news = new EventEmitter();
  #follower: KvEventFollower | undefined;

  static async to(publisher: MockKvPublisher, beginsUnknown = false): Promise<Listener> {
    const listener = new Listener();
    const source = kvEventsSource(factsWith(publisher.config), "127.0.0.1");
    assert.ok(source !== undefined);
    const say = (words: string): void => {
      listener.heard.push(words);
      listener.#news.emit("news");
    };
    listener.#follower = await followKvEvents({
      source,
      beginsUnknown,
      onBatch: ({ events, dataParallelRank }) => {
        for (const event of events) say(event.t === "removed" ? `${event.blockHashes}@${dataParallelRank}` : event.t);
      },
      onGap: (sentence) => say(sentence),
      onRestart: () => say("restarted"),
      onBadFrame: (error) => say(`bad: ${error.message}`),
    });
    return listener;
  }

  get ready(): Promise<void> {
    return this.#follower?.ready ?? Promise.reject(new Error("not open"));
  }

  async news(): Promise<void> {
    await once(this.#news, "news");
  }

  async hears(...words: readonly string[]): Promise<void> {
    while (this.heard.length < words.length) await this.news();
    assert.deepEqual(this.heard, words);
  }

  [Symbol.dispose](): void {
    this.#follower?.close();
  }
}

/** Ports are lent to connections of other programs, too, and one may have this one for a moment. */
async function publisherAgainAt(port: number): Promise<MockKvPublisher & Disposable> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await publisherFor({ bufferSteps: 0, port });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || tries === 250) throw error;
      await sleep(20);
    }
  }
}

async function publisherFor(options?: MockKvPublisherOptions): Promise<MockKvPublisher & Disposable> {
  const publisher = await MockKvPublisher.start(options);
  return Object.assign(publisher, { [Symbol.dispose]: () => publisher.close() });
}

/** Nobody is told when a subscription has reached a publisher, and one without a replay keeps nothing until then. */
async function publishUntilHeard(publisher: MockKvPublisher, listener: Listener): Promise<void> {
  let isHeard = false;
  const heard = listener.news().then(() => {
    isHeard = true;
  });
  for (let hash = 100; !isHeard; hash++) {
    await publisher.publish(removed(hash));
    await Promise.race([heard, sleep(20)]);
  }
}

describe("a follower of a publisher's KV events", () => {
  it("hears what was published before it came, and what comes", async () => {
    using publisher = await publisherFor({ dataParallelRank: 1, topic: "kv" });
    await publisher.publish(removed(1));
    using listener = await Listener.to(publisher, true);
    await listener.ready;
    assert.deepEqual(listener.heard, ["1@1"]);
    await publisher.publish(removed(2), { type: "AllBlocksCleared" });
    await listener.hears("1@1", "2@1", "cleared");
  });

  it("asks the replay for what was dropped on the way", async () => {
    using publisher = await publisherFor();
    using listener = await Listener.to(publisher);
    await publisher.publish(removed(1));
    await listener.hears("1@0");
    publisher.drop(removed(2));
    publisher.drop(removed(3));
    await publisher.publish(removed(4));
    await listener.hears("1@0", "2@0", "3@0", "4@0");
  });

  it("says that there is a gap where the replay has forgotten", async () => {
    using publisher = await publisherFor();
    using listener = await Listener.to(publisher);
    await publisher.publish(removed(1));
    await listener.hears("1@0");
    publisher.drop(removed(2));
    publisher.forget();
    await publisher.publish(removed(3));
    await listener.hears("1@0", "KV events before number 2 are lost", "3@0");
  });

  it("finds a gap without a replay, and at once when it cannot know what was before", async () => {
    using publisher = await publisherFor({ bufferSteps: 0 });
    using listener = await Listener.to(publisher, true);
    await listener.hears("KV events that were published before are lost");
    await publishUntilHeard(publisher, listener);
    listener.heard.length = 0;
    await publisher.publish(removed(1));
    publisher.drop(removed(2));
    await publisher.publish(removed(3));
    while (listener.heard.length < 3) await listener.news();
    assert.match(listener.heard.join("; "), /^1@0; KV events before number \d+ are lost; 3@0$/);
  });

  it("reads thousands of batches from the replay", async () => {
    using publisher = await publisherFor();
    for (let hash = 0; hash < 5_000; hash++) publisher.drop(removed(hash));
    using listener = await Listener.to(publisher, true);
    await listener.hears(...Array.from({ length: 5_000 }, (_, hash) => `${hash}@0`));
  });

  it("connects again, and tells a publisher that began anew", async () => {
    const first = await MockKvPublisher.start({ bufferSteps: 0 });
    using listener = await Listener.to(first);
    await listener.ready;
    for (let hash = 0; hash < 1_000; hash++) first.drop(removed(hash));
    await publishUntilHeard(first, listener);
    first.close();
    listener.heard.length = 0;
    const port = Number(/\d+$/.exec(String(first.config.endpoint))?.[0]);
    using second = await publisherAgainAt(port);
    await publishUntilHeard(second, listener);
    assert.equal(listener.heard[0], "restarted");
  });

  it("goes on after bytes that are no batch", async () => {
    using publisher = await publisherFor();
    using listener = await Listener.to(publisher);
    await publisher.publish(removed(1));
    await publisher.publishRaw(Buffer.from("c1", "hex"));
    await publisher.publish(removed(2));
    await listener.hears(
      "1@0",
      "bad: a batch of KV events is not an array: it begins with 0xc1",
      "KV events that cannot be read are lost",
      "2@0",
    );
  });

  it("waits where the publisher connects to", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    server.close();
    await once(server, "close");
    using publisher = await publisherFor({ connectTo: `tcp://127.0.0.1:${address.port}` });
    using listener = await Listener.to(publisher);
    await listener.ready;
    await publisher.publish(removed(1));
    await listener.hears("1@0");
  });

  it("refuses an address that none of ours can be", async () => {
    using publisher = await publisherFor();
    const config = { ...publisher.config, endpoint: "inproc://events" };
    const source = kvEventsSource(factsWith(config), undefined);
    assert.ok(source !== undefined);
    const events = { onBatch: fail, onGap: fail, onRestart: fail, onBadFrame: fail };
    await assert.rejects(followKvEvents({ source, beginsUnknown: false, ...events }), /inproc:\/\/events: it must be/);
  });
});

function fail(): void {
  assert.fail("nothing is told");
}

describe("where an engine publishes", () => {
  const config = { publisher: "zmq", endpoint: "tcp://*:5557", replay_endpoint: "tcp://[::]:5558", topic: "t" };

  it("is on the engine's machine where it listens on all addresses", () => {
    assert.deepEqual(kvEventsSource(factsWith(config), "10.0.0.7"), {
      address: "tcp://10.0.0.7:5557",
      mayConnect: false,
      replayAddress: "tcp://10.0.0.7:5558",
      topic: "t",
    });
    assert.equal(kvEventsSource(factsWith(config), "::ffff:10.0.0.7")?.address, "tcp://10.0.0.7:5557");
    assert.equal(kvEventsSource(factsWith(config), "fd00::7")?.address, "tcp://[fd00::7]:5557");
    assert.equal(kvEventsSource(factsWith(config), undefined)?.address, "tcp://127.0.0.1:5557");
  });

  it("may be where it connects to when the address has a host", () => {
    const source = kvEventsSource(
      factsWith({ ...config, endpoint: "tcp://10.0.0.1:5557", replay_endpoint: null }),
      "x",
    );
    assert.deepEqual(
      [source?.address, source?.mayConnect, source?.replayAddress],
      ["tcp://10.0.0.1:5557", true, undefined],
    );
    assert.equal(kvEventsSource(factsWith({ ...config, endpoint: "ipc:///run/kv" }), "x")?.mayConnect, false);
  });

  for (const off of [null, { ...config, publisher: "null" }, { ...config, enable_kv_cache_events: false }, {}, "zmq"]) {
    it(`is nowhere with ${JSON.stringify(off)}`, () => {
      assert.equal(kvEventsSource(factsWith(off), undefined), undefined);
    });
  }
});
