import { expect, test } from "vitest";
import { fingerprintOf } from "./fingerprint.ts";

const file = (path: string, text: string) => ({ path, blob: new Blob([text]) });
const pets = [file("pets/cat/1.png", "cat"), file("pets/dog/1.png", "dog")];

test("the same files are the same, whatever the order and the folder's name", async () => {
  const print = await fingerprintOf(pets);
  expect(print).toMatch(/^[0-9a-f]{12}$/);
  expect(await fingerprintOf(pets.toReversed())).toBe(print);
  expect(await fingerprintOf(pets.map((one) => ({ ...one, path: one.path.replace("pets", "p") })))).toBe(
    print,
  );
});

test("a byte, a name or a file more is another", async () => {
  const prints = await Promise.all(
    [
      pets,
      [pets[0]!, file("pets/dog/1.png", "dig")],
      [pets[0]!, file("pets/dig/1.png", "dog")],
      [...pets, file("pets/dog/2.png", "")],
      [],
    ].map((files) => fingerprintOf(files)),
  );
  expect(new Set(prints).size).toBe(prints.length);
});

test("a file that cannot be read has none", async () => {
  const gone = new Blob(["x"]);
  gone.slice = () => {
    throw new Error("gone");
  };
  expect(await fingerprintOf([{ path: "a", blob: gone }])).toBeNull();
});
