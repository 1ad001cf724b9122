// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the sources under test are written as strings
import assert from "node:assert/strict";
import test from "node:test";
import { readImports } from "./read-imports.mjs";

/** @param {string} source */
const specifiers = (source) => readImports(source).map(({ specifier }) => specifier);

test("every way to import is seen", () => {
  const source = `
    import "./side-effect.ts";
    import whole from "./default.ts";
    import { a as b, type C } from './named.ts';
    import * as all from "./all.ts";
    import type { D } from "./types.ts";
    export { e } from "./again.ts";
    export * from "./everything.ts";
    export type { F } from "./again-types.ts";
    const late = await import("./late.ts");
    type G = import("./type-expression.ts").G;
    const old = require("./required.cjs");
    new Worker(new URL("./worker.ts", import.meta.url));
    import data from "./data.json" with { type: "json" };
  `;
  assert.deepEqual(specifiers(source), [
    "./side-effect.ts",
    "./default.ts",
    "./named.ts",
    "./all.ts",
    "./types.ts",
    "./again.ts",
    "./everything.ts",
    "./again-types.ts",
    "./late.ts",
    "./type-expression.ts",
    "./required.cjs",
    "./worker.ts",
    "./data.json",
  ]);
});

test("comments, strings, templates and regular expressions are not code", () => {
  const source = [
    '// import "./line.ts"',
    '/* import "./block.ts" */',
    "const text = \"import('./string.ts')\";",
    "const other = 'it\\'s import \"./quoted.ts\"';",
    'const template = `import "./template.ts" ${`nested import "./nested.ts"`} end`;',
    "const quotes = /[\"'`/]/g;",
    'const half = 4 / 2; import "./real.ts"; const third = 9 / 3;',
  ].join("\n");
  assert.deepEqual(specifiers(source), ["./real.ts"]);
});

test("an import inside a template's expression is seen", () => {
  assert.deepEqual(specifiers('const t = `a ${(await import("./inside.ts")).b} c`; import "./after.ts";'), [
    "./inside.ts",
    "./after.ts",
  ]);
});

test("a computed import is reported without a name", () => {
  assert.deepEqual(specifiers('await import(path); await import("./a" + b); await import(`./${c}.ts`);'), [
    undefined,
    undefined,
    undefined,
  ]);
});

test("words that only look like imports are left alone", () => {
  const source = `
    const here = import.meta.url;
    loader.import("./method.ts");
    const from = "./variable.ts";
    Buffer.from("./bytes.ts");
    const link = new URL("./page.js", "https://example.invalid");
    const data = new URL("../models/tiny.gguf", import.meta.url);
  `;
  assert.deepEqual(specifiers(source), []);
});

test("the line of an import is the line where it is written", () => {
  assert.deepEqual(readImports('\n/* two\nlines */\nimport "./a.ts";\n`x\ny`;\nimport("./b.ts");'), [
    { line: 4, specifier: "./a.ts" },
    { line: 7, specifier: "./b.ts" },
  ]);
});
