// Declares a WebAssembly module's memory shared, which lets other threads see it. Tfjs has a build of its own for that,
// with threads of its own, which does not run in Node; its plain build works as well on shared memory, and kernels of
// ours can then work on the tensors in it from as many threads as they like.

/** Sections of a module that say which memory it has. */
const IMPORTS = 2;
const MEMORIES = 5;
/** A limit's flags: it has a maximum; it may be seen by several threads. */
const MAXIMUM = 1;
const SHARED = 2;

/**
 * A copy of a module whose one memory, own or imported, is declared shared or not.
 * @returns null when the module has no memory with a maximum where it is expected
 */
export function withMemory(module: Uint8Array, shared: boolean): Uint8Array<ArrayBuffer> | null {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
  };
  while (at < module.length) {
    const section = module[at++];
    const end = number() + at;
    if ((section === IMPORTS || section === MEMORIES) && number() === 1) {
      if (section === IMPORTS) {
        for (let name = 0; name < 2; name++) {
          const length = number();
          at += length;
        }
      }
      // of imports, kind 2 is a memory
      if (section === MEMORIES || module[at++] === 2) {
        const flags = module[at] as number;
        if (!(flags & MAXIMUM)) return null;
        const copy = new Uint8Array(module);
        copy[at] = shared ? flags | SHARED : flags & ~SHARED;
        return copy;
      }
    }
    at = end;
  }
  return null;
}

/**
 * Runs `start`, which makes tfjs compile its module, from its bytes, as a host may send them under any type.
 * @param share lets its memory be shared; where the engine refuses that, it stays unshared
 */
export async function compiling<T>(share: boolean, start: () => Promise<T>): Promise<T> {
  const { instantiate, instantiateStreaming } = WebAssembly;
  const sharing = async (source: BufferSource, imports?: WebAssembly.Imports) => {
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    const asItIs = () => instantiate(source, imports);
    const shared = share ? withMemory(bytes, true) : null;
    return shared ? instantiate(shared, imports).catch(asItIs) : asItIs();
  };
  try {
    // Without streaming tfjs asks for the bytes and compiles those.
    Object.assign(WebAssembly, { instantiate: sharing, instantiateStreaming: undefined });
    return await start();
  } finally {
    Object.assign(WebAssembly, { instantiate, instantiateStreaming });
  }
}
