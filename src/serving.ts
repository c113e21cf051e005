// The headers that the studio is served with, whoever serves it: the development server, the terminal's own, or the
// page's service worker where a host sends none.

/** Isolation, so that the WASM engine may use threads. */
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/**
 * Headers of one file. A worker takes its policy from its own answer and not from the page: only the library's may speak
 * to other servers, and what it speaks must be encrypted, or go to this very machine.
 */
export function headersFor(url: string): Record<string, string> {
  const library = /\/library_worker[^/]*$/.test(url.replace(/[?#].*$/, ""));
  const elsewhere = library ? " https: http://localhost:* http://127.0.0.1:*" : "";
  return { ...isolation, "Content-Security-Policy": `connect-src 'self'${elsewhere}` };
}
