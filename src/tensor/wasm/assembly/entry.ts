// Kernels on tfjs's own heap, for any number of threads. A job is a kernel, its arguments and a number of chunks;
// whoever is free takes the next chunk. Each chunk writes numbers of its own and computes them in one way, so results
// do not depend on who took it. Nothing here owns memory: no data segment, no stack in memory, no allocation.
import { attention, attentionInputGradient } from "./attention.ts";
import { adamw, addTokens, gelu, geluInputGradient, patchify } from "./elements.ts";
import { product } from "./product.ts";
import { layerNorm, layerNormInputGradient } from "./rows.ts";

// The control block, in bytes; what threads poll has a cache line of its own. ../machine.ts writes JOB and ARGUMENTS.
/** Counts jobs; threads sleep on it. */
const TURN: usize = 0;
/** Helpers at work on the open job; OPEN while they may join. */
const HELPERS: usize = 64;
const NEXT: usize = 128;
const JOB: usize = 192; // kernel, chunks, scratch address, scratch bytes of a thread
const ARGUMENTS: usize = 256;

const OPEN: i32 = 1 << 30;
/** How often a thread looks again before it sleeps: about the time waking it would take. */
const PATIENCE: i32 = 20000;

function compute(kernel: i32, chunk: i32, args: usize, scratch: usize): void {
  // in the order of `kernels` in ../machine.ts
  switch (kernel) {
    case 0: return product(chunk, args, scratch);
    case 1: return attention(chunk, args, scratch);
    case 2: return attentionInputGradient(chunk, args, scratch);
    case 3: return layerNorm(chunk, args);
    case 4: return layerNormInputGradient(chunk, args);
    case 5: return gelu(chunk, args);
    case 6: return geluInputGradient(chunk, args);
    case 7: return patchify(chunk, args);
    case 8: return addTokens(chunk, args);
    case 9: return adamw(chunk, args);
    default: unreachable();
  }
}

/** Takes chunks of the open job until none is left. */
function work(control: usize, thread: i32): void {
  const kernel = load<i32>(control + JOB);
  const chunks = load<i32>(control + JOB, 4);
  const scratch = load<usize>(control + JOB, 8) + <usize>thread * load<usize>(control + JOB, 12);
  for (;;) {
    const chunk = atomic.add<i32>(control + NEXT, 1);
    if (chunk >= chunks) return;
    compute(kernel, chunk, control + ARGUMENTS, scratch);
  }
}

/** Does the job in the control block, with `helpers` other threads where they come in time. Returns when it is done. */
export function run(control: usize, helpers: i32): void {
  atomic.store<i32>(control + NEXT, 0);
  if (helpers == 0 || load<i32>(control + JOB, 4) == 1) return work(control, 0);
  atomic.store<i32>(control + HELPERS, OPEN);
  atomic.add<i32>(control + TURN, 1);
  atomic.notify(control + TURN, helpers);
  work(control, 0);
  // Who has not come by now is not waited for: a machine that is busy with other things costs no more than its help.
  atomic.and<i32>(control + HELPERS, ~OPEN);
  let looks = 0;
  for (;;) {
    const left = atomic.load<i32>(control + HELPERS);
    if (left == 0) return;
    if (++looks > PATIENCE) atomic.wait<i32>(control + HELPERS, left, -1);
  }
}

/** A helper thread's life. */
export function serve(control: usize, thread: i32): void {
  let seen = atomic.load<i32>(control + TURN);
  for (;;) {
    let looks = 0;
    for (;;) {
      const turn = atomic.load<i32>(control + TURN);
      if (turn != seen) {
        seen = turn;
        break;
      }
      if (++looks > PATIENCE) atomic.wait<i32>(control + TURN, seen, -1);
    }
    if (!join(control)) continue;
    work(control, thread);
    if (atomic.sub<i32>(control + HELPERS, 1) == 1) atomic.notify(control + HELPERS, 1);
  }
}

/** Enters the open job; false when it has closed. */
function join(control: usize): bool {
  let now = atomic.load<i32>(control + HELPERS);
  while (now & OPEN) {
    const found = atomic.cmpxchg<i32>(control + HELPERS, now, now + 1);
    if (found == now) return true;
    now = found;
  }
  return false;
}
