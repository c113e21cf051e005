import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createShareBox, SHARE_FIELD, type SharedFile } from "./share_box.ts";

const scope = "https://host.test/x/y/";
const box = createShareBox(scope);

/** What a browser keeps, as far as the box needs it; full beyond so many entries. */
function fakeCaches(room: number) {
  const kept = new Map<string, Response>();
  const cache = {
    keys: async () => [...kept.keys()].map((url) => ({ url })),
    async put(url: string, response: Response) {
      if (kept.size >= room) throw new DOMException("full", "QuotaExceededError");
      kept.set(url, response);
    },
    match: async (url: string) => kept.get(url)?.clone(),
    delete: async (url: string) => kept.delete(url),
  };
  return { open: async () => cache };
}
const withRoom = (room: number) => vi.stubGlobal("caches", fakeCaches(room));
beforeEach(() => withRoom(1000));
afterEach(() => vi.unstubAllGlobals());

const picture = (name: string, size = 3) => new File([new Uint8Array(size)], name, { type: "image/png" });
async function share(files: File[]): Promise<string | null> {
  const body = new FormData();
  for (const file of files) body.append(SHARE_FIELD, file);
  const request = new Request(`${scope}share`, { method: "POST", body });
  expect(box.takes(request)).toBe(true);
  return (await box.answer(request)).headers.get("location");
}
const waiting = async (): Promise<SharedFile[]> => (await box.answer(new Request(`${scope}shared/`))).json();

test("what is shared waits under its name until it is let go", async () => {
  expect(await share([picture("a/b %2F ü.png"), picture("b.png", 5)])).toBe(scope);
  const files = await waiting();
  expect(files.map(({ name, size }) => [name, size])).toEqual([
    ["a b %2F ü.png", 3],
    ["b.png", 5],
  ]);
  const [first, second] = files as [SharedFile, SharedFile];
  expect((await (await box.answer(new Request(second.url))).blob()).size).toBe(5);
  await box.answer(new Request(first.url, { method: "DELETE" }));
  expect(await waiting()).toEqual([second]);
  expect((await box.answer(new Request(first.url))).status).toBe(404);
});

test("nothing, too many, or no room: nothing is kept, and what waited still does", async () => {
  const refused = `${scope}?shared=not`;
  expect(await share([])).toBe(refused);
  expect(await share([picture("", 0)])).toBe(refused);
  expect(await share(Array.from({ length: 501 }, (_, i) => picture(`${i}.png`)))).toBe(refused);
  withRoom(2);
  expect(await share([picture("a.png")])).toBe(scope);
  expect(await share([picture("b.png"), picture("c.png")])).toBe(refused);
  expect((await waiting()).map(({ name }) => name)).toEqual(["a.png"]);
});

test("a form that is none is refused, and other requests are not the box's", async () => {
  const broken = new Request(`${scope}share`, {
    method: "POST",
    body: "--",
    headers: { "Content-Type": "x" },
  });
  expect((await box.answer(broken)).headers.get("location")).toBe(`${scope}?shared=not`);
  for (const [method, path] of [
    ["GET", ""],
    ["GET", "share"],
    ["POST", ""],
    ["POST", "shared/"],
  ])
    expect(box.takes({ method: method as string, url: scope + path })).toBe(false);
});
