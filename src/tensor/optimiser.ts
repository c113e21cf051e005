// The two update rules. AdamW for adapters and head, SGD with momentum for gate scores: Adam would normalise the size
// of the L1 penalty away (METHOD 2.4). Both change the parameters in place and keep their moments in a state the
// caller holds, saves and frees.
import * as tf from "@tensorflow/tfjs-core";

/** Moments of AdamW, one pair per parameter, and the number of steps taken. */
export interface AdamWState {
  readonly m: readonly tf.Variable[];
  readonly v: readonly tf.Variable[];
  step: number;
}

/** Per-parameter lists, or one number for all. */
export interface AdamWSettings {
  learningRate: number | readonly number[];
  weightDecay: number | readonly number[];
  beta1: number;
  beta2: number;
  epsilon: number;
}

/** Plain numbers of an optimiser's state, for a snapshot. */
export interface SavedMoments {
  step: number;
  moments: Float32Array[];
}

/** Fresh moments (zeros), or those of a snapshot. */
export function createAdamWState(parameters: readonly tf.Variable[], saved?: SavedMoments): AdamWState {
  const count = parameters.length;
  const moment = (p: tf.Variable, values?: Float32Array) =>
    tf.tidy(() => tf.variable(values ? tf.tensor(values, p.shape) : tf.zeros(p.shape), false));
  return {
    m: parameters.map((p, i) => moment(p, saved?.moments[i])),
    v: parameters.map((p, i) => moment(p, saved?.moments[count + i])),
    step: saved?.step ?? 0,
  };
}

/** Reads the moments back: all m, then all v. */
export async function saveAdamWState(state: AdamWState): Promise<SavedMoments> {
  return { step: state.step, moments: await readAll([...state.m, ...state.v]) };
}

/** Frees the moments. */
export function disposeAdamWState(state: AdamWState): void {
  tf.dispose([...state.m, ...state.v]);
}

/**
 * One step of AdamW over all parameters (Loshchilov & Hutter 2017, arXiv 1711.05101; as torch.optim.AdamW):
 *   p ← p·(1 - lr·decay); m ← β1 m + (1-β1) g; v ← β2 v + (1-β2) g²; p ← p - lr·(m/(1-β1ᵗ)) / (sqrt(v/(1-β2ᵗ)) + ε)
 * @param gradients one per parameter, same shape; the caller frees them
 */
export function adamw(
  parameters: readonly tf.Variable[],
  gradients: readonly tf.Tensor[],
  state: AdamWState,
  settings: AdamWSettings,
): void {
  state.step += 1;
  const { beta1, beta2, epsilon } = settings;
  const correction1 = 1 - beta1 ** state.step;
  const correction2 = 1 - beta2 ** state.step;
  parameters.forEach((parameter, i) => {
    const gradient = gradients[i]!;
    const [m, v] = [state.m[i]!, state.v[i]!];
    const learningRate = pick(settings.learningRate, i);
    const keep = 1 - learningRate * pick(settings.weightDecay, i);
    const rates = { rate: learningRate, keep, unbias1: 1 / correction1, unbias2: 1 / Math.sqrt(correction2) };
    if (tf.getKernel("SeloraAdamW", tf.getBackend()) && [parameter, m, v].every(isAlone)) {
      tf.engine().runKernel(
        "SeloraAdamW",
        { parameter, gradient, m, v },
        { ...rates, beta1, beta2, epsilon },
      );
      return;
    }
    tf.tidy(() => {
      const mean = tf.add(tf.mul(m, beta1), tf.mul(gradient, 1 - beta1));
      const square = tf.add(tf.mul(v, beta2), tf.mul(tf.square(gradient), 1 - beta2));
      const denominator = tf.add(tf.mul(tf.sqrt(square), rates.unbias2), epsilon);
      const update = tf.div(tf.mul(mean, learningRate * rates.unbias1), denominator);
      m.assign(mean);
      v.assign(square);
      parameter.assign(tf.sub(tf.mul(parameter, keep), update));
    });
  });
}

/** Whether no other tensor shares this one's memory, so that changing it in place is nobody else's business. */
function isAlone(tensor: tf.Tensor): boolean {
  return tf.engine().backend.refCount(tensor.dataId) === 1;
}

/** Velocities of SGD, one per parameter, and the number of steps taken. */
export interface SgdState {
  readonly velocity: readonly tf.Variable[];
  step: number;
}

export interface SgdSettings {
  learningRate: number;
  momentum: number;
}

/** Fresh velocities (zeros), or those of a snapshot. */
export function createSgdState(parameters: readonly tf.Variable[], saved?: SavedMoments): SgdState {
  return {
    velocity: parameters.map((p, i) =>
      tf.tidy(() => {
        const values = saved?.moments[i];
        return tf.variable(values ? tf.tensor(values, p.shape) : tf.zeros(p.shape), false);
      }),
    ),
    step: saved?.step ?? 0,
  };
}

/** Reads the velocities back. */
export async function saveSgdState(state: SgdState): Promise<SavedMoments> {
  return { step: state.step, moments: await readAll(state.velocity) };
}

/** Frees the velocities. */
export function disposeSgdState(state: SgdState): void {
  tf.dispose([...state.velocity]);
}

/**
 * One step of SGD with momentum, as torch.optim.SGD without Nesterov or dampening: v ← μ v + g; p ← p - lr·v.
 * @param gradients one per parameter, same shape; the caller frees them
 */
export function sgdMomentum(
  parameters: readonly tf.Variable[],
  gradients: readonly tf.Tensor[],
  state: SgdState,
  settings: SgdSettings,
): void {
  state.step += 1;
  parameters.forEach((parameter, i) => {
    tf.tidy(() => {
      const velocity = tf.add(tf.mul(state.velocity[i]!, settings.momentum), gradients[i]!);
      state.velocity[i]!.assign(velocity);
      parameter.assign(tf.sub(parameter, tf.mul(velocity, settings.learningRate)));
    });
  });
}

function pick(value: number | readonly number[], index: number): number {
  return typeof value === "number" ? value : value[index]!;
}

function readAll(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map(async (t) => new Float32Array(await t.data())));
}
