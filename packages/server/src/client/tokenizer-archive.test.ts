import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { strToU8, zipSync } from "fflate";
import { openTokenizerArchive } from "./tokenizer-archive.ts";

const bounds = { maxEntries: 3, maxInflatedBytes: 1000 };

function refused(archive: Uint8Array, message: RegExp): void {
  assert.throws(() => openTokenizerArchive(archive, ["a"], bounds), { name: "TokenizerError", message });
}

test("the wanted files come out, packed or stored, and no others", () => {
  for (const level of [0, 9] as const) {
    const archive = zipSync({ a: strToU8("first"), b: strToU8("second"), "dir/c": strToU8("third") }, { level });
    const files = openTokenizerArchive(archive, ["a", "dir/c", "missing"], bounds);
    assert.deepEqual([...files.keys()].sort(), ["a", "dir/c"]);
    assert.deepEqual(files.get("a"), strToU8("first"));
  }
});

test("too many entries and too many bytes are refused, also in files that are not wanted", () => {
  const small = strToU8("x");
  refused(zipSync({ a: small, b: small, c: small, d: small }), /more than 3 entries/);
  refused(zipSync({ a: small, b: new Uint8Array(1000) }), /entries of more than 1000 bytes together/);
});

test("a name that leads out of the folder is refused", () => {
  for (const name of ["../a", "x/../../a", "/etc/a", "C:\\a", "..\\a", "a\\b"]) {
    refused(zipSync({ [name]: strToU8("x") }), /an entry with the name/);
  }
});

test("one name twice is refused", () => {
  const archive = Buffer.from(zipSync({ a: strToU8("x"), b: strToU8("y") }, { level: 0 }));
  for (let at = archive.indexOf("b"); at >= 0; at = archive.indexOf("b", at + 1)) archive.write("a", at);
  refused(archive, /two entries named "a"/);
});

test("an entry that unpacks to more than it declares is refused", () => {
  const archive = Buffer.from(zipSync({ a: new Uint8Array(900) }, { level: 9 }));
  const directory = archive.lastIndexOf(Buffer.from("PK\u0001\u0002", "latin1"));
  // PKZIP's APPNOTE, 4.3.12: the uncompressed size stands at offset 24 of the directory entry.
  archive.writeUInt32LE(10, directory + 24);
  try {
    const found = openTokenizerArchive(archive, ["a"], bounds).get("a");
    assert.ok(found !== undefined && found.length <= 10);
  } catch (thrown) {
    assert.ok(thrown instanceof Error && thrown.name === "TokenizerError");
  }
});

test("whatever bytes come, the answer is files or a TokenizerError", () => {
  const good = zipSync({ a: strToU8("first file of some length"), b: strToU8("second") });
  const damaged = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
    const bytes = good.slice();
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
      try {
        for (const file of openTokenizerArchive(bytes, ["a", "b"], bounds).values()) assert.ok(file.length <= 1000);
      } catch (thrown) {
        assert.ok(thrown instanceof Error && thrown.name === "TokenizerError", String(thrown));
      }
    }),
    { numRuns: 500 },
  );
});
