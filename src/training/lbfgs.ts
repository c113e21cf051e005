// Limited-memory BFGS (Liu & Nocedal 1989) with Armijo backtracking, for smooth convex functions of a few thousand
// variables whose value comes from a device in f32: it ends quietly where rounding hides any further descent.

export interface Evaluated {
  value: number;
  gradient: Float64Array;
}

const memory = 10;
const armijo = 1e-4;
/** Relative size of rounding in a value that was summed in f32. */
const rounding = 1e-6;

/**
 * Minimises `evaluate` from `start`.
 * @param tolerance ends when no entry of the gradient is larger
 * @param onIteration called before each; may throw to cancel
 * @returns the point and how many evaluations it took
 */
export async function minimise(
  evaluate: (x: Float64Array) => Promise<Evaluated>,
  start: Float64Array,
  {
    iterations,
    tolerance,
    onIteration,
  }: { iterations: number; tolerance: number; onIteration?: (iteration: number) => void },
): Promise<{ x: Float64Array; value: number; evaluations: number }> {
  let x = start;
  let here = await evaluate(x);
  let evaluations = 1;
  const steps: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    if (largest(here.gradient) <= tolerance) break;
    onIteration?.(iteration);
    const direction = descent(here.gradient, steps);
    const slope = dot(direction, here.gradient);
    // Without curvature known yet, a step of length at most 1.
    let rate = steps.length > 0 ? 1 : Math.min(1, 1 / Math.sqrt(dot(here.gradient, here.gradient)));
    let found: { x: Float64Array; at: Evaluated } | null = null;
    for (let attempt = 0; attempt < 20 && !found; attempt++, rate /= 2) {
      const tried = x.map((value, i) => value + rate * (direction[i] as number));
      const at = await evaluate(tried);
      evaluations += 1;
      const allowed = here.value + armijo * rate * slope + rounding * Math.abs(here.value);
      // Within rounding the value cannot judge; the gradient can.
      const gains = at.value < here.value || largest(at.gradient) < largest(here.gradient);
      if (at.value <= allowed && gains) found = { x: tried, at };
    }
    if (!found) break;
    const s = found.x.map((value, i) => value - (x[i] as number));
    const y = found.at.gradient.map((value, i) => value - (here.gradient[i] as number));
    const curvature = dot(s, y);
    if (curvature > 1e-10 * dot(y, y)) {
      steps.push({ s, y, rho: 1 / curvature });
      if (steps.length > memory) steps.shift();
    }
    x = found.x;
    here = found.at;
  }
  return { x, value: here.value, evaluations };
}

/** The two-loop recursion: minus the approximate inverse Hessian times the gradient. */
function descent(
  gradient: Float64Array,
  steps: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  const q = gradient.map((value) => -value);
  const alphas: number[] = [];
  for (const { s, y, rho } of [...steps].reverse()) {
    const alpha = rho * dot(s, q);
    alphas.unshift(alpha);
    addScaled(q, -alpha, y);
  }
  const last = steps.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i] = (q[i] as number) * scale;
  }
  steps.forEach(({ s, y, rho }, i) => {
    addScaled(q, (alphas[i] as number) - rho * dot(y, q), s);
  });
  return q;
}

function addScaled(target: Float64Array, factor: number, x: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + factor * (x[i] as number);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function largest(x: Float64Array): number {
  let size = 0;
  for (const value of x) size = Math.max(size, Math.abs(value));
  return size;
}
