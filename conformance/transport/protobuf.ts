/** A message's fields as they stand on the wire: by number, in order. Varints are bigint, everything else bytes. */
export type Fields = ReadonlyMap<number, readonly (bigint | Uint8Array)[]>;

/** Reads any protobuf message without its schema. Throws for bytes that are none. */
export function readFields(bytes: Uint8Array): Fields {
  const fields = new Map<number, (bigint | Uint8Array)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) break;
      at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new Error("the message ends within a varint");
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error("the message ends within a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const values = fields.get(tag >>> 3) ?? [];
    fields.set(tag >>> 3, values);
    switch (tag & 7) {
      case 0:
        values.push(varint());
        break;
      case 1:
        values.push(take(8));
        break;
      case 2:
        values.push(take(Number(varint())));
        break;
      case 5:
        values.push(take(4));
        break;
      default:
        throw new Error(`wire type ${tag & 7} is none`);
    }
  }
  return fields;
}

/** All messages, strings or bytes of a repeated field. */
export function bytesOf(fields: Fields, number: number): Uint8Array[] {
  return (fields.get(number) ?? []).filter((value) => value instanceof Uint8Array);
}

export function stringsOf(fields: Fields, number: number): string[] {
  return bytesOf(fields, number).map((bytes) => Buffer.from(bytes).toString("utf8"));
}

/** A number or boolean; 0 when it is not there. */
export function numberOf(fields: Fields, number: number): number {
  const value = fields.get(number)?.at(-1);
  return typeof value === "bigint" ? Number(BigInt.asIntN(64, value)) : 0;
}

/** A message field, or undefined when it is not there. */
export function messageOf(fields: Fields, number: number): Fields | undefined {
  const bytes = bytesOf(fields, number).at(-1);
  return bytes === undefined ? undefined : readFields(bytes);
}

/** A field with a varint. */
export function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varintBytes(number << 3), varintBytes(value)]);
}

/** A field with bytes, a string or a message that is written already. */
export function bytesField(number: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varintBytes((number << 3) | 2), varintBytes(bytes.length), bytes]);
}

function varintBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
