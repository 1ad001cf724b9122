/** How a gRPC call went, as the transport tells it. */
export interface EndedCall {
  /** A gRPC status code, 0 to 16. */
  readonly code: number;
  readonly durationMs: number;
  readonly requestMessages: number;
  readonly responseMessages: number;
}

type CallKind = "unary" | "client-streaming" | "server-streaming" | "server-push" | "bidi-streaming";

/** Of one method. */
interface Counts {
  readonly labels: string;
  started: number;
  received: number;
  sent: number;
  /** By status code. */
  readonly handled: number[];
  /** By the index in {@link bucketSeconds}, the last for what took longer. */
  readonly buckets: number[];
  seconds: number;
  readonly ended: (call: EndedCall) => void;
}

/** Status codes by number, as grpc-go names them and with it the metrics of most servers. */
const codeNames = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];
const kindNames: Readonly<Record<CallKind, string>> = {
  unary: "unary",
  "client-streaming": "client_stream",
  "server-streaming": "server_stream",
  "server-push": "server_stream",
  "bidi-streaming": "bidi_stream",
};
/** Prometheus' own buckets, one below them for health checks, and three above for long answers. */
const bucketSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/**
 * Counts gRPC calls under the names and labels of grpc-ecosystem's go-grpc-middleware (providers/prometheus), so that
 * dashboards made for those fit:
 *
 * | metric | type | labels beside grpc_type, grpc_service, grpc_method |
 * | --- | --- | --- |
 * | grpc_server_started_total | counter | |
 * | grpc_server_handled_total | counter | grpc_code |
 * | grpc_server_handling_seconds | histogram | |
 * | grpc_server_msg_received_total, grpc_server_msg_sent_total | counter | |
 *
 * Everything but the first is counted when a call ends. It keeps plain numbers: a label lookup for each call would cost
 * as much as a health check.
 */
export class CallMetrics {
  readonly #methods = new Map<string, Counts>();

  /** A call of a method (`/package.Service/Method`) has begun; what is answered is told its end. Only known methods. */
  callBegan(call: { readonly path: string }, method: { readonly kind: CallKind }): (call: EndedCall) => void {
    let counts = this.#methods.get(call.path);
    if (counts === undefined) {
      counts = newCounts(call.path, method.kind);
      this.#methods.set(call.path, counts);
    }
    counts.started += 1;
    return counts.ended;
  }

  /** All of it in Prometheus' text format. */
  text(): string {
    const methods = [...this.#methods.values()].sort((a, b) => (a.labels < b.labels ? -1 : 1));
    return [
      ...family("grpc_server_started_total", "counter", "Calls that have begun.", methods, (name, counts) => [
        `${name}{${counts.labels}} ${counts.started}`,
      ]),
      ...family("grpc_server_handled_total", "counter", "Calls that have ended, by status.", methods, handledLines),
      ...family("grpc_server_msg_received_total", "counter", "Messages of ended calls.", methods, (name, counts) => [
        `${name}{${counts.labels}} ${counts.received}`,
      ]),
      ...family("grpc_server_msg_sent_total", "counter", "Messages of ended calls.", methods, (name, counts) => [
        `${name}{${counts.labels}} ${counts.sent}`,
      ]),
      ...family("grpc_server_handling_seconds", "histogram", "From a call to its status.", methods, histogramLines),
      "",
    ].join("\n");
  }
}

function newCounts(path: string, kind: CallKind): Counts {
  const [, service = "", method = ""] = path.split("/");
  const counts: Counts = {
    labels: `grpc_type="${kindNames[kind]}",grpc_service="${service}",grpc_method="${method}"`,
    started: 0,
    received: 0,
    sent: 0,
    handled: codeNames.map(() => 0),
    buckets: [...bucketSeconds, 0].map(() => 0),
    seconds: 0,
    ended: ({ code, durationMs, requestMessages, responseMessages }) => {
      const seconds = durationMs / 1000;
      const bucket = bucketSeconds.findIndex((bound) => seconds <= bound);
      add(counts.buckets, bucket < 0 ? bucketSeconds.length : bucket);
      add(counts.handled, code);
      counts.seconds += seconds;
      counts.received += requestMessages;
      counts.sent += responseMessages;
    },
  };
  return counts;
}

function add(counts: number[], at: number): void {
  counts[at] = (counts[at] ?? 0) + 1;
}

function family(
  name: string,
  type: "counter" | "histogram",
  help: string,
  methods: readonly Counts[],
  linesOf: (name: string, counts: Counts) => readonly string[],
): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...methods.flatMap((counts) => linesOf(name, counts))];
}

function handledLines(name: string, counts: Counts): string[] {
  return counts.handled.flatMap((count, code) =>
    count === 0 ? [] : [`${name}{${counts.labels},grpc_code="${codeNames[code] ?? code}"} ${count}`],
  );
}

function histogramLines(name: string, { labels, buckets, seconds }: Counts): string[] {
  let below = 0;
  const lines = buckets.map((count, at) => {
    below += count;
    return `${name}_bucket{${labels},le="${bucketSeconds[at] ?? "+Inf"}"} ${below}`;
  });
  return [...lines, `${name}_sum{${labels}} ${seconds}`, `${name}_count{${labels}} ${below}`];
}
