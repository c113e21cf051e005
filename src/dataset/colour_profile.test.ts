// A file without its profile is the same picture: what a decoder that ignores profiles gives before and after.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { withoutProfile } from "./colour_profile.ts";
import { decodeImage } from "./decode_node.ts";

const read = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, "fixtures", name)));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

for (const [name, format, mark] of [
  ["profile.jpg", "jpeg", "ICC_PROFILE"],
  ["profile.png", "png", "iCCP"],
] as const) {
  test(`${name} loses its profile and nothing else`, async () => {
    const before = read(name);
    expect(text(before)).toContain(mark);
    const after = withoutProfile(read(name), format);
    expect(text(after)).not.toContain(mark);
    const pixels = async (bytes: Uint8Array<ArrayBuffer>) =>
      (await decodeImage(new Blob([bytes]), name)).data;
    expect(await pixels(after)).toEqual(await pixels(before));
  });
}

test("a file without a profile is left as it is", () => {
  const bytes = read("photo.jpg");
  expect(withoutProfile(bytes, "jpeg")).toBe(bytes);
});

test("whatever the bytes, it ends and never grows", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom("jpeg", "png", "webp", "gif"),
      (bytes, format) => withoutProfile(bytes as Uint8Array<ArrayBuffer>, format).length <= bytes.length,
    ),
  );
});
