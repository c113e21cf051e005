import { expect, test } from "vitest";
import { nameOfDrop, splitDrop } from "./dropped.ts";

const drop = (...paths: string[]) => paths.map((path) => ({ path, blob: new Blob() }));

test("a drop is named after its one folder or file", () => {
  expect(nameOfDrop(drop("sketches/cat/1.png", "sketches/dog/1.png"))).toBe("sketches");
  expect(nameOfDrop(drop("photos.v2.zip"))).toBe("photos.v2");
  expect(nameOfDrop(drop("cat/1.png", "dog/1.png"))).toBeNull();
  expect(nameOfDrop([])).toBeNull();
});

test("several zips are several sets; anything else is one", () => {
  expect(splitDrop(drop("a.zip", "B.ZIP"))).toHaveLength(2);
  expect(splitDrop(drop("a.zip"))).toHaveLength(1);
  expect(splitDrop(drop("cat/1.png", "dog/2.png"))).toHaveLength(1);
  expect(splitDrop(drop("folder/a.zip", "folder/b.zip"))).toHaveLength(1);
});
