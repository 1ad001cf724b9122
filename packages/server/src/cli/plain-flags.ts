import { type DeclaredFlag, FlagReaders } from "./flag-readers.ts";

/**
 * {@link FlagReaders} of words that need no judge: declared flags with their values and nothing else. Everything further,
 * help and errors included, is commander's, which takes some 10 ms to load; a probe that runs every few seconds saves
 * them.
 */
export class PlainFlags extends FlagReaders {
  readonly #forms = new Map<
    string,
    { readonly long: string; readonly takesValue: boolean; readonly isRepeated: boolean }
  >();
  readonly #given = new Map<string, string | true | readonly string[]>();

  /** There is no help here. */
  group(): void {}

  protected addFlag(flag: string, _description: string, isRepeated: boolean): DeclaredFlag {
    const names = flag.match(/(?<![^\s,])--?[a-z][a-z-]*/g) ?? [];
    const long = names.find((name) => name.startsWith("--")) ?? flag;
    const form = { long, takesValue: flag.includes("<"), isRepeated };
    for (const name of names) this.#forms.set(name, form);
    return { long, given: () => this.#given.get(long) };
  }

  /** Takes the words in; false when one of them is nothing for here. Once, after the flags are declared. */
  parse(words: readonly string[]): boolean {
    const rest = [...words];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      const [name = "", value] = splitOnce(word);
      const form = this.#forms.get(name);
      if (form === undefined || (value !== undefined && !(form.takesValue && name.startsWith("--")))) return false;
      if (!form.takesValue) {
        this.#given.set(form.long, true);
        continue;
      }
      const text = value ?? rest.shift();
      if (text === undefined) return false;
      const earlier = this.#given.get(form.long);
      this.#given.set(form.long, form.isRepeated ? [...(Array.isArray(earlier) ? earlier : []), text] : text);
    }
    return true;
  }
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
