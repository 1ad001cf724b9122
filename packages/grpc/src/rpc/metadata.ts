import type { MetadataRecord, MetadataValue } from "./status.ts";

/** Request metadata as a handler reads it. Keys are lower case; `-bin` values are base64 until asked for as bytes. */
export interface RequestMetadata extends Iterable<readonly [key: string, value: string]> {
  /** The first value of a key, as it was sent. */
  get(key: string): string | undefined;
  /** All values of a key in their order; values that a client joined with commas under a `-bin` key are taken apart. */
  getAll(key: string): readonly string[];
  /** All values of a `-bin` key as bytes. Padded and unpadded base64 are the same here. */
  getBinary(key: string): readonly Uint8Array[];
}

/** Reads metadata in a field list of names and values by turns, where it lies. */
export class FieldMetadata implements RequestMetadata {
  readonly #fields: readonly string[];

  constructor(fields: readonly string[]) {
    this.#fields = fields;
  }

  get(key: string): string | undefined {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === key) return fields[i + 1];
    return undefined;
  }

  getAll(key: string): readonly string[] {
    const values: string[] = [];
    for (const [name, value] of this) {
      if (name !== key) continue;
      if (key.endsWith("-bin")) values.push(...value.split(",").map((part) => part.trim()));
      else values.push(value);
    }
    return values;
  }

  getBinary(key: string): readonly Uint8Array[] {
    return this.getAll(key).map((value) => Buffer.from(value, "base64"));
  }

  *[Symbol.iterator](): IterableIterator<readonly [key: string, value: string]> {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) yield [fields[i] as string, fields[i + 1] as string];
  }
}

const metadataKey = /^[0-9a-z_.-]+$/;
/** Names that the server writes itself, and those that HTTP/2 forbids (RFC 9113 section 8.2.2). */
const reservedKeys: ReadonlySet<string> = new Set([
  "grpc-status",
  "grpc-message",
  "grpc-encoding",
  "grpc-accept-encoding",
  "content-type",
  "content-length",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);
const unsendable = /[^ -~]/g;

/**
 * Appends one key and its values to a field list. Characters that a field cannot carry become `?`, white space around
 * a value is dropped. Throws a TypeError for a key that is not lower-case ASCII or belongs to the server, for bytes
 * under a key without `-bin` and for a string under one with it.
 */
export function appendMetadata(fields: string[], key: string, value: MetadataValue | readonly MetadataValue[]): void {
  if (!metadataKey.test(key) || reservedKeys.has(key)) throw new TypeError(`"${key}" cannot be a key of metadata`);
  const values = typeof value === "string" || value instanceof Uint8Array ? [value] : value;
  for (const one of values) fields.push(key, key.endsWith("-bin") ? binaryValue(key, one) : textValue(key, one));
}

/** All keys of a record as a field list. */
export function metadataFields(record: MetadataRecord): string[] {
  const fields: string[] = [];
  for (const [key, value] of Object.entries(record)) appendMetadata(fields, key, value);
  return fields;
}

function binaryValue(key: string, value: MetadataValue): string {
  if (typeof value === "string") throw new TypeError(`"${key}" takes bytes and not a string`);
  // Unpadded, as the protocol asks senders to write it.
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64").replace(/=+$/, "");
}

function textValue(key: string, value: MetadataValue): string {
  if (typeof value !== "string") throw new TypeError(`"${key}" takes a string; bytes go under a key that ends in -bin`);
  return value.replace(unsendable, "?").trim();
}

/** Characters of a field list, each one byte. */
export function fieldBytes(fields: readonly string[]): number {
  let bytes = 0;
  for (let i = 0; i < fields.length; i += 1) bytes += (fields[i] as string).length;
  return bytes;
}
