import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UsageError } from "./usage-error.ts";
import {
  decimal,
  duration,
  formatAddress,
  integer,
  oneOf,
  onOff,
  scaledInteger,
  seconds,
  serverAddress,
  text,
  type ValueParser,
} from "./value-parsers.ts";

function accepts<T>(parse: ValueParser<T>, cases: readonly (readonly [string, T])[]): void {
  for (const [given, expected] of cases) assert.deepEqual(parse("--flag", given), expected, JSON.stringify(given));
}

function refuses<T>(parse: ValueParser<T>, cases: readonly string[], sentence: RegExp): void {
  for (const given of cases) {
    assert.throws(() => parse("--flag", given), { name: "UsageError", message: sentence }, JSON.stringify(given));
  }
}

const range = { from: 1, to: 100 };

test("a whole number is digits within its range", () => {
  accepts(integer(range), [
    ["1", 1],
    ["100", 100],
    ["007", 7],
  ]);
  accepts(integer({ from: -5, to: 5 }), [["-5", -5]]);
  const sentence = /^--flag must be a whole number from 1 to 100, not ".*"\.$/;
  refuses(
    integer(range),
    ["0", "101", "", " 1", "1 ", "1.0", "1e1", "0x10", "ten", "NaN", "Infinity", "1_0"],
    sentence,
  );
});

test("a decimal number may have a fraction and an exponent", () => {
  accepts(decimal({ from: 0, to: 2 }), [
    ["0", 0],
    ["0.5", 0.5],
    [".5", 0.5],
    ["1e-3", 0.001],
    ["2.", 2],
  ]);
  refuses(
    decimal({ from: 0, to: 2 }),
    ["-0.1", "2.1", "", ".", "1,5", "Infinity", "NaN", "1e999"],
    /^--flag must be a number/,
  );
});

test("a scaled number reads k as 1000 and K as 1024, as vLLM does", () => {
  accepts(scaledInteger({ from: 1, to: 2 ** 31 - 1 }), [
    ["4096", 4096],
    ["8k", 8000],
    ["8K", 8192],
    ["1.5k", 1500],
    ["2M", 2 * 1024 ** 2],
    ["1g", 1_000_000_000],
  ]);
  refuses(
    scaledInteger({ from: 1, to: 2 ** 31 - 1 }),
    ["0", "", "k", "1.5K", "1.5", "1.0001k", "8kb", "-1", "3g", "auto", "8 K"],
    /^--flag must be a whole number from 1 to 2147483647 \(8k is 8000, 8K is 8192\), not /,
  );
});

test("seconds become milliseconds", () => {
  accepts(seconds({ from: 0, to: 60 }), [
    ["0", 0],
    ["5", 5000],
    ["0.25", 250],
  ]);
  refuses(
    seconds({ from: 0, to: 60 }),
    ["61", "-1", "5s", ""],
    /^--flag must be a number of seconds from 0 to 60, not /,
  );
});

test("a duration is written as in Go", () => {
  accepts(duration, [
    ["1s", 1000],
    ["500ms", 500],
    ["1m30s", 90_000],
    ["1.5s", 1500],
    ["250us", 1],
    ["1h", 3_600_000],
  ]);
  refuses(
    duration,
    ["", "0s", "1", "-1s", "s", "1s ", "1 s", "1d", "25h", "1sx"],
    /^--flag must be a duration above 0/,
  );
});

test("an address is host:port, and a missing host is localhost", () => {
  accepts(serverAddress, [
    ["localhost:50051", { host: "localhost", port: 50051 }],
    [":5000", { host: "localhost", port: 5000 }],
    ["[::1]:5000", { host: "::1", port: 5000 }],
    ["10.0.0.7:1", { host: "10.0.0.7", port: 1 }],
  ]);
  refuses(
    serverAddress,
    ["", "localhost", "localhost:", "localhost:0", "localhost:65536", "::1:5000", "http://a:1", "a b:1", "[]:1"],
    /^--flag must be host:port/,
  );
});

test("every address that is read is written back as it can be read again", () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65535 }), (name, port) => {
      const address = { host: name, port };
      assert.deepEqual(serverAddress("--addr", formatAddress(address)), address);
    }),
  );
});

test("a choice is one of its words", () => {
  accepts(oneOf(["a", "b"]), [["b", "b"]]);
  refuses(oneOf(["a", "b", "c"]), ["A", "", "d"], /^--flag must be a, b or c, not /);
});

test("a text has no control characters", () => {
  accepts(text, [["naïve 🙂", "naïve 🙂"]]);
  refuses(text, ["", "a\nb", "a\u0000"], /^--flag must be a text of visible characters/);
});

test("an on/off variable says so in words", () => {
  accepts(onOff, [
    ["true", true],
    ["1", true],
    ["YES", true],
    ["false", false],
    ["0", false],
    ["", false],
  ]);
  refuses(onOff, ["maybe", "2"], /^--flag must be true or false/);
});

test("whatever text comes, a parser answers a value in range or a UsageError of bounded length", () => {
  const parsers = [integer(range), decimal(range), scaledInteger(range), seconds(range)];
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.constantFrom(...parsers), (given, parse) => {
      try {
        assert.ok(Number.isFinite(parse("--flag", given)));
      } catch (thrown) {
        assert.ok(thrown instanceof UsageError);
        assert.ok(thrown.message.length < 800);
      }
    }),
  );
});
