/**
 * @typedef {{ line: number, specifier: string | undefined }} Import `specifier` is undefined when it is computed
 * @typedef {{ kind: "word" | "string" | "mark" | "template", text: string, line: number }} Token
 */

/**
 * Lists what a JavaScript or TypeScript source imports: static imports and re-exports, type imports, `import(…)` as an
 * expression or a type, `require(…)`, and sources named by `new URL("…", import.meta.url)`, which is how threads and
 * child processes are loaded. Comments and the insides of strings are not read as code.
 *
 * @param {string} source
 * @returns {Import[]}
 */
export function readImports(source) {
  const tokens = tokenize(source);
  /** @type {Import[]} */
  const imports = [];
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token?.kind !== "word" || tokens[i - 1]?.text === ".") continue;
    if (token.text === "import" || token.text === "require") {
      const next = tokens[i + 1];
      if (next?.kind === "string" && token.text === "import") imports.push({ line: next.line, specifier: next.text });
      else if (next?.text === "(" && tokens[i + 2]?.text !== ")") {
        const named = tokens[i + 2];
        const isWhole = tokens[i + 3]?.text === ")" || tokens[i + 3]?.text === ",";
        const isLiteral = named?.kind === "string" && isWhole;
        imports.push({ line: token.line, specifier: isLiteral ? named.text : undefined });
      }
    }
    if (token.text === "from" && tokens[i + 1]?.kind === "string" && followsClause(tokens, i)) {
      imports.push({ line: token.line, specifier: tokens[i + 1]?.text });
    }
    if (token.text === "URL" && tokens[i - 1]?.text === "new" && tokens[i + 2]?.kind === "string") {
      const rest = tokens.slice(i + 3, i + 10).map(({ text }) => text);
      // Other files, such as models and package.json, are read and not run.
      const isCode = /\.[cm]?[jt]s$/.test(tokens[i + 2]?.text ?? "");
      if (isCode && rest.join("").startsWith(",import.meta.url"))
        imports.push({ line: token.line, specifier: tokens[i + 2]?.text });
    }
  }
  return imports;
}

/** Whether the `from` at `at` ends the clause of an import or export, and is not a plain identifier.
 * @param {Token[]} tokens
 * @param {number} at
 */
function followsClause(tokens, at) {
  for (let i = at - 1; i >= 0; i -= 1) {
    const { kind, text } = /** @type {Token} */ (tokens[i]);
    if (text === "import" || text === "export") return true;
    const isClause = kind === "word" || kind === "string" || ["{", "}", ",", "*"].includes(text);
    if (!isClause) return false;
  }
  return false;
}

/**
 * @param {string} source
 * @returns {Token[]}
 */
export function tokenize(source) {
  /** @type {Token[]} */
  const tokens = [];
  // One entry per open brace; true where the brace is the `${` of a template.
  /** @type {boolean[]} */
  const braces = [];
  let at = 0;
  let line = 1;

  const push = (/** @type {Token["kind"]} */ kind, /** @type {string} */ text) => tokens.push({ kind, text, line });
  const skip = (/** @type {number} */ to) => {
    for (; at < to; at += 1) if (source[at] === "\n") line += 1;
  };
  const template = () => {
    while (at < source.length) {
      if (source[at] === "\\") skip(at + 2);
      else if (source[at] === "`") {
        skip(at + 1);
        push("template", "");
        return;
      } else if (source.startsWith("${", at)) {
        skip(at + 2);
        push("mark", "${");
        braces.push(true);
        return;
      } else skip(at + 1);
    }
  };

  if (source.startsWith("#!")) skip(endOf(source, at, "\n"));
  while (at < source.length) {
    const char = /** @type {string} */ (source[at]);
    if (/\s/.test(char)) skip(at + 1);
    else if (source.startsWith("//", at)) skip(endOf(source, at, "\n"));
    else if (source.startsWith("/*", at)) skip(endOf(source, at + 2, "*/"));
    else if (char === '"' || char === "'") {
      const end = endOfQuoted(source, at + 1, char);
      push("string", source.slice(at + 1, end - 1));
      skip(end);
    } else if (char === "`") {
      skip(at + 1);
      template();
    } else if (char === "/" && startsRegExp(tokens.at(-1))) {
      skip(endOfRegExp(source, at + 1));
      push("template", "");
    } else if (/[\w$#@]/.test(char) || char > "\x7f") {
      let end = at + 1;
      while (end < source.length && (/[\w$]/.test(source[end] ?? "") || (source[end] ?? "") > "\x7f")) end += 1;
      push("word", source.slice(at, end));
      skip(end);
    } else {
      skip(at + 1);
      if (char === "{") braces.push(false);
      if (char === "}" && braces.pop() === true) template();
      else push("mark", char);
    }
  }
  return tokens;
}

/**
 * @param {string} source
 * @param {number} from
 * @param {string} mark
 */
function endOf(source, from, mark) {
  const found = source.indexOf(mark, from);
  return found === -1 ? source.length : found + mark.length;
}

/**
 * @param {string} source
 * @param {number} from
 * @param {string} quote
 */
function endOfQuoted(source, from, quote) {
  let at = from;
  while (at < source.length && source[at] !== quote && source[at] !== "\n") at += source[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** A slash divides after a value and begins a regular expression elsewhere.
 * @param {Token | undefined} before
 */
function startsRegExp(before) {
  if (before === undefined) return true;
  if (before.kind === "word")
    return ["return", "typeof", "case", "in", "of", "await", "yield", "void"].includes(before.text);
  return before.kind === "mark" && ![")", "]", "}"].includes(before.text);
}

/**
 * @param {string} source
 * @param {number} from
 */
function endOfRegExp(source, from) {
  let inClass = false;
  for (let at = from; at < source.length && source[at] !== "\n"; at += 1) {
    if (source[at] === "\\") at += 1;
    else if (source[at] === "[") inClass = true;
    else if (source[at] === "]") inClass = false;
    else if (source[at] === "/" && !inClass) return at + 1;
  }
  return from;
}
