/** A request's field section, found well-formed. Strings have one character per byte. */
export interface RequestFields {
  readonly method: string;
  /** Empty for CONNECT alone. */
  readonly path: string;
  readonly scheme: string;
  readonly authority: string;
  /** Regular fields, names and values by turns, in the order sent. */
  readonly fields: readonly string[];
  /** -1 when the client did not say. */
  readonly contentLength: number;
  /**
   * For who takes the requests, to keep what it read out of these fields: requests with the same field block share this
   * object.
   */
  note: unknown;
}

/** Tokens in lower case (RFC 9110 section 5.6.2, RFC 9113 section 8.2.1). */
const fieldName = /^[a-z0-9!#$%&'*+\-.^_`|~]+$/;
/** Fields that belong to HTTP/1.1 connections (RFC 9113 section 8.2.2). */
const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
const contentLengthValue = /^\d{1,15}$/;

/** Names that were found good before; bounded, because clients choose them. */
const goodNames = new Set<string>();
const maxGoodNames = 512;

/**
 * Reads a request's fields; undefined when they are malformed (RFC 9113 section 8.1.1), which ends the stream. `good` is
 * a list that was found well-formed before: fields that stand in the same place there are not looked at again, because
 * a client's requests differ in few (bench/transport, go100).
 */
export function readRequestFields(list: readonly string[], good: readonly string[] = []): RequestFields | undefined {
  let method: string | undefined;
  let path: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let contentLength = -1;
  let regularFrom = 0;
  while (regularFrom < list.length) {
    const name = list[regularFrom] as string;
    if (name.charCodeAt(0) !== 0x3a) break;
    const value = list[regularFrom + 1] as string;
    if (value !== good[regularFrom + 1] && isBadValue(value)) return undefined;
    if (name === ":method" && method === undefined) method = value;
    else if (name === ":path" && path === undefined) path = value;
    else if (name === ":scheme" && scheme === undefined) scheme = value;
    else if (name === ":authority" && authority === undefined) authority = value;
    else return undefined;
    regularFrom += 2;
  }
  const fields = list.slice(regularFrom);
  let hosts = 0;
  for (let i = 0, from = regularFrom; i < fields.length; i += 2, from += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if ((name !== good[from] || value !== good[from + 1]) && !isRegularField(name, value)) return undefined;
    if (name === "content-length") {
      if (!contentLengthValue.test(value) || contentLength >= 0) return undefined;
      contentLength = Number(value);
    } else if (name === "host") {
      // One authority at most, and it is no metadata (grpc/proposal A41).
      hosts += 1;
      if (hosts > 1) return undefined;
      authority ??= value;
      fields.splice(i, 2);
      i -= 2;
    }
  }
  const isConnect = method === "CONNECT";
  const hasTarget = isConnect ? path === undefined && scheme === undefined : Boolean(path) && Boolean(scheme);
  if (method === undefined || method === "" || !hasTarget) return undefined;
  return {
    method,
    path: path ?? "",
    scheme: scheme ?? "",
    authority: authority ?? "",
    fields,
    contentLength,
    note: undefined,
  };
}

/** Whether a trailing field section is well-formed: no pseudo-fields, nothing of HTTP/1.1's. */
export function areTrailersWellFormed(list: readonly string[]): boolean {
  for (let i = 0; i < list.length; i += 2) {
    if (!isRegularField(list[i] as string, list[i + 1] as string)) return false;
  }
  return true;
}

function isRegularField(name: string, value: string): boolean {
  if (!goodNames.has(name)) {
    if (!fieldName.test(name) || connectionFields.has(name)) return false;
    if (goodNames.size < maxGoodNames) goodNames.add(name);
  }
  if (name === "te" && value !== "trailers") return false;
  return !isBadValue(value);
}

/** NUL, CR or LF inside, white space at an end (RFC 9113 section 8.2.1). A loop, because values are short and many. */
function isBadValue(value: string): boolean {
  const last = value.length - 1;
  if (last < 0) return false;
  for (let i = 0; i <= last; i += 1) {
    const code = value.charCodeAt(i);
    if (code === 0 || code === 0x0a || code === 0x0d) return true;
  }
  return isSpace(value.charCodeAt(0)) || isSpace(value.charCodeAt(last));
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
