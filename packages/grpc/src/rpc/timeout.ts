const timeoutValue = /^(\d{1,8})([HMSmun])$/;
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Milliseconds of a `grpc-timeout` value (grpc/grpc, doc/PROTOCOL-HTTP2.md): at most eight digits and a unit.
 * Undefined for anything else.
 */
export function parseTimeoutMs(value: string): number | undefined {
  const match = timeoutValue.exec(value);
  if (match === null) return undefined;
  return Number(match[1]) * (unitMs[match[2] as string] as number);
}
