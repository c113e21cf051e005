// The browser's decoder and our resizing give the pixels of PIL and of transformers' image processors: the same
// fixtures that the decoder for Node is held to (src/dataset/preprocess.test.ts).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { bundlePixels, fixtures, manifest, odd } from "./pixels_bundle.ts";

test("the browser gives the reference's pixels", async ({ page }) => {
  const code = await bundlePixels();
  // Addresses on the studio's own origin that only this page knows.
  await page.route("**/pixels/*", (route) => {
    const name = new URL(route.request().url()).pathname.split("/").at(-1) ?? "";
    if (name === "page.html") return route.fulfill({ contentType: "text/html", body: "<!doctype html>" });
    if (name === "module.js") return route.fulfill({ contentType: "text/javascript", body: code });
    return route.fulfill({ body: readFileSync(join(fixtures, name)) });
  });
  await page.goto("/pixels/page.html");

  const decoded = await page.evaluate(
    async (names) => {
      const address = "/pixels/module.js";
      const { decodeImage }: typeof import("./pixels_module.ts") = await import(address);
      const results = [];
      for (const name of names) {
        const blob = await (await fetch(`/pixels/${name}`)).blob();
        const { width, height, data } = await decodeImage(blob, name);
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
        const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        results.push({ name, width, height, sha256 });
      }
      return results;
    },
    manifest.images.map(({ name }) => name),
  );
  expect.soft(decoded).toEqual(manifest.images.map(({ lossy: _, ...rest }) => rest));

  const worst = await page.evaluate(
    async (files) => {
      const address = "/pixels/module.js";
      const { decodeImage }: typeof import("./pixels_module.ts") = await import(address);
      const bytesOf = async (text: string) =>
        new Uint8Array(await (await fetch(`data:;base64,${text}`)).arrayBuffer());
      const results = [];
      for (const { name, file, width, height, pixels } of files) {
        const image = await decodeImage(new Blob([await bytesOf(file)]), name);
        const expected = await bytesOf(pixels);
        const shape = image.width === width && image.height === height;
        const far = image.data.reduce(
          (most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? 999))),
          0,
        );
        results.push({ name, worst: shape ? far : 999 });
      }
      return results;
    },
    [...odd.deep, ...odd.turned],
  );
  expect(worst.length).toBe(50);
  for (const { name, worst: far } of worst)
    expect.soft(far, name).toBeLessThanOrEqual(name.endsWith("jpeg") ? 1 : 0);

  const compared = await page.evaluate(async (specs) => {
    const address = "/pixels/module.js";
    const { decodeImage, outputSize, preprocess }: typeof import("./pixels_module.ts") = await import(
      address
    );
    const results = [];
    for (const { name: specName, spec, images } of specs) {
      const expected = new Uint8Array(await (await fetch(`/pixels/${specName}.bin`)).arrayBuffer());
      const { width, height } = outputSize(spec);
      for (const [i, image] of images.entries()) {
        const decodedImage = await decodeImage(await (await fetch(`/pixels/${image}`)).blob(), image);
        const actual = preprocess(decodedImage, spec);
        const at = i * width * height * 3;
        let worst = 0;
        let total = 0;
        actual.forEach((value, n) => {
          const difference = Math.abs(value - (expected[at + n] ?? Number.NaN));
          worst = Math.max(worst, difference);
          total += difference;
        });
        results.push({ image, specName, worst, mean: total / actual.length });
      }
    }
    return results;
  }, manifest.specs);
  for (const { image, specName, worst, mean } of compared) {
    const lossy = manifest.images.find(({ name }) => name === image)?.lossy;
    expect.soft(worst, `${image}, ${specName}: worst`).toBeLessThanOrEqual(lossy ? 3 : 0);
    expect.soft(mean, `${image}, ${specName}: mean`).toBeLessThanOrEqual(lossy ? 1 : 0);
  }
});
