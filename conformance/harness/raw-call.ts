import { connect } from "node:http2";

interface Answer {
  /** `grpc-status`; undefined when none came within a second. */
  readonly status: number | undefined;
  /** The response message's bytes, if there was one. */
  readonly message: Buffer | undefined;
}

/**
 * Makes one unary call over plain HTTP/2, in a second at the most. It shares no code with the server, so that a shared
 * mistake cannot hide.
 */
function exchange(target: string, path: string, message: Buffer): Promise<Answer> {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);

  return new Promise((resolve) => {
    const session = connect(`http://${target}`);
    const body: Buffer[] = [];
    let status: number | undefined;
    const finish = (complete: boolean) => {
      clearTimeout(limit);
      session.destroy();
      const bytes = complete && body.length > 0 ? Buffer.concat(body).subarray(prefix.length) : undefined;
      resolve({ status: complete ? status : undefined, message: bytes });
    };
    const limit = setTimeout(() => finish(false), 1000);
    const note = (headers: { readonly "grpc-status"?: string | string[] | undefined }) => {
      if (headers["grpc-status"] !== undefined) status = Number(headers["grpc-status"]);
    };
    session.on("error", () => finish(false));
    session.on("connect", () => {
      const call = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      call.on("error", () => finish(false));
      call.on("response", note);
      call.on("trailers", note);
      call.on("data", (chunk: Buffer) => body.push(chunk));
      call.on("end", () => finish(true));
      call.end(Buffer.concat([prefix, message]));
    });
  });
}

/** Makes one unary call and answers the response message's bytes, or undefined when there was none within a second. */
export async function rawCall(target: string, path: string, message: Buffer): Promise<Buffer | undefined> {
  return (await exchange(target, path, message)).message;
}

/** The status of a unary call with an empty message, or undefined when none came within a second. */
export async function callStatus(target: string, path: string): Promise<number | undefined> {
  return (await exchange(target, path, Buffer.alloc(0))).status;
}

/** Asks grpc.health.v1.Health/Check; answers the serving status, or undefined when no message came. */
export async function checkHealth(target: string, service: string): Promise<number | undefined> {
  const name = Buffer.from(service);
  // HealthCheckRequest.service is field 1, length-delimited; HealthCheckResponse.status is field 1, a varint.
  const request = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const answer = await rawCall(target, "/grpc.health.v1.Health/Check", request);
  return answer === undefined ? undefined : (fieldsOf(answer).get(1) ?? 0);
}

/** Asks GetLoads; answers how many requests run or wait in the first scheduler, or undefined when no message came. */
export async function requestsInFlight(target: string): Promise<number | undefined> {
  const answer = await rawCall(target, "/vllm.grpc.engine.VllmEngine/GetLoads", Buffer.alloc(0));
  if (answer === undefined) return undefined;
  let load = Buffer.alloc(0);
  fieldsOf(answer, (field, bytes) => {
    // GetLoadsResponse.loads is field 4.
    if (field === 4 && load.length === 0) load = Buffer.from(bytes);
  });
  // SchedulerLoad: 2 num_running_reqs, 3 num_waiting_reqs.
  const counts = fieldsOf(load);
  return (counts.get(2) ?? 0) + (counts.get(3) ?? 0);
}

/** The varint fields of a message by number; length-delimited ones go to `onBytes`. */
function fieldsOf(message: Buffer, onBytes?: (field: number, bytes: Buffer) => void): Map<number, number> {
  const found = new Map<number, number>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (tag % 8 === 0) found.set(field, varint());
    else if (tag % 8 === 1) at += 8;
    else if (tag % 8 === 5) at += 4;
    else {
      const length = varint();
      onBytes?.(field, message.subarray(at, at + length));
      at += length;
    }
  }
  return found;
}

/** The token ids of a GenerateRequest's tokenized prompt. */
export function promptIdsOf(request: Buffer): number[] {
  const ids: number[] = [];
  // GenerateRequest.tokenized is field 2; TokenizedInput.input_ids is field 2, packed.
  fieldsOf(request, (field, tokenized) => {
    if (field !== 2) return;
    fieldsOf(tokenized, (inner, packed) => {
      if (inner !== 2) return;
      let value = 0;
      let scale = 1;
      for (const byte of packed) {
        value += (byte & 0x7f) * scale;
        scale *= 128;
        if (byte >= 0x80) continue;
        ids.push(value);
        value = 0;
        scale = 1;
      }
    });
  });
  return ids;
}
