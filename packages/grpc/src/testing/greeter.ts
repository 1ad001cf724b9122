/**
 * The messages of the README's example, in the shape that ts-proto gives them:
 *
 * ```proto
 * message GreetRequest { string name = 1; uint32 times = 2; }
 * message GreetReply { string text = 1; }
 * ```
 */
export interface GreetRequest {
  readonly name: string;
  readonly times: number;
}
export interface GreetReply {
  readonly text: string;
}

export const GreetRequest = {
  decode(bytes: Uint8Array): GreetRequest {
    let name = "";
    let times = 0;
    // Every length and number of the example is below 128, so each is one byte.
    for (let at = 0; at < bytes.length; at += 2) {
      const value = bytes[at + 1] ?? 0;
      if (bytes[at] === 0x10) times = value;
      else if (bytes[at] === 0x0a) {
        name = new TextDecoder().decode(bytes.subarray(at + 2, at + 2 + value));
        at += value;
      } else throw new Error(`a field begins with ${bytes[at]}`);
    }
    return { name, times };
  },
  encode: ({ name, times }: GreetRequest): { finish(): Uint8Array } => ({
    finish: () => Buffer.from([0x0a, Buffer.byteLength(name), ...Buffer.from(name), 0x10, times]),
  }),
};

export const GreetReply = {
  decode: (bytes: Uint8Array): GreetReply => ({ text: new TextDecoder().decode(bytes.subarray(2)) }),
  encode: ({ text }: GreetReply): { finish(): Uint8Array } => ({
    finish: () => Buffer.from([0x0a, Buffer.byteLength(text), ...Buffer.from(text)]),
  }),
};
