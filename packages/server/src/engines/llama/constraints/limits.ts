/**
 * Every bound of this folder on one page. llama.cpp's grammar engine (src/llama-grammar.cpp of the release that
 * `@node-llama-cpp` 3.22.1 carries) has one limit of its own, `MAX_REPETITION_THRESHOLD`; what else goes wrong there was
 * found by running hostile grammars against the addon in a process of their own (`hostile.test.ts` has them):
 *
 * | grammar | what the addon does | bound |
 * | --- | --- | --- |
 * | `r0 ::= r1 \| r1`, 30 levels | its left recursion check walks every path: 2^30 calls, hangs | MAX_LEFT_STEPS |
 * | a chain of 200,000 rules, each the first symbol of the one before | the check recurses: stack overflow, SIGSEGV | MAX_LEFT_DEPTH |
 * | 100,000 open parentheses | the parser recurses: stack overflow, SIGSEGV | MAX_NESTING |
 * | `root ::= b root "x" \| "y"`, `b ::= c`, `c ::= "z" \|` | left recursion behind two nullable rules is not seen: memory without end | the check of `gbnf-check.ts` |
 * | `s ::= "a" s "b" \| "a" s "c" \| "x"` | the set of stacks doubles with each `a`, inside one token too | MAX_LIVE_STACKS |
 * | `x{0,5000}` | silently means `x*` | expanded by `gbnf-lower.ts` |
 * | a NUL in the text | the text silently ends there | refused by `gbnf-parse.ts` |
 */

/** Bytes (UTF-8) of a schema, a grammar, or all choices together. */
export const MAX_SOURCE_BYTES: number = 256 * 1024;
/** UTF-16 units of a regular expression, also of a `pattern` in a schema. */
export const MAX_REGEX_LENGTH: number = 16 * 1024;
/** Bytes of a grammar that goes to llama.cpp. */
export const MAX_GBNF_BYTES: number = 1024 * 1024;
/** Groups within groups, in a regular expression or a grammar; schemas within schemas. */
export const MAX_NESTING: number = 64;

/** The largest m and n of `x{m,n}` that llama.cpp takes (`MAX_REPETITION_THRESHOLD`); a larger n is read as unbounded. */
export const LLAMA_MAX_REPETITIONS: number = 2000;
/** The largest m and n that we take and expand into blocks that llama.cpp takes. */
export const MAX_REPETITIONS: number = 100_000;

/** Rules of a grammar after llama.cpp's rewriting (each group and each optional repetition is one). */
export const MAX_RULES: number = 131_072;
/** Elements (8 bytes each in llama.cpp, which holds up to three copies) after rewriting. */
export const MAX_ELEMENTS: number = 1_048_576;
/** Rules on one path of first symbols: the recursion depth of llama.cpp's left recursion check. */
export const MAX_LEFT_DEPTH: number = 2048;
/** Elements that llama.cpp's left recursion check looks at; it remembers nothing, so this can be exponential. */
export const MAX_LEFT_STEPS: number = 20_000_000;
/**
 * Ways to go on (stacks) that are open at one place of a text. For each of them llama.cpp looks at the vocabulary once per
 * sampled token: about a millisecond for 150,000 tokens.
 */
export const MAX_LIVE_STACKS: number = 1024;
/** Stack steps that `live-stacks.ts` spends in search of a text that opens too many: about 10 ms. */
export const LIVE_STACK_SEARCH_STEPS: number = 60_000;
/** UTF-16 units of constraints and their grammars that `toGbnf` keeps, so that a schema in use is not converted each time. */
export const MAX_REMEMBERED_LENGTH: number = 8 * 1024 * 1024;

/** States of the automaton of a regular expression before it is made deterministic. */
export const MAX_NFA_STATES: number = 50_000;
/** States of that automaton without its empty transitions, where it is used: so many ways can be open at a time. */
export const MAX_OPEN_STATES: number = 2 * MAX_LIVE_STACKS;
/** Transitions of that automaton without its empty ones. */
export const MAX_NFA_EDGES: number = 100_000;
/**
 * States of the deterministic automaton, or twice the states of the nondeterministic one where that is more. Beyond, the
 * nondeterministic one is used, which is then smaller and has more ways open at a time.
 */
export const MAX_DFA_STATES: number = 1024;
/** States of the deterministic automaton where it has to count characters too (`pattern` with `maxLength`). */
export const MAX_COUNTING_DFA_STATES: number = 8192;
/** Steps spent on making an automaton deterministic, and on removing empty transitions. */
export const MAX_DFA_STEPS: number = 400_000;

/** Steps of all automata, enums and combined schemas of one constraint: some 300 ms. */
export const MAX_WORK: number = 1_000_000;

/** The largest `maxLength` beside a `pattern` or a `format`; a larger one counts as this. */
export const MAX_PATTERN_TEXT_LENGTH: number = 4000;

/** Strings in a choice, values in an enum. */
export const MAX_CHOICES: number = 10_000;
/** Schemas looked at, merged ones included. */
export const MAX_SCHEMAS: number = 10_000;
/** Alternatives that one schema with allOf and anyOf may multiply out to. */
export const MAX_MERGED_ALTERNATIVES: number = 256;
/** Properties of one object, items of one `prefixItems`. */
export const MAX_PROPERTIES: number = 1000;
