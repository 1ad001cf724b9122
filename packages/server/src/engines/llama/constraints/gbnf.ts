import { type CodePointSet, codePointAt } from "./code-points.ts";

/**
 * A piece of a grammar. Regular expressions are read into the same form (without references), so that there is one set
 * of constructors, one automaton builder and one printer.
 */
export type GbnfNode =
  | { readonly kind: "literal"; readonly text: string }
  /** One code point of the set. Never empty. */
  | { readonly kind: "set"; readonly set: CodePointSet }
  /** No items: the empty text. */
  | { readonly kind: "sequence"; readonly items: readonly GbnfNode[] }
  /** One option or more. */
  | { readonly kind: "alternatives"; readonly options: readonly GbnfNode[] }
  /** `max` undefined: unbounded. */
  | { readonly kind: "repeat"; readonly item: GbnfNode; readonly min: number; readonly max: number | undefined }
  | { readonly kind: "reference"; readonly name: string };

/** Rules by name, in the order in which they are printed. The start rule is `root`. */
export type GbnfGrammar = ReadonlyMap<string, GbnfNode>;

export const EMPTY: GbnfNode = { kind: "sequence", items: [] };

export function literal(text: string): GbnfNode {
  return text === "" ? EMPTY : { kind: "literal", text };
}

/** One code point of `set`; a set of one becomes a literal. */
export function oneOf(set: CodePointSet): GbnfNode {
  const [first] = set;
  return first !== undefined && set.length === 1 && first[0] === first[1]
    ? { kind: "literal", text: String.fromCodePoint(first[0]) }
    : { kind: "set", set };
}

/** One after the other. Nested sequences are flattened and neighbouring literals joined. */
export function sequence(items: readonly GbnfNode[]): GbnfNode {
  const flat: GbnfNode[] = [];
  for (const item of items.flatMap((item) => (item.kind === "sequence" ? item.items : [item]))) {
    const last = flat.at(-1);
    if (item.kind === "literal" && last?.kind === "literal")
      flat[flat.length - 1] = { kind: "literal", text: last.text + item.text };
    else flat.push(item);
  }
  const [only] = flat;
  return flat.length === 1 && only !== undefined ? only : { kind: "sequence", items: flat };
}

export function alternatives(options: readonly GbnfNode[]): GbnfNode {
  const [only] = options;
  return options.length === 1 && only !== undefined ? only : { kind: "alternatives", options };
}

export function optional(item: GbnfNode): GbnfNode {
  return repeat(item, 0, 1);
}

/** `min` to `max` times `item`; `max` undefined is unbounded. */
export function repeat(item: GbnfNode, min: number, max: number | undefined): GbnfNode {
  if (max === 0 || isEmpty(item)) return EMPTY;
  if (min === 1 && max === 1) return item;
  if (item.kind === "repeat" && item.min <= 1) {
    // (x?){m,n} is x{0,n}, and (x*){m,n} and (x+){m,n} have no upper end: the same texts, with one way to match each.
    if (item.min === 0 && item.max === 1) return repeat(item.item, 0, max);
    if (item.max === undefined) return repeat(item.item, item.min * min, undefined);
  }
  return { kind: "repeat", item, min, max };
}

export function reference(name: string): GbnfNode {
  return { kind: "reference", name };
}

/** True for the node that matches the empty text and nothing else. */
export function isEmpty(node: GbnfNode): boolean {
  return node.kind === "sequence" && node.items.length === 0;
}

/** Writes a grammar as GBNF text, in ASCII. Of a grammar that went through `lower`, llama.cpp reads what was meant. */
export function printGbnf(grammar: GbnfGrammar): string {
  return Array.from(grammar, ([name, node]) => `${name} ::= ${printNode(node, "rule")}\n`).join("");
}

type Place = "rule" | "sequence" | "repeat";

function printNode(node: GbnfNode, place: Place): string {
  switch (node.kind) {
    case "literal":
      return `"${Array.from(node.text, (char) => escaped(codePointAt(char), '"\\')).join("")}"`;
    case "set":
      return `[${node.set.map(printRange).join("")}]`;
    case "sequence": {
      if (node.items.length === 0) return '""';
      const text = node.items.map((item) => printNode(item, "sequence")).join(" ");
      return place === "repeat" ? `(${text})` : text;
    }
    case "alternatives": {
      const text = node.options.map((option) => printNode(option, "rule")).join(" | ");
      return place === "rule" ? text : `(${text})`;
    }
    case "repeat":
      return `${printNode(node.item, "repeat")}${printCount(node.min, node.max)}`;
    case "reference":
      return node.name;
  }
}

function printCount(min: number, max: number | undefined): string {
  if (max === undefined) return min === 0 ? "*" : min === 1 ? "+" : `{${min},}`;
  if (min === 0 && max === 1) return "?";
  return min === max ? `{${min}}` : `{${min},${max}}`;
}

function printRange([low, high]: readonly [number, number]): string {
  const from = escaped(low, '"\\[]-^');
  return low === high ? from : `${from}-${escaped(high, '"\\[]-^')}`;
}

function escaped(codePoint: number, special: string): string {
  const char = String.fromCodePoint(codePoint);
  if (codePoint >= 0x20 && codePoint < 0x7f) {
    if (!special.includes(char)) return char;
    return char === "^" ? "\\x5E" : `\\${char}`;
  }
  const hex = codePoint.toString(16).toUpperCase();
  if (codePoint <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return codePoint <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
