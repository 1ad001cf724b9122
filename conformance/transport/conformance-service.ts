import { setTimeout as sleep } from "node:timers/promises";
import { type Call, GrpcStatusError, type Method, type Service, type StatusCode } from "@tokenwire/grpc";
import {
  bytesField,
  bytesOf,
  type Fields,
  messageOf,
  numberOf,
  readFields,
  stringsOf,
  varintField,
} from "./protobuf.ts";

const packageName = "connectrpc.conformance.v1";

/** A request as it came, because answers repeat requests byte by byte. */
interface Request {
  readonly type: string;
  readonly bytes: Uint8Array;
  readonly fields: Fields;
}

/** What a request asks the server to answer, from `UnaryResponseDefinition` or `StreamResponseDefinition`. */
interface Definition {
  readonly headers: readonly Uint8Array[];
  readonly data: readonly Uint8Array[];
  readonly error: Fields | undefined;
  readonly trailers: readonly Uint8Array[];
  readonly delayMs: number;
}

/**
 * connectrpc.conformance.v1.ConformanceService (connectrpc.com/conformance, proto/connectrpc/conformance/v1/service.proto
 * at v1.0.7), by the comments of that file: each request says what its answer is to be.
 */
export const conformanceService: Service = {
  name: `${packageName}.ConformanceService`,
  methods: [
    single("Unary", "UnaryRequest"),
    single("IdempotentUnary", "IdempotentUnaryRequest"),
    {
      kind: "unary",
      name: "Unimplemented",
      ...codec("UnimplementedRequest"),
      handler: () => {
        throw GrpcStatusError.of("UNIMPLEMENTED", "this method is never implemented");
      },
    },
    {
      kind: "client-streaming",
      name: "ClientStream",
      ...codec("ClientStreamRequest"),
      handler: async (call) => {
        const requests: Request[] = [];
        for await (const request of call.requests) requests.push(request as Request);
        return answerOnce(call, requests);
      },
    },
    {
      kind: "server-streaming",
      name: "ServerStream",
      ...codec("ServerStreamRequest"),
      handler: async (request, call) => {
        const definition = streamDefinition(request as Request);
        const answers = new Answers(call, definition);
        answers.begin();
        await answers.rest([request as Request], (bytes) => call.write(bytes));
      },
    },
    {
      kind: "bidi-streaming",
      name: "BidiStream",
      ...codec("BidiStreamRequest"),
      handler: async (call) => {
        let answers: Answers | undefined;
        let fullDuplex = false;
        let requests: Request[] = [];
        for await (const message of call.requests) {
          const request = message as Request;
          requests.push(request);
          if (answers === undefined) {
            answers = new Answers(call, streamDefinition(request));
            fullDuplex = numberOf(request.fields, 2) !== 0;
            answers.begin();
          }
          if (!fullDuplex) continue;
          if (answers.done) break;
          call.write(await answers.next(requests));
          requests = [];
        }
        await answers?.rest(requests, (bytes) => call.write(bytes));
      },
    },
  ],
};

function single(name: string, type: string): Method {
  return { kind: "unary", name, ...codec(type), handler: (request, call) => answerOnce(call, [request as Request]) };
}

function codec(type: string): Pick<Method, "decodeRequest" | "encodeResponse"> {
  return {
    decodeRequest: (bytes): Request => ({ type, bytes, fields: readFields(bytes) }),
    encodeResponse: (bytes) => bytes as Uint8Array,
  };
}

async function answerOnce(call: Call, requests: readonly Request[]): Promise<Uint8Array> {
  compressLikeTheRequest(call);
  const fields = requests[0] === undefined ? undefined : messageOf(requests[0].fields, 1);
  if (fields === undefined) return bytesField(1, bytesField(2, requestInfo(call, requests)));
  setMetadata(fields, 1, (key, values) => call.setHeader(key, values));
  setMetadata(fields, 4, (key, values) => call.setTrailer(key, values));
  await sleep(numberOf(fields, 6));
  const error = messageOf(fields, 3);
  if (error !== undefined) throw statusOf(error, requestInfo(call, requests));
  return payload(bytesOf(fields, 2).at(-1), requestInfo(call, requests));
}

/** The answers of a streaming method, one after the other. */
class Answers {
  readonly #call: Call;
  readonly #fields: Fields | undefined;
  readonly #definition: Definition;
  #sent = 0;

  constructor(call: Call, definition: { readonly fields: Fields | undefined; readonly definition: Definition }) {
    this.#call = call;
    this.#fields = definition.fields;
    this.#definition = definition.definition;
  }

  get done(): boolean {
    return this.#sent >= this.#definition.data.length;
  }

  begin(): void {
    compressLikeTheRequest(this.#call);
    if (this.#fields === undefined) return;
    setMetadata(this.#fields, 1, (key, values) => this.#call.setHeader(key, values));
    setMetadata(this.#fields, 5, (key, values) => this.#call.setTrailer(key, values));
    // An error without an answer before it is to come as trailers alone or not, both are well.
    this.#call.sendHeaders();
  }

  /** The next answer. The first one tells of the whole call, later ones only of the requests since. */
  async next(requests: readonly Request[], always = true): Promise<Uint8Array> {
    await sleep(this.#definition.delayMs);
    const data = this.#definition.data[this.#sent];
    this.#sent += 1;
    if (this.#sent === 1) return payload(data, requestInfo(this.#call, requests));
    return payload(data, always ? requestsInfo(requests) : undefined);
  }

  async rest(requests: readonly Request[], write: (bytes: Uint8Array) => void): Promise<void> {
    while (!this.done && !this.#call.signal.aborted) write(await this.next(requests, false));
    const { error } = this.#definition;
    if (error !== undefined) throw statusOf(error, this.#sent === 0 ? requestInfo(this.#call, requests) : undefined);
  }
}

function streamDefinition(request: Request): { fields: Fields | undefined; definition: Definition } {
  const fields = messageOf(request.fields, 1);
  const from: Fields = fields ?? new Map();
  return {
    fields,
    definition: {
      headers: bytesOf(from, 1),
      data: bytesOf(from, 2),
      error: messageOf(from, 4),
      trailers: bytesOf(from, 5),
      delayMs: numberOf(from, 3),
    },
  };
}

function compressLikeTheRequest(call: Call): void {
  if (call.metadata.get("grpc-encoding") === "gzip") call.compress();
}

/** Metadata out of repeated `Header {name, value…}` messages. */
function setMetadata(
  fields: Fields,
  number: number,
  set: (key: string, values: (string | Uint8Array)[]) => void,
): void {
  for (const bytes of bytesOf(fields, number)) {
    const header = readFields(bytes);
    const key = (stringsOf(header, 1)[0] ?? "").toLowerCase();
    const values = stringsOf(header, 2);
    set(key, key.endsWith("-bin") ? values.map((value) => Buffer.from(value, "base64")) : values);
  }
}

function payload(data: Uint8Array | undefined, info: Uint8Array | undefined): Buffer {
  const parts = [bytesField(1, data ?? new Uint8Array())];
  if (info !== undefined) parts.push(bytesField(2, info));
  return bytesField(1, Buffer.concat(parts));
}

function requestInfo(call: Call, requests: readonly Request[]): Buffer {
  const headers = [...new Map(call.metadata).keys()].map((key) =>
    bytesField(
      1,
      Buffer.concat([bytesField(1, key), ...call.metadata.getAll(key).map((value) => bytesField(2, value))]),
    ),
  );
  const timeout =
    call.deadlineMs === undefined ? [] : [varintField(2, Math.max(0, Math.round(call.deadlineMs - Date.now())))];
  return Buffer.concat([...headers, ...timeout, requestsInfo(requests)]);
}

function requestsInfo(requests: readonly Request[]): Buffer {
  return Buffer.concat(requests.map(({ type, bytes }) => bytesField(3, any(type, bytes))));
}

function any(type: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([bytesField(1, `type.googleapis.com/${packageName}.${type}`), bytesField(2, bytes)]);
}

/** The error that was asked for, with its details and, where given, the request's among them. */
function statusOf(error: Fields, info: Uint8Array | undefined): GrpcStatusError {
  const code = numberOf(error, 1) as StatusCode;
  const message = stringsOf(error, 2)[0] ?? "";
  const details = bytesOf(error, 3).map((detail) => bytesField(3, detail));
  if (info !== undefined) details.push(bytesField(3, any("ConformancePayload.RequestInfo", info)));
  // google.rpc.Status: code, message, details.
  const status = Buffer.concat([varintField(1, code), bytesField(2, message), ...details]);
  return new GrpcStatusError(code, message, { trailers: { "grpc-status-details-bin": status } });
}
