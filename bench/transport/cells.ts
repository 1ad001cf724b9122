/** One column of the comparison: what the client asks for. */
export interface Cell {
  readonly name: string;
  readonly title: string;
  /** What one operation is. */
  readonly operation: "Check" | "message";
  /** Flags of the load client (go/load-client/main.go). */
  readonly flags: readonly string[];
  readonly tls: boolean;
  /** A second client that measures Check's latency while the load runs. */
  readonly probed?: true;
}

function cell(name: string, title: string, operation: Cell["operation"], flags: string, tls = false): Cell {
  return { name, title, operation, flags: flags.split(" "), tls };
}

const streams = "-connections=4 -streams=64 -messages=1000000 -warm=1s";
const paced = `${streams} -interval-ms=10`;
const stepped = `${streams} -step-ms=10`;

export const cells: readonly Cell[] = [
  cell("m1", "Check, 4 connections × 1", "Check", "-connections=4 -streams=1"),
  cell("m10", "Check, 4 × 10", "Check", "-connections=4 -streams=10"),
  cell("m100", "Check, 4 × 100", "Check", "-connections=4 -streams=100"),
  cell("go4", "Check by grpc-go, 4 callers", "Check", "-mode=grpc -connections=4 -streams=1"),
  cell("go100", "Check by grpc-go, 100 callers", "Check", "-mode=grpc -connections=4 -streams=25"),
  cell("s1", "1 stream, unpaced", "message", "-connections=1 -streams=1 -messages=1000"),
  cell("s64", "4 × 16 streams, unpaced", "message", "-connections=4 -streams=16 -messages=1000"),
  cell("p256", "4 × 64 streams, one message per 10 ms", "message", paced),
  cell("e256", "4 × 64 streams, one message per step of 10 ms", "message", stepped),
  { ...cell("probe", "Check beside 4 × 64 paced streams", "Check", paced), probed: true },
  { ...cell("eprobe", "Check beside 4 × 64 streams paced by step", "Check", stepped), probed: true },
  cell("m10-tls", "Check, 4 × 10, TLS", "Check", "-connections=4 -streams=10", true),
  cell("p256-tls", "4 × 64 paced streams, TLS", "message", paced, true),
];
