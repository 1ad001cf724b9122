import { badFrame } from "../engine-core-error.ts";
import { encodeCommand, maxFrameBytes, type ZmtpFrame, ZmtpFrameReader } from "./zmtp-frames.ts";

/** Socket types that a front end has. */
export type SocketType = "ROUTER" | "PULL" | "SUB" | "DEALER";

interface TypeRules {
  /** The types that may stand at the other end (ZMTP 3.0, "Socket-Type"). */
  readonly partners: readonly string[];
  readonly maxFrameBytes: number;
  readonly maxFramesOfMessage: number;
}

/** Frames of a message beyond what tensors beside a step's outputs could ever need. */
const withTensors = { maxFrameBytes, maxFramesOfMessage: 65_536 };
/** Far beyond the events of one step; a message of events has three frames, and as an answer four. */
const withEvents = { maxFrameBytes: 64 * 1024 * 1024, maxFramesOfMessage: 8 };

const rules: Readonly<Record<SocketType, TypeRules>> = {
  ROUTER: { partners: ["DEALER"], ...withTensors },
  PULL: { partners: ["PUSH"], ...withTensors },
  SUB: { partners: ["PUB", "XPUB"], ...withEvents },
  DEALER: { partners: ["ROUTER"], ...withEvents },
};

/** What a session tells, and where its bytes go. */
export interface SessionEvents {
  write(bytes: Uint8Array): void;
  /** The peer may send and be sent to. Its identity is empty unless it gave one. */
  onReady(identity: Uint8Array): void;
  onMessage(frames: readonly Uint8Array[]): void;
}

const greetingBytes = 64;
/** Properties of a peer are a type and an identity; a stranger is not to make us hold more. */
const maxHandshakeBytes = 4_096;
/** ZMTP 3.0's greeting: signature, version, the mechanism NULL, "as-server" and filler (rfc.zeromq.org/spec/23). */
const greeting = Buffer.alloc(greetingBytes);
greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);
greeting.write("NULL", 12, "latin1");

/**
 * One peer's connection to a socket of ours, in ZMTP 3.0 with the mechanism NULL, without the socket itself: bytes in,
 * bytes and events out. {@link ZmtpSession.receive} throws a bad frame when the peer speaks something else; the
 * connection is then to be closed.
 */
export class ZmtpSession {
  readonly #type: SocketType;
  readonly #rules: TypeRules;
  readonly #events: SessionEvents;
  readonly #frames = new ZmtpFrameReader();
  #state: "greeting" | "handshake" | "traffic" = "greeting";
  #greeting: Buffer = Buffer.alloc(0);
  #message: Uint8Array[] = [];

  constructor(type: SocketType, events: SessionEvents) {
    this.#type = type;
    this.#rules = rules[type];
    this.#events = events;
    this.#frames.maxBodyBytes = maxHandshakeBytes;
    events.write(greeting);
  }

  receive(chunk: Buffer): void {
    if (this.#state !== "greeting") {
      this.#frames.read(chunk, this.#onFrame);
      return;
    }
    this.#greeting = Buffer.concat([this.#greeting, chunk]);
    checkGreeting(this.#greeting);
    if (this.#greeting.length < greetingBytes) return;
    this.#state = "handshake";
    this.#events.write(encodeCommand("READY", encodeProperties({ "Socket-Type": this.#type, Identity: "" })));
    const rest = this.#greeting.subarray(greetingBytes);
    this.#greeting = Buffer.alloc(0);
    if (rest.length > 0) this.#frames.read(rest, this.#onFrame);
  }

  readonly #onFrame = (frame: ZmtpFrame): void => {
    if (frame.isCommand) this.#command(frame.body);
    else if (this.#state !== "traffic") throw badFrame("a ZMTP peer sent a message before its handshake");
    else if (frame.hasMore) this.#collect(frame.body);
    else if (this.#message.length === 0) this.#events.onMessage([frame.body]);
    else {
      const message = this.#message;
      this.#message = [];
      message.push(frame.body);
      this.#events.onMessage(message);
    }
  };

  #collect(body: Uint8Array): void {
    const { maxFramesOfMessage } = this.#rules;
    if (this.#message.length >= maxFramesOfMessage) {
      throw badFrame(`a ZMTP message has more than ${maxFramesOfMessage} frames`);
    }
    this.#message.push(body);
  }

  #command(body: Uint8Array): void {
    const nameBytes = body[0] ?? 0;
    const name = Buffer.from(body.subarray(1, 1 + nameBytes)).toString("latin1");
    const data = body.subarray(1 + nameBytes);
    switch (name) {
      case "READY":
        this.#ready(data);
        return;
      // ZMTP 3.1's heartbeat: a time to live of two bytes, and a context that comes back.
      case "PING":
        this.#events.write(encodeCommand("PONG", data.subarray(2)));
        return;
      case "ERROR":
        throw badFrame(`a ZMTP peer refused the connection: ${Buffer.from(data.subarray(1)).toString("latin1")}`);
      default:
        // Commands that are not known are passed over (ZMTP 3.0, "Commands").
        return;
    }
  }

  #ready(data: Uint8Array): void {
    if (this.#state === "traffic") throw badFrame("a ZMTP peer said READY twice");
    const properties = decodeProperties(data);
    const type = properties.get("socket-type")?.toString("latin1");
    const { partners, maxFrameBytes } = this.#rules;
    if (type === undefined || !partners.includes(type)) {
      throw badFrame(`a ${type ?? "nameless"} socket came to a ${this.#type}, which takes a ${partners[0]}`);
    }
    this.#state = "traffic";
    this.#frames.maxBodyBytes = maxFrameBytes;
    this.#events.onReady(Uint8Array.from(properties.get("identity") ?? []));
  }
}

/** Looks at as much of a greeting as has come, so that a stranger is told apart by its first bytes. */
function checkGreeting(bytes: Buffer): void {
  const [first, last, major] = [bytes[0], bytes[9], bytes[10]];
  if (first !== 0xff || (last !== undefined && last !== 0x7f)) throw badFrame("a peer does not speak ZMTP");
  if (major !== undefined && major < 3) throw badFrame(`a peer speaks ZMTP ${major}; it must be 3 or newer`);
  if (bytes.length < 32) return;
  const mechanism = bytes.toString("latin1", 12, 32).replace(/\0+$/, "");
  if (mechanism !== "NULL") throw badFrame(`a peer wants the ZMTP mechanism ${mechanism}; only NULL is spoken`);
}

function encodeProperties(properties: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(properties).flatMap(([name, value]) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return [Buffer.from([name.length]), Buffer.from(name, "latin1"), length, Buffer.from(value, "latin1")];
    }),
  );
}

/** Names are compared without regard to case, so they come in small letters. */
function decodeProperties(data: Uint8Array): ReadonlyMap<string, Buffer> {
  const bytes = Buffer.from(data);
  const properties = new Map<string, Buffer>();
  let at = 0;
  while (at < bytes.length) {
    const nameEnd = at + 1 + (bytes[at] ?? 0);
    if (nameEnd + 4 > bytes.length) throw badFrame("the properties of a ZMTP peer are cut short");
    const valueEnd = nameEnd + 4 + bytes.readUInt32BE(nameEnd);
    if (valueEnd > bytes.length) throw badFrame("the properties of a ZMTP peer are cut short");
    properties.set(bytes.toString("latin1", at + 1, nameEnd).toLowerCase(), bytes.subarray(nameEnd + 4, valueEnd));
    at = valueEnd;
  }
  return properties;
}
