// What a file is that is none of the pictures we read, by its first bytes: said instead of "cannot be read", because a
// web page saved as cat.jpg and a phone's HEIC want different remedies.

/** Kinds by the bytes or the letters, big or small, that they begin with. */
const STARTS: readonly [kind: string, start: readonly number[] | string][] = [
  ["a PDF", "%PDF"],
  ["a zip", [0x50, 0x4b, 3, 4]],
  ["a gzip archive", [0x1f, 0x8b]],
  ["a 7z archive", [0x37, 0x7a, 0xbc, 0xaf]],
  ["a RAR archive", "Rar!"],
  ["a TIFF picture", [0x49, 0x49, 42, 0]],
  ["a TIFF picture", [0x4d, 0x4d, 0, 42]],
  ["a Photoshop picture", "8BPS"],
  ["a JPEG XL picture", [0xff, 0x0a]],
  ["a JPEG XL picture", [0, 0, 0, 12, 0x4a, 0x58, 0x4c, 0x20]],
  ["a JPEG 2000 picture", [0, 0, 0, 12, 0x6a, 0x50, 0x20, 0x20]],
  ["an icon", [0, 0, 1, 0]],
  ["a PGM picture", "P5"],
  ["a PPM picture", "P6"],
  ["nothing but zeros", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ["a pointer of Git LFS, not the file itself", "version http"],
  ["a web page", "<!doc"],
  ["a web page", "<html"],
  ["a web page", "<head"],
  ["an SVG drawing", "<svg"],
  ["an XML file", "<?xml"],
  ["a JSON file", "{"],
];
/** Kinds of an ISO media file by its brand. */
const BRANDS: readonly [kind: string, brand: RegExp][] = [
  ["a HEIC picture", /^(hei[cmsx]|hev[cmsx]|mif1|msf1)$/],
  ["an AVIF picture", /^avi[fs]$/],
  ["a video", /./],
];

/** What a file is in words, "a PDF", by its first 12 bytes; null where that is not known. */
export function kindOf(head: Uint8Array): string | null {
  const letters = String.fromCharCode(...head.subarray(0, 12));
  if (letters.slice(4, 8) === "ftyp")
    return BRANDS.find(([, brand]) => brand.test(letters.slice(8, 12)))?.[0] ?? null;
  const text = letters.replace(/^(\xef\xbb\xbf)?\s*/, "").toLowerCase();
  const found = STARTS.find(([, start]) =>
    typeof start === "string"
      ? text.startsWith(start.toLowerCase())
      : head.length >= start.length && start.every((byte, i) => head[i] === byte),
  );
  return found?.[0] ?? null;
}
