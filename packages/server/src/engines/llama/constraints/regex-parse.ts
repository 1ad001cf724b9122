import { type CodePointSet, codePointAt, codePointSet, codePointsOf, complement, union } from "./code-points.ts";
import { ConstraintError } from "./constraint-error.ts";
import { alternatives, EMPTY, type GbnfNode, literal, oneOf, repeat, sequence } from "./gbnf.ts";
import { MAX_NESTING, MAX_REGEX_LENGTH, MAX_REPETITIONS } from "./limits.ts";

const DIGIT = codePointSet([[0x30, 0x39]]);
const WORD = union(
  DIGIT,
  codePointSet([
    [0x41, 0x5a],
    [0x5f, 0x5f],
    [0x61, 0x7a],
  ]),
);
const SPACE = union(
  codePointsOf("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"),
  codePointSet([[0x2000, 0x200a]]),
);
const NOT_LINE_END = complement(codePointsOf("\n\r\u2028\u2029"));

const CLASSES: Readonly<Record<string, CodePointSet>> = {
  d: DIGIT,
  D: complement(DIGIT),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v", a: "\x07" };
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** What a group says about anchors inside of it. */
interface Parsed {
  readonly node: GbnfNode;
  /** Where the first `^` or `$` stands in it. */
  readonly anchor: number | undefined;
  /** Where a `$` stands in it: nothing may follow. */
  readonly end: number | undefined;
}

/**
 * Reads a regular expression: the part that Python's re, Rust's regex and JavaScript have in common. `\d \w \s` and their
 * opposites are those of JavaScript (ASCII, except that `\s` has the Unicode spaces), `.` is all but line ends. Anchors are
 * taken where they change nothing (`^` and `\A` at a start, `$`, `\Z` and `\z` at an end) because the whole text must match.
 * Capturing and laziness have no meaning here and are read over.
 *
 * Throws `ConstraintError`, with the construct and its offset in UTF-16 units, for lookaround, backreferences, `\b`, inline
 * flags, atomic groups, possessive quantifiers, Unicode classes, and anchors elsewhere.
 */
export function parseRegex(source: string): GbnfNode {
  if (source.length > MAX_REGEX_LENGTH) {
    throw new ConstraintError(`is ${source.length} characters long, and at most ${MAX_REGEX_LENGTH} are allowed`);
  }
  if (!source.isWellFormed()) throw new ConstraintError("is not well-formed Unicode");
  return new RegexParser(source).parse();
}

class RegexParser {
  readonly #source: string;
  #position = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): GbnfNode {
    const { node } = this.#readAlternatives(true);
    if (this.#position < this.#source.length) this.#refuse('")" without "("');
    return node;
  }

  #readAlternatives(atStart: boolean): Parsed {
    const options: Parsed[] = [];
    do options.push(this.#readSequence(atStart));
    while (this.#take("|"));
    return {
      node: alternatives(options.map(({ node }) => node)),
      anchor: options.find(({ anchor }) => anchor !== undefined)?.anchor,
      end: options.find(({ end }) => end !== undefined)?.end,
    };
  }

  #readSequence(atStart: boolean): Parsed {
    const items: GbnfNode[] = [];
    let anchor: number | undefined;
    let end: number | undefined;
    let leading = atStart;
    while (this.#position < this.#source.length && !/[|)]/.test(this.#source[this.#position] ?? "")) {
      const start = this.#position;
      if (this.#take("^") || this.#take("\\A")) {
        if (!leading) this.#refuse("an anchor that is not at the start", start);
        anchor ??= start;
        this.#refuseQuantifier(start);
        continue;
      }
      if (this.#take("$") || this.#take("\\Z") || this.#take("\\z")) {
        anchor ??= start;
        end ??= start;
        this.#refuseQuantifier(start);
        continue;
      }
      if (end !== undefined) this.#refuse("an anchor that is not at the end", end);
      const atom = this.#readAtom(leading);
      const node = this.#readQuantifier(atom);
      anchor ??= atom.anchor;
      end ??= atom.end;
      leading = false;
      items.push(node);
    }
    return { node: sequence(items), anchor, end };
  }

  #readAtom(leading: boolean): Parsed {
    const start = this.#position;
    const char = String.fromCodePoint(this.#source.codePointAt(start) ?? 0);
    if (char === "(") return this.#readGroup(leading);
    this.#position += char.length;
    if (char === "[") return plain(oneOf(this.#readSet(start)));
    if (char === "\\") return plain(oneOf(this.#readEscape(start, false)));
    if (char === ".") return plain(oneOf(NOT_LINE_END));
    if ("*+?".includes(char)) this.#refuse(`nothing to repeat before "${char}"`, start);
    if (char === "{" && this.#countsAt(start) !== undefined) this.#refuse('nothing to repeat before "{"', start);
    if (char === "\0") this.#refuse("a NUL character", start);
    return plain(literal(char));
  }

  #readGroup(leading: boolean): Parsed {
    const start = this.#position++;
    if (this.#take("?")) this.#readGroupKind(start);
    if (++this.#depth > MAX_NESTING) this.#refuse(`groups nested more than ${MAX_NESTING} deep`, start);
    const group = this.#readAlternatives(leading);
    this.#depth--;
    if (!this.#take(")")) this.#refuse('"(" without ")"', start);
    return group;
  }

  #readGroupKind(start: number): void {
    if (this.#take(":")) return;
    const named = /^P?<[A-Za-z_]\w*>/.exec(this.#source.slice(this.#position, this.#position + 100));
    if (named !== null) {
      this.#position += named[0].length;
      return;
    }
    for (const [opening, construct] of [
      ["=", "lookahead"],
      ["!", "lookahead"],
      ["<=", "lookbehind"],
      ["<!", "lookbehind"],
      [">", "an atomic group"],
      ["P=", "a backreference"],
      ["P>", "recursion"],
      ["(", "a conditional group"],
      ["#", "a comment group"],
      ["|", "a branch reset group"],
    ] as const) {
      if (this.#source.startsWith(opening, this.#position)) this.#refuse(construct, start);
    }
    this.#refuse(
      /[a-zA-Z^-]/.test(this.#source[this.#position] ?? "") ? "inline flags" : 'an unknown group "(?"',
      start,
    );
  }

  #readQuantifier(atom: Parsed): GbnfNode {
    const start = this.#position;
    const char = this.#source[start] ?? "";
    let min: number;
    let max: number | undefined;
    if (char !== "" && "*+?".includes(char)) {
      this.#position++;
      min = char === "+" ? 1 : 0;
      max = char === "?" ? 1 : undefined;
    } else {
      const counts = char === "{" ? this.#countsAt(start) : undefined;
      if (counts === undefined) return atom.node;
      this.#position += counts.length;
      ({ min, max } = counts);
      if (Math.max(min, max ?? 0) > MAX_REPETITIONS) this.#refuse(`a repetition above ${MAX_REPETITIONS}`, start);
      if (max !== undefined && max < min)
        this.#refuse(`the repetition {${min},${max}}, whose maximum is below its minimum`, start);
    }
    if (atom.anchor !== undefined) this.#refuse("an anchor in a repeated group", atom.anchor);
    this.#take("?");
    if (this.#take("+")) this.#refuse("a possessive quantifier", start);
    this.#refuseQuantifier(start);
    return repeat(atom.node, min, max);
  }

  /** Refuses a quantifier here, where one stood before or nothing is to be repeated. */
  #refuseQuantifier(start: number): void {
    const char = this.#source[this.#position] ?? "";
    if ((char !== "" && "*+?".includes(char)) || (char === "{" && this.#countsAt(this.#position) !== undefined)) {
      this.#refuse("a quantifier that follows nothing to repeat", start);
    }
  }

  /** Reads `{m}`, `{m,}`, `{m,n}` or Python's `{,n}`. A brace in another form is a literal. */
  #countsAt(at: number): { min: number; max: number | undefined; length: number } | undefined {
    const match = /^\{(?:(\d+)(,)?(\d+)?|(,)(\d+))\}/.exec(this.#source.slice(at, at + 40));
    if (match === null) return undefined;
    const [all, low, comma, high, , onlyHigh] = match;
    if (low !== undefined && comma === undefined && high !== undefined) return undefined;
    const min = Number(low ?? 0);
    const upper = onlyHigh ?? high;
    const max = upper === undefined ? (comma === undefined ? min : undefined) : Number(upper);
    return { min, max, length: all.length };
  }

  #readSet(start: number): CodePointSet {
    const negated = this.#take("^");
    if (this.#source[this.#position] === "]") this.#refuse('a set that starts with "]", which must be escaped', start);
    const sets: CodePointSet[] = [];
    while (!this.#take("]")) {
      const at = this.#position;
      if (at >= this.#source.length) this.#refuse('"[" without "]"', start);
      if (this.#source.startsWith("[:", at)) this.#refuse("a POSIX class", at);
      const low = this.#readSetItem();
      if (this.#source[this.#position] !== "-" || this.#source[this.#position + 1] === "]") {
        sets.push(low);
        continue;
      }
      this.#position++;
      if (this.#position >= this.#source.length) this.#refuse('"[" without "]"', start);
      const high = this.#readSetItem();
      const [from, to] = [only(low), only(high)];
      // As in Python and JavaScript without flags, [\w-.] has three members.
      if (from === undefined || to === undefined) sets.push(low, codePointsOf("-"), high);
      else if (from > to) this.#refuse("a range with its larger end first", at);
      else sets.push(codePointSet([[from, to]]));
    }
    const set = sets.length === 0 ? [] : union(...sets);
    const result = negated ? complement(set) : set;
    if (result.length === 0) this.#refuse("a set that no character is in", start);
    return result;
  }

  #readSetItem(): CodePointSet {
    const start = this.#position;
    const char = String.fromCodePoint(this.#source.codePointAt(start) ?? 0);
    this.#position += char.length;
    if (char === "\0") this.#refuse("a NUL character", start);
    return char === "\\" ? this.#readEscape(start, true) : codePointsOf(char);
  }

  /** Reads on after a backslash at `start`. */
  #readEscape(start: number, inSet: boolean): CodePointSet {
    const char = String.fromCodePoint(this.#source.codePointAt(this.#position) ?? 0);
    this.#position += char.length;
    const known = CLASSES[char];
    if (known !== undefined) return known;
    const control = CONTROLS[char];
    if (control !== undefined) return codePointsOf(control);
    if (char in HEX_DIGITS) return this.#readHex(start, char);
    if (char === "b" && inSet) return codePointsOf("\b");
    if (char === "b" || char === "B") this.#refuse(`the word boundary "\\${char}"`, start);
    if (char === "p" || char === "P") this.#refuse(`the Unicode class "\\${char}"`, start);
    if (/[1-9k]/.test(char)) this.#refuse(`a backreference "\\${char}"`, start);
    if (/[AZzG]/.test(char)) this.#refuse("an anchor that is not at the start or the end", start);
    if (!/^[!-/:-@[-`{-~ ]$/.test(char)) {
      this.#refuse(char === "\0" ? "a backslash at the end" : `the unknown escape "\\${char}"`, start);
    }
    return codePointsOf(char);
  }

  #readHex(start: number, kind: string): CodePointSet {
    const rest = this.#source.slice(this.#position, this.#position + 12);
    const braced = /^\{([0-9A-Fa-f]{1,8})\}/.exec(rest);
    const digits = HEX_DIGITS[kind] ?? 0;
    const hex = braced?.[1] ?? rest.slice(0, digits);
    if (braced === null && (hex.length !== digits || !/^[0-9A-Fa-f]+$/.test(hex))) {
      this.#refuse(`"\\${kind}" without ${digits} hexadecimal digits`, start);
    }
    this.#position += braced?.[0].length ?? digits;
    let codePoint = Number.parseInt(hex, 16);
    if (codePoint >= 0xd800 && codePoint <= 0xdbff) {
      // JavaScript and JSON write code points above U+FFFF as a pair of escapes.
      const low = /^\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})/.exec(this.#source.slice(this.#position, this.#position + 6));
      if (low?.[1] !== undefined) {
        this.#position += low[0].length;
        codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (Number.parseInt(low[1], 16) - 0xdc00);
      }
    }
    const set = codePoint > 0x10ffff ? [] : codePointSet([[codePoint, codePoint]]);
    if (set.length === 0) this.#refuse("an escape that stands for NUL, a surrogate or no character", start);
    return set;
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#position)) return false;
    this.#position += text.length;
    return true;
  }

  #refuse(construct: string, offset: number = this.#position): never {
    throw new ConstraintError(`has ${construct} at offset ${offset}, which is not supported`);
  }
}

function plain(node: GbnfNode): Parsed {
  return { node: node.kind === "set" && node.set.length === 0 ? EMPTY : node, anchor: undefined, end: undefined };
}

function only(set: CodePointSet): number | undefined {
  const [range] = set;
  return set.length === 1 && range !== undefined && range[0] === range[1]
    ? codePointAt(String.fromCodePoint(range[0]))
    : undefined;
}
