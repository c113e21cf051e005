// Images that another app hands over ("Share" on a telephone) come as a form, which the service worker takes in place of a
// server, as the page is not there yet. They lie here until the page has put them somewhere.

/** Name of the form's field for files (manifest.ts). */
export const SHARE_FIELD = "images";

/** A form may come from anywhere, so all that waits is held to what a gallery hands over: files, and bytes. */
const MOST_FILES = 500;
const MOST_BYTES = 500_000_000;

/** One file that waits. */
export interface SharedFile {
  /** What was shared together has the same: milliseconds since 1970. */
  at: number;
  name: string;
  size: number;
  /** Where the page finds it. */
  url: string;
}

/** @param scope address of the studio's folder, with a slash at its end */
export function createShareBox(scope: string) {
  // Not one of the page's own caches, which go with their version.
  const open = () => caches.open(`selora-shared ${new URL(scope).pathname}`);
  /** Address of the list, and the beginning of each file's. */
  const list = new URL("shared/", scope).href;
  const action = new URL("share", scope).href;

  function read(url: string): SharedFile {
    const [at, , size, name = ""] = url.slice(list.length).split("/");
    return { at: Number(at), size: Number(size), name: decodeURIComponent(name), url };
  }

  const waiting = async () => (await (await open()).keys()).map(({ url }) => read(url));

  /** Keeps a form's files, all or none; the answer is whether. */
  async function keep(form: FormData, at: number): Promise<boolean> {
    // A form without a file has one without bytes.
    const files = form.getAll(SHARE_FIELD).filter((one) => typeof one !== "string" && one.size > 0) as File[];
    const all = [...(await waiting()), ...files];
    const bytes = all.reduce((sum, { size }) => sum + size, 0);
    if (files.length === 0 || all.length > MOST_FILES || bytes > MOST_BYTES) return false;
    const addresses = files.map(
      ({ name, size }, i) => `${list}${at}/${i}/${size}/${encodeURIComponent(name.replaceAll("/", " "))}`,
    );
    const cache = await open();
    try {
      for (const [i, file] of files.entries()) await cache.put(addresses[i] as string, new Response(file));
    } catch {
      await Promise.all(addresses.map((address) => cache.delete(address)));
      return false;
    }
    return true;
  }

  return {
    /** Whether a request is for what is shared. */
    takes: ({ url, method }: Pick<Request, "url" | "method">) =>
      method === "POST" ? url === action : url.startsWith(list),

    /** Takes a form, and goes on to the page; tells the page what waits, hands a file over, and lets go of it. */
    async answer(request: Request): Promise<Response> {
      if (request.method === "POST") {
        const form = await request.formData().catch(() => null);
        const kept = form !== null && (await keep(form, Date.now()));
        return Response.redirect(kept ? scope : `${scope}?shared=not`, 303);
      }
      const cache = await open();
      if (request.method === "DELETE") {
        await cache.delete(request.url);
        return new Response(null, { status: 204 });
      }
      if (request.url === list) return Response.json(await waiting());
      return (await cache.match(request.url)) ?? new Response(null, { status: 404 });
    },
  };
}
