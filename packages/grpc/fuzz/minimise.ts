import type { Fuzzer } from "./fuzzer.ts";

const defaultTries = 4_000;

/** What an input breaks, with the numbers taken out, so that a smaller input with other numbers is still the same. */
export async function failureOf(fuzzer: Fuzzer, input: Uint8Array): Promise<string | undefined> {
  try {
    await fuzzer.check(input);
    return undefined;
  } catch (thrown) {
    const sentence = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    return (sentence.split("\n")[0] as string).replaceAll(/\d+/g, "#").slice(0, 80);
  }
}

/** Makes an input that fails smaller as long as it fails alike: parts are cut out, then bytes become 0. */
export async function minimise(fuzzer: Fuzzer, input: Uint8Array, maxTries = defaultTries): Promise<Uint8Array> {
  const wanted = await failureOf(fuzzer, input);
  if (wanted === undefined) return input;
  let best = input;
  let tries = maxTries;
  const keepIfAlike = async (candidate: Uint8Array): Promise<boolean> => {
    tries -= 1;
    if ((await failureOf(fuzzer, candidate)) !== wanted) return false;
    best = candidate;
    return true;
  };
  for (let size = Math.max(1, input.length >> 1); size >= 1 && tries > 0; size >>= 1) {
    for (let at = 0; at < best.length && tries > 0; ) {
      const candidate = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)]);
      if (!(await keepIfAlike(candidate))) at += size;
    }
  }
  for (let at = 0; at < best.length && tries > 0; at += 1) {
    if (best[at] === 0) continue;
    const candidate = Uint8Array.from(best);
    candidate[at] = 0;
    await keepIfAlike(candidate);
  }
  return best;
}
