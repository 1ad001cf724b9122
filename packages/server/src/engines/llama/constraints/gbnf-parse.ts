import { ANY_CODE_POINT, codePointAt, codePointSet, complement } from "./code-points.ts";
import { ConstraintError } from "./constraint-error.ts";
import {
  alternatives,
  EMPTY,
  type GbnfGrammar,
  type GbnfNode,
  literal,
  oneOf,
  reference,
  repeat,
  sequence,
} from "./gbnf.ts";
import { MAX_NESTING, MAX_REPETITIONS } from "./limits.ts";

/**
 * Reads the text of a GBNF grammar (grammars/README.md of llama.cpp): rules `name ::= …`, literals, sets, `.`, groups,
 * `|`, `* + ? {m} {m,} {m,n}`, comments. Beyond llama.cpp's own parser it takes what the EBNF of xgrammar has in common
 * with it: underscores in names (they become hyphens), a rule that goes on in the next line, `\'` and other escaped
 * punctuation. It does not take token references (`<think>`, `<[12]>`).
 *
 * The result, and not the text, is what is checked and printed for llama.cpp, so that there is no second reading of the
 * same text. Throws `ConstraintError` with line and column for what is not a grammar, and for Lark grammars.
 */
export function parseGbnf(source: string): GbnfGrammar {
  if (!source.includes("::=") && /^\s*(?:[?!]?[A-Za-z_]\w*(?:\.-?\d+)?\s*:|%(?:import|ignore|declare))/m.test(source)) {
    throw new ConstraintError("is in the syntax of Lark; this engine takes GBNF, whose rules are written `root ::= …`");
  }
  return new GbnfParser(source).grammar();
}

const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const CONTROLS: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f", v: "\v" };

class GbnfParser {
  readonly #source: string;
  readonly #names = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #words: ReadonlySet<string>;
  readonly #numbers = new Map<string, number>();
  #position = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    this.#words = new Set(source.match(/[A-Za-z0-9-]+/g));
    const nul = source.indexOf("\0");
    if (nul >= 0) this.#refuse("a NUL character", nul);
    if (!source.isWellFormed()) throw new ConstraintError("is not well-formed Unicode");
  }

  grammar(): GbnfGrammar {
    const rules = new Map<string, GbnfNode>();
    this.#skipSpace();
    while (this.#position < this.#source.length) {
      const start = this.#position;
      const name = this.#readName();
      if (name === "") this.#refuse("expected the name of a rule", start);
      this.#skipSpace();
      if (!this.#take("::=")) this.#refuse(`expected "::=" after the rule name "${name}"`);
      const own = this.#nameOf(name);
      if (rules.has(own)) this.#refuse(`the rule "${name}" is defined a second time`, start);
      // Taken before the body is read, so that rules keep the order of the text.
      rules.set(own, EMPTY);
      rules.set(own, this.#readAlternatives());
      if (this.#position < this.#source.length && !this.#atRule()) this.#refuse(this.#unexpected());
    }
    return rules;
  }

  #readAlternatives(): GbnfNode {
    const options: GbnfNode[] = [];
    do options.push(this.#readSequence());
    while (this.#take("|"));
    return alternatives(options);
  }

  #readSequence(): GbnfNode {
    const items: GbnfNode[] = [];
    this.#skipSpace();
    while (this.#position < this.#source.length && !this.#atRule()) {
      const item = this.#readItem();
      if (item === undefined) break;
      this.#skipSpace();
      items.push(this.#readRepetitions(item));
    }
    return sequence(items);
  }

  #readItem(): GbnfNode | undefined {
    const start = this.#position;
    const char = this.#source[start];
    if (char === '"') return literal(this.#readLiteral());
    if (char === "[") return this.#readSet();
    if (this.#take(".")) return oneOf(ANY_CODE_POINT);
    if (char === "<" || char === "!") this.#refuse("token references are not supported");
    if (this.#take("(")) {
      if (++this.#depth > MAX_NESTING) this.#refuse(`groups are nested more than ${MAX_NESTING} deep`, start);
      const group = this.#readAlternatives();
      if (!this.#take(")")) this.#refuse('expected ")"');
      this.#depth--;
      return group;
    }
    const name = this.#readName();
    return name === "" ? undefined : reference(this.#nameOf(name));
  }

  #readRepetitions(first: GbnfNode): GbnfNode {
    let item = first;
    let operators = 0;
    for (;;) {
      const start = this.#position;
      if (this.#take("*")) item = repeat(item, 0, undefined);
      else if (this.#take("+")) item = repeat(item, 1, undefined);
      else if (this.#take("?")) item = repeat(item, 0, 1);
      else if (this.#take("{")) item = this.#readCounts(item, start);
      else return item;
      if (++operators > 3) this.#refuse("more than three repetition operators in a row", start);
      this.#skipSpace();
    }
  }

  #readCounts(item: GbnfNode, start: number): GbnfNode {
    const min = this.#readCount();
    this.#skipSpace();
    let max: number | undefined = min;
    if (this.#take(",")) {
      this.#skipSpace();
      max = /\d/.test(this.#source[this.#position] ?? "") ? this.#readCount() : undefined;
      this.#skipSpace();
    }
    if (!this.#take("}")) this.#refuse('expected "}"');
    if (max !== undefined && max < min)
      this.#refuse(`the repetition {${min},${max}} has a maximum below its minimum`, start);
    return repeat(item, min, max);
  }

  #readCount(): number {
    const start = this.#position;
    while (/\d/.test(this.#source[this.#position] ?? "")) this.#position++;
    if (this.#position === start) this.#refuse("expected a number");
    const count = Number(this.#source.slice(start, this.#position));
    if (count > MAX_REPETITIONS) this.#refuse(`a repetition count is above ${MAX_REPETITIONS}`, start);
    return count;
  }

  #readLiteral(): string {
    const start = this.#position++;
    let text = "";
    while (this.#source[this.#position] !== '"') {
      if (this.#position >= this.#source.length) this.#refuse("the literal that starts here has no end", start);
      text += this.#readChar();
    }
    this.#position++;
    return text;
  }

  #readSet(): GbnfNode {
    const start = this.#position++;
    const negated = this.#take("^");
    const ranges: [number, number][] = [];
    while (this.#source[this.#position] !== "]") {
      const at = this.#position;
      if (at >= this.#source.length) this.#refuse("the set that starts here has no end", start);
      const low = codePointAt(this.#readChar());
      let high = low;
      if (this.#source[this.#position] === "-" && this.#source[this.#position + 1] !== "]") {
        this.#position++;
        if (this.#position >= this.#source.length) this.#refuse("the set that starts here has no end", start);
        high = codePointAt(this.#readChar());
        if (high < low) this.#refuse("a range of a set has its larger end first", at);
      }
      ranges.push([low, high]);
    }
    this.#position++;
    const set = negated ? complement(codePointSet(ranges)) : codePointSet(ranges);
    if (set.length === 0) this.#refuse("a set that no character is in", start);
    return oneOf(set);
  }

  /** One code point of a literal or a set. */
  #readChar(): string {
    const start = this.#position;
    const char = String.fromCodePoint(this.#source.codePointAt(start) ?? 0);
    this.#position += char.length;
    if (char !== "\\") return char;
    const kind = this.#source[this.#position++] ?? "";
    const digits = HEX_DIGITS[kind];
    if (digits !== undefined) {
      const hex = this.#source.slice(this.#position, this.#position + digits);
      const codePoint = Number.parseInt(hex, 16);
      if (hex.length !== digits || !/^[0-9A-Fa-f]+$/.test(hex)) {
        this.#refuse(`expected ${digits} hexadecimal digits after "\\${kind}"`, start);
      }
      if (codePoint === 0 || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) {
        this.#refuse("an escape stands for NUL, a surrogate or no character at all", start);
      }
      this.#position += digits;
      return String.fromCodePoint(codePoint);
    }
    const control = CONTROLS[kind];
    if (control !== undefined) return control;
    if (!/^[!-/:-@[-`{-~]$/.test(kind)) this.#refuse(`unknown escape "\\${kind}"`, start);
    return kind;
  }

  #readName(): string {
    const start = this.#position;
    while (/[A-Za-z0-9_-]/.test(this.#source[this.#position] ?? "")) this.#position++;
    return this.#source.slice(start, this.#position);
  }

  /** The name under which llama.cpp gets the rule: it knows no underscores. */
  #nameOf(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const base = name.replaceAll("_", "-");
    let own = base;
    // A name without underscores keeps itself, wherever it stands; another one that would become equal gets a number.
    while (own !== name && (this.#words.has(own) || this.#taken.has(own))) {
      const number = (this.#numbers.get(base) ?? 1) + 1;
      this.#numbers.set(base, number);
      own = `${base}-${number}`;
    }
    this.#names.set(name, own);
    this.#taken.add(own);
    return own;
  }

  /** True where `name ::=` stands, which ends the rule before it. */
  #atRule(): boolean {
    const before = this.#position;
    const named = this.#readName() !== "";
    if (named) this.#skipSpace();
    const result = named && this.#source.startsWith("::=", this.#position);
    this.#position = before;
    return result;
  }

  #skipSpace(): void {
    for (; this.#position < this.#source.length; this.#position++) {
      const char = this.#source[this.#position] ?? "";
      if (char === "#") {
        while (this.#position < this.#source.length && !/[\r\n]/.test(this.#source[this.#position] ?? ""))
          this.#position++;
      } else if (!/[ \t\r\n]/.test(char)) return;
    }
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#position)) return false;
    this.#position += text.length;
    return true;
  }

  #unexpected(): string {
    const char = String.fromCodePoint(this.#source.codePointAt(this.#position) ?? 0);
    if ("*+?{".includes(char)) return `nothing to repeat before "${char}"`;
    return `unexpected ${JSON.stringify(char)}`;
  }

  #refuse(reason: string, at: number = this.#position): never {
    const before = this.#source.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    throw new ConstraintError(`line ${line}, column ${column}: ${reason}`);
  }
}
