/** Protobuf's wire format by hand (protobuf.dev/programming-guides/encoding), so that wrong messages can be written too. */

export type Field = {
  readonly number: number;
} & ({ readonly bytes: Buffer } | { readonly value: number });

/** The lowest 64 bits of the value, as a varint. */
export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export function int(field: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

export function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), bytes]);
}

/** A text, a nested message, or packed numbers. */
export function bytes(field: number, content: string | Uint8Array): Buffer {
  const body = Buffer.from(content);
  return Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);
}

export function packed(field: number, values: readonly number[]): Buffer {
  return bytes(field, Buffer.concat(values.map(varint)));
}

/** The same bytes over and over, up to this length. */
export function flood(unit: readonly number[], length: number): Buffer {
  return Buffer.alloc(length - (length % unit.length), Buffer.from(unit));
}

/** Every field of a message, in its order. */
export function fieldsOf(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = next();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) {
      found.push({ number, value: next() });
    } else if (type === 2) {
      const length = next();
      found.push({ number, bytes: message.subarray(at, at + length) });
      at += length;
    } else {
      at += type === 1 ? 8 : 4;
    }
  }
  return found;
}

/** The last value of a varint field; 0 when it is not there. */
export function intOf(message: Buffer, field: number): number {
  const last = fieldsOf(message).findLast((each) => each.number === field);
  return last !== undefined && "value" in last ? last.value : 0;
}

/** The content of each length-delimited field of this number. */
export function bytesOf(message: Buffer, field: number): Buffer[] {
  return fieldsOf(message).flatMap((each) => (each.number === field && "bytes" in each ? [each.bytes] : []));
}

export function unpacked(content: Buffer): number[] {
  const values: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of content) {
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte >= 128) continue;
    values.push(value);
    value = 0;
    scale = 1;
  }
  return values;
}
