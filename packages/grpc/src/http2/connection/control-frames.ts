import { ErrorCode, type ErrorName } from "../error-code.ts";
import { goAwayFrameBytes, writeGoAway } from "../frame/goaway.ts";
import { pingFrameBytes, writePing } from "../frame/ping.ts";
import { settingsFrameBytes, writeSettings, writeSettingsAck } from "../frame/settings.ts";
import { windowUpdateBytes, writeWindowUpdate } from "../frame/window-update.ts";
import type { Sender } from "./sender.ts";

const maxDebugBytes = 200;
/** Contents of our pings, which say what each one was sent for. */
export const keepalivePing: Buffer = Buffer.from("alive?\0\0", "latin1");
export const bandwidthPing: Buffer = Buffer.from("howfast?", "latin1");
export const goAwayPing: Buffer = Buffer.from("leaving!", "latin1");

/** The frames of a connection that belong to no answer. */
export class ControlFrames {
  readonly #sender: Sender;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  settings(settings: readonly (readonly [number, number])[]): void {
    const output = this.#sender.reserve(settingsFrameBytes(settings.length));
    output.at = writeSettings(output.chunk, output.at, settings);
  }

  settingsAck(): void {
    const output = this.#sender.reserve(settingsFrameBytes(0));
    output.at = writeSettingsAck(output.chunk, output.at);
  }

  windowUpdate(streamId: number, increment: number): void {
    const output = this.#sender.reserve(windowUpdateBytes);
    output.at = writeWindowUpdate(output.chunk, output.at, streamId, increment);
  }

  ping(payload: Uint8Array, ack = false): void {
    const output = this.#sender.reserve(pingFrameBytes);
    output.at = writePing(output.chunk, output.at, payload, ack);
  }

  goAway(lastStreamId: number, code: ErrorName, reason: string): void {
    const debug = Buffer.from(reason, "utf8").subarray(0, maxDebugBytes);
    const output = this.#sender.reserve(goAwayFrameBytes(debug.length));
    output.at = writeGoAway(output.chunk, output.at, { lastStreamId, errorCode: ErrorCode[code] }, debug);
  }
}
