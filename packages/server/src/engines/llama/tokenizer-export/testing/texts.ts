import fc from "fast-check";

const fragments: readonly string[] = [
  ...["", " ", "  ", "   \t ", "\n", "\n\n", "\r\n", "\r", " \n ", "\t\tx", "a  b   c", "trailing  ", "  leading"],
  ...["Hello, world!", "don't WON'T can'T I'll we'VE they'd", "foo_bar.baz(qux) += 0xFF;", "a-b–c—d…"],
  ...["1", "12", "123", "1234", "12345678", "3.14159", "1,000,000", "٣٤٥", "１２３", "½ ² Ⅷ"],
  ...["été naïve façade Straße", "ÀÉÎÕÜ àéîõü", "camelCase HTTPServer iPhone", "Ελληνικά κείμενο", "Русский текст"],
  ...[
    "Українська мова",
    "עברית שלום",
    "العربية مرحبا بالعالم",
    "हिन्दी पाठ",
    "ไทยภาษา",
    "中文字符测试",
    "日本語のテキスト カタカナ",
  ],
  ...["한국어 문장", "Tiếng Việt có dấu", "Հայերեն", "ქართული", "አማርኛ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐐀𐐨"],
  ...["🙂", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "👍🏽", "e\u0301 o\u0308", "a\u0300\u0301\u0302", "\u200b\u200d\ufeff"],
  ...["\u00a0", "a\u00a0b", "\u2003em\u2003", "\u3000", "\u0000", "\u0001\u0002\u001b[0m", "\u007f\u0085", "\ufffd"],
  ...["<|endoftext|>", "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|>", "<|pad|>", "<|im_end", "<|unknown|>"],
  ...[
    "What is gRPC?",
    "Once upon a time there was a fox named Nia.",
    '{"a": [1, 2, {"b": null}]}',
    "https://x.y/z?q=1&r=2#s",
  ],
  ...["!!!", "???!?", "...", "''''", '"quoted"', "$100 €50 £20 ¥30", "x=y^2|z~w`v`", "#tag @name", "//\\\\//"],
];

/**
 * Some hundred texts to tokenize, always the same: many scripts, emoji, numbers, white space, control characters,
 * special tokens, each alone and mixed.
 */
export function sampleTexts(count: number): readonly string[] {
  const mixed = fc.array(fc.oneof(fc.constantFrom(...fragments), fc.string({ unit: "grapheme" })), { maxLength: 6 });
  const joined = mixed.map((parts) => parts.join(""));
  return [...fragments, ...fc.sample(joined, { numRuns: Math.max(0, count - fragments.length), seed: 20_240_607 })];
}
