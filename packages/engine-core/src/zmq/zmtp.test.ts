import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EngineCoreError } from "../engine-core-error.ts";
import { connectDealer, connectPush } from "../testing/zeromq-sockets.ts";
import { connectDealer as connectOurDealer } from "./dealer-socket.ts";
import { listen } from "./listener.ts";
import { bindPull, bindRouter } from "./sockets.ts";
import { encodeCommand, encodeMessage, type ZmtpFrame, ZmtpFrameReader } from "./zmtp-frames.ts";
import { ZmtpSession } from "./zmtp-session.ts";

const bytes = fc.uint8Array({ maxLength: 600 });
const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });

describe("frames", () => {
  it("come out as they went in, wherever their bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(bytes, { minLength: 1, maxLength: 4 }), { maxLength: 6 }),
        cuts,
        (messages, sizes) => {
          const wire = Buffer.concat(messages.map((frames) => encodeMessage(frames)));
          const frames: ZmtpFrame[] = [];
          const reader = new ZmtpFrameReader();
          for (const chunk of cutInto(wire, sizes)) reader.read(chunk, (frame) => frames.push(frame));
          assert.deepEqual(
            frames.map(({ body, hasMore }) => [Buffer.from(body).toString("hex"), hasMore]),
            messages.flatMap((message) =>
              message.map((body, index) => [Buffer.from(body).toString("hex"), index < message.length - 1]),
            ),
          );
        },
      ),
    );
  });

  it("of any bytes are read or refused, never more", () => {
    fc.assert(
      fc.property(bytes, (wire) => {
        try {
          new ZmtpFrameReader().read(Buffer.from(wire), () => undefined);
        } catch (thrown) {
          assert.ok(thrown instanceof EngineCoreError && thrown.fault.kind === "bad-frame");
        }
      }),
    );
  });

  it("that claim more than is allowed are refused before anything is kept for them", () => {
    const claim = Buffer.from([2, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert.throws(() => new ZmtpFrameReader().read(claim, () => undefined), /frame of 1099511627776 bytes/);
  });
});

/** A greeting and READY as a peer of ours sends them. */
function peerBytes(type: string, mechanism = "NULL"): Buffer {
  const greeting = Buffer.alloc(64);
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
  greeting.write(mechanism, 12, "latin1");
  const property = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.from([name.length]),
      Buffer.from(name),
      Buffer.of(0, 0, 0, value.length),
      Buffer.from(value),
    ]);
  const ready = encodeCommand("READY", Buffer.concat([property("socket-TYPE", type), property("Identity", "me")]));
  return Buffer.concat([greeting, ready]);
}

describe("a session", () => {
  function session() {
    const heard: string[] = [];
    const written: Buffer[] = [];
    const made = new ZmtpSession("ROUTER", {
      write: (out) => written.push(Buffer.from(out)),
      onReady: (identity) => heard.push(`ready ${Buffer.from(identity)}`),
      onMessage: (frames) => heard.push(frames.map((frame) => Buffer.from(frame).toString()).join("+")),
    });
    return { made, heard, written };
  }

  it("shakes hands and hands messages on, wherever the bytes are cut", () => {
    const wire = Buffer.concat([peerBytes("DEALER"), encodeMessage([Buffer.from("a"), Buffer.from("b")])]);
    fc.assert(
      fc.property(cuts, (sizes) => {
        const { made, heard } = session();
        for (const chunk of cutInto(wire, sizes)) made.receive(chunk);
        assert.deepEqual(heard, ["ready me", "a+b"]);
      }),
    );
  });

  it("takes long messages once the handshake is done", () => {
    const { made, heard } = session();
    made.receive(Buffer.concat([peerBytes("DEALER"), encodeMessage([Buffer.alloc(70_000, "x")])]));
    assert.equal(heard.at(-1)?.length, 70_000);
  });

  it("answers a heartbeat with its context, and passes over what it does not know", () => {
    const { made, heard, written } = session();
    made.receive(peerBytes("DEALER"));
    made.receive(encodeCommand("PING", Buffer.of(0, 9, 7, 7)));
    made.receive(encodeCommand("LATER", Buffer.of(1)));
    assert.deepEqual(written.at(-1), encodeCommand("PONG", Buffer.of(7, 7)));
    assert.deepEqual(heard, ["ready me"]);
  });

  const refused: readonly (readonly [string, Buffer, RegExp])[] = [
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n"), /does not speak ZMTP/],
    ["an old version", Buffer.concat([peerBytes("DEALER").subarray(0, 10), Buffer.of(1)]), /speaks ZMTP 1/],
    ["another mechanism", peerBytes("DEALER", "CURVE"), /mechanism CURVE/],
    ["another socket type", peerBytes("PUB"), /a PUB socket came to a ROUTER/],
    [
      "a message first",
      Buffer.concat([peerBytes("DEALER").subarray(0, 64), encodeMessage([Buffer.of(1)])]),
      /before its/,
    ],
    [
      "a long handshake",
      Buffer.concat([peerBytes("DEALER").subarray(0, 64), encodeCommand("LATER", Buffer.alloc(5_000)).subarray(0, 20)]),
      /4096 are allowed/,
    ],
    ["READY twice", Buffer.concat([peerBytes("DEALER"), peerBytes("DEALER").subarray(64)]), /READY twice/],
    [
      "cut properties",
      Buffer.concat([peerBytes("DEALER").subarray(0, 64), encodeCommand("READY", Buffer.of(9, 1))]),
      /cut/,
    ],
    [
      "a refusal",
      Buffer.concat([peerBytes("DEALER").subarray(0, 64), encodeCommand("ERROR", Buffer.from("\x02no"))]),
      /: no/,
    ],
  ];
  for (const [what, wire, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => session().made.receive(wire), message);
    });
  }
});

describe("a connecting socket", () => {
  it("has nobody to send to from the moment that it lets its connection go, until there is another", async () => {
    const heard: string[] = [];
    const { promise: both, resolve } = Promise.withResolvers<void>();
    const router = await bindRouter("tcp://127.0.0.1:*", {
      onMessage: (_identity, [frame]) => {
        heard.push(Buffer.from(frame ?? []).toString());
        if (heard.length === 2) resolve();
      },
      onBadPeer: (error) => assert.fail(error),
    });
    let connections = 0;
    const dealer = connectOurDealer(router.address, {
      onConnect: () => {
        connections += 1;
        assert.equal(dealer.send([Buffer.from(`on ${connections}`)]), true);
        if (connections > 1) return;
        setImmediate(() => {
          dealer.renew();
          assert.equal(dealer.send([Buffer.from("lost")]), false);
        });
      },
      onMessage: () => undefined,
      onBadPeer: (error) => assert.fail(error),
    });
    await both;
    assert.deepEqual(heard, ["on 1", "on 2"]);
    dealer.close();
    router.close();
  });
});

describe("a listener", () => {
  it("lets a stranger go with a sentence, and serves the next one", async () => {
    const { promise: told, resolve } = Promise.withResolvers<string>();
    const { promise: heard, resolve: hear } = Promise.withResolvers<string>();
    const pull = await bindPull("tcp://127.0.0.1:*", {
      onMessage: ([frame]) => hear(Buffer.from(frame ?? []).toString()),
      onBadPeer: (error) => resolve(error.message),
    });
    const stranger = connectTo(pull.address);
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    await once(stranger.resume(), "close");
    assert.match(await told, /does not speak ZMTP/);
    const push = await connectPush(pull.address);
    push.send([Buffer.from("hello")]);
    assert.equal(await heard, "hello");
    push.close();
    pull.close();
  });

  it("knows whose connection ended, and gives an identity to the newest", async () => {
    const left = Promise.withResolvers<string>();
    const seen: string[] = [];
    const { promise: both, resolve } = Promise.withResolvers<void>();
    const router = await bindRouter("tcp://127.0.0.1:*", {
      onMessage: (identity, [frame]) => {
        seen.push(`${Buffer.from(identity)}: ${Buffer.from(frame ?? [])}`);
        if (seen.length === 2) resolve();
      },
      onDisconnect: (identity) => left.resolve(Buffer.from(identity).toString()),
      onBadPeer: (error) => assert.fail(error),
    });
    const first = await connectDealer(router.address, Buffer.from("a"), () => undefined);
    const answered = Promise.withResolvers<string>();
    const second = await connectDealer(router.address, Buffer.from("b"), ([frame]) =>
      answered.resolve(Buffer.from(frame ?? []).toString()),
    );
    first.send([Buffer.from("1")]);
    second.send([Buffer.from("2")]);
    await both;
    first.close();
    assert.equal(await left.promise, "a");
    assert.equal(router.send(Buffer.from("a"), [Buffer.from("x")]), false);
    assert.equal(router.send(Buffer.from("b"), [Buffer.alloc(70_000, "y")]), true);
    assert.equal((await answered.promise).length, 70_000);
    second.close();
    router.close();
  });

  it("takes a path that a killed process left, and none that is in use", async () => {
    const folder = mkdtempSync(join(tmpdir(), "zmtp-"));
    const events = { onMessage: () => undefined, onBadPeer: () => undefined };
    const path = join(folder, "engine");
    const used = createServer((socket) => socket.destroy()).listen(path);
    await once(used, "listening");
    await assert.rejects(listen(`ipc://${path}`, "PULL", events), /cannot listen for engines on ipc:/);
    used.close();
    await once(used, "close");
    const bound = await listen(`ipc://${path}`, "PULL", events);
    assert.equal(bound.address, `ipc://${path}`);
    bound.close();
    writeFileSync(path, "no socket");
    await assert.rejects(listen(`ipc://${path}`, "PULL", events), /cannot listen/);
    assert.ok(existsSync(path));
    rmSync(folder, { recursive: true });
  });

  for (const address of ["tcp://127.0.0.1", "udp://127.0.0.1:1", "tcp://127.0.0.1:99999", ""]) {
    it(`refuses the address ${JSON.stringify(address)}`, async () => {
      const events = { onMessage: () => undefined, onBadPeer: () => undefined };
      await assert.rejects(listen(address, "PULL", events), /must be tcp:\/\/HOST:PORT or ipc:\/\/PATH/);
    });
  }
});

function connectTo(address: string): Socket {
  const url = new URL(address.replace("tcp:", "http:"));
  return connect(Number(url.port), url.hostname);
}

function* cutInto(wire: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let turn = 0; at < wire.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield wire.subarray(at, at + size);
    at += size;
  }
}
