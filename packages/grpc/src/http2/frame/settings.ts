import { Http2Error } from "../http2-error.ts";
import {
  FrameFlag,
  FrameType,
  frameHeaderBytes,
  maxInt31,
  readUint16,
  readUint32,
  writeFrameHeader,
  writeUint16,
  writeUint32,
} from "./frame-header.ts";

/** Names of settings (RFC 9113 section 6.5.2). */
export const SettingId = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** What a SETTINGS frame says. When a setting stands there several times, the last one counts. */
export interface PeerSettings {
  /** Lowest and last value named: an encoder has to go through the lowest (RFC 7541 section 4.2). */
  headerTableBytes?: { readonly lowest: number; readonly last: number };
  initialWindowBytes?: number;
  maxFrameBytes?: number;
  maxHeaderListBytes?: number;
}

/** Reads a SETTINGS frame without ACK. Unknown settings are passed over; a value out of its range throws. */
export function readSettings(bytes: Uint8Array, start: number, end: number): PeerSettings {
  if ((end - start) % 6 !== 0) throw new Http2Error("FRAME_SIZE_ERROR", "SETTINGS is not a multiple of 6 bytes");
  const settings: PeerSettings = {};
  for (let at = start; at < end; at += 6) readSetting(settings, readUint16(bytes, at), readUint32(bytes, at + 2));
  return settings;
}

function readSetting(settings: PeerSettings, id: number, value: number): void {
  switch (id) {
    case SettingId.HEADER_TABLE_SIZE: {
      const lowest = Math.min(value, settings.headerTableBytes?.lowest ?? value);
      settings.headerTableBytes = { lowest, last: value };
      break;
    }
    case SettingId.ENABLE_PUSH:
      if (value > 1) throw new Http2Error("PROTOCOL_ERROR", `ENABLE_PUSH is ${value} and not 0 or 1`);
      break;
    case SettingId.INITIAL_WINDOW_SIZE:
      if (value > maxInt31) throw new Http2Error("FLOW_CONTROL_ERROR", `INITIAL_WINDOW_SIZE is ${value}, over 2^31-1`);
      settings.initialWindowBytes = value;
      break;
    case SettingId.MAX_FRAME_SIZE:
      if (value < 16_384 || value > 16_777_215) {
        throw new Http2Error("PROTOCOL_ERROR", `MAX_FRAME_SIZE is ${value} and not in 16384..16777215`);
      }
      settings.maxFrameBytes = value;
      break;
    case SettingId.MAX_HEADER_LIST_SIZE:
      settings.maxHeaderListBytes = value;
      break;
  }
}

/** Length of a whole SETTINGS frame with so many settings. */
export function settingsFrameBytes(count: number): number {
  return frameHeaderBytes + 6 * count;
}

/** Writes a SETTINGS frame of `[id, value]` pairs. */
export function writeSettings(out: Uint8Array, at: number, settings: readonly (readonly [number, number])[]): number {
  let end = writeFrameHeader(out, at, settings.length * 6, FrameType.SETTINGS, 0, 0);
  for (const [id, value] of settings) end = writeUint32(out, writeUint16(out, end, id), value);
  return end;
}

/** Writes the answer to the peer's SETTINGS. */
export function writeSettingsAck(out: Uint8Array, at: number): number {
  return writeFrameHeader(out, at, 0, FrameType.SETTINGS, FrameFlag.ACK, 0);
}
