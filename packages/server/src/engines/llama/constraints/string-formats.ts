import type { GbnfNode } from "./gbnf.ts";
import { parseRegex } from "./regex-parse.ts";

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const HOST = `${LABEL}(?:\\.${LABEL})*`;
const IPV4_PART = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4 = `(?:${IPV4_PART}\\.){3}${IPV4_PART}`;
const H16 = "[0-9A-Fa-f]{1,4}";
const LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DATE =
  "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)" +
  `|02-(?:0[1-9]|1[0-9]|2[0-8]))|${LEAP_YEAR}-02-29)`;
const HOUR_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
const TIME = `${HOUR_MINUTE}:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-]${HOUR_MINUTE})`;
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const PATH_CHAR = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";

/**
 * The formats of JSON Schema that are enforced, as regular expressions. Each matches a part of what the format allows, and
 * nothing else: no leap seconds, upper case "T" and "Z", no quoted local parts, no address literals, URIs with an authority.
 */
const FORMATS: Readonly<Record<string, string>> = {
  // RFC 3339
  date: DATE,
  time: TIME,
  "date-time": `${DATE}T${TIME}`,
  // RFC 3339, appendix A
  duration:
    "P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)" +
    "(?:T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))?" +
    "|T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))",
  // RFC 9562
  uuid: "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
  // RFC 2673, section 3.2
  ipv4: IPV4,
  // RFC 4291, section 2.2, without an embedded IPv4 address
  ipv6:
    `(?:${H16}:){7}${H16}|(?:${H16}:){1,7}:|(?:${H16}:){1,6}:${H16}|(?:${H16}:){1,5}(?::${H16}){1,2}` +
    `|(?:${H16}:){1,4}(?::${H16}){1,3}|(?:${H16}:){1,3}(?::${H16}){1,4}|(?:${H16}:){1,2}(?::${H16}){1,5}` +
    `|${H16}:(?::${H16}){1,6}|:(?:(?::${H16}){1,7}|:)`,
  // RFC 1123
  hostname: HOST,
  // RFC 5321
  email: `${ATOM}(?:\\.${ATOM})*@${HOST}`,
  // RFC 3986
  uri:
    `[A-Za-z][A-Za-z0-9+.-]*://${HOST}(?::[0-9]{1,5})?(?:/${PATH_CHAR}*)*` +
    `(?:\\?(?:${PATH_CHAR}|[/?])*)?(?:#(?:${PATH_CHAR}|[/?])*)?`,
};

/** The texts of a format, or undefined for a format that is not enforced (then it is an annotation, as the standard allows). */
export function formatNode(format: string): GbnfNode | undefined {
  const source = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  return source === undefined ? undefined : parseRegex(source);
}
