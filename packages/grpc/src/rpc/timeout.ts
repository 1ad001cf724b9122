const maxDigits = 8;

/**
 * Milliseconds of a `grpc-timeout` value (grpc/grpc, doc/PROTOCOL-HTTP2.md): at most eight digits and a unit.
 * Undefined for anything else.
 */
export function parseTimeoutMs(value: string): number | undefined {
  const digits = value.length - 1;
  if (digits < 1 || digits > maxDigits) return undefined;
  const perUnit = unitMs(value.charCodeAt(digits));
  if (perUnit === undefined) return undefined;
  let amount = 0;
  // A loop and no pattern, because most calls have one (bench/transport, go100).
  for (let at = 0; at < digits; at += 1) {
    const digit = value.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    amount = amount * 10 + digit;
  }
  return amount * perUnit;
}

function unitMs(unit: number): number | undefined {
  switch (unit) {
    case 0x48: // H
      return 3_600_000;
    case 0x4d: // M
      return 60_000;
    case 0x53: // S
      return 1000;
    case 0x6d: // m
      return 1;
    case 0x75: // u
      return 1e-3;
    case 0x6e: // n
      return 1e-6;
    default:
      return undefined;
  }
}
