// The same work in jax-js: one jitted function for loss, gradients and AdamW, weights handed in as arguments. Its arrays
// are owned: a function uses up what it is given, and `.ref` keeps one for a second use.
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import type { Architecture } from "../../../checkpoint/types.ts";
import type { Library } from "../protocol.ts";
import {
  adam,
  adapterOf,
  alpha,
  batchOf,
  classes,
  crossEntropy,
  learningRate,
  linearNames,
  linearShape,
  mean,
  patchesOf,
  rank,
  std,
  tokensOf,
  weightDecay,
  weightOf,
  workOf,
} from "../work.ts";

/**
 * @param find the network of a task; a test hands in a smaller one
 */
export function createJax(find: typeof workOf = workOf): Library {
  return {
    async open(task) {
      const ready = await init(task.compute);
      if (!ready.includes(task.compute)) throw new Error(`jax-js finds no ${task.compute} here`);
      defaultDevice(task.compute);
      const adapter = `jax-js, ${task.compute}`;
      const architecture = find(task);
      const { imageSize } = architecture;
      const { pixels: bytes, labels } = batchOf(architecture, task.batch);
      const pixels = np.array(Float32Array.from(bytes)).reshape([task.batch, imageSize, imageSize, 3]);
      const training = task.mode !== "inference";
      const { frozen, learned } = startOf(architecture, training);
      const network = networkOf(architecture, task.batch, training);
      if (!training) {
        const run = jit(network);
        return {
          adapter,
          async step() {
            const logits = run(tree.ref(learned), tree.ref(frozen), pixels.ref);
            return crossEntropy(await logits.data(), labels);
          },
          close() {},
        };
      }

      const targets = np
        .array(
          Float32Array.from({ length: task.batch * classes }, (_, i) =>
            labels[Math.floor(i / classes)] === i % classes ? 1 / task.batch : 0,
          ),
        )
        .reshape([task.batch, classes]);
      const lossOf = (values: np.Array[], rest: np.Array[], x: np.Array, wanted: np.Array) =>
        np.negative(np.sum(nn.logSoftmax(network(values, rest, x)).mul(wanted)));
      const { beta1, beta2, epsilon } = adam;
      type State = { values: np.Array[]; m: np.Array[]; v: np.Array[] };
      const step = jit(
        (
          state: State,
          rest: np.Array[],
          x: np.Array,
          wanted: np.Array,
          correct1: np.Array,
          correct2: np.Array,
        ) => {
          const [loss, gradients] = valueAndGrad(lossOf)(tree.ref(state.values), rest, x, wanted);
          const next: State = { values: [], m: [], v: [] };
          state.values.forEach((value, i) => {
            const gradient = (gradients as np.Array[])[i] as np.Array;
            const m = (state.m[i] as np.Array).mul(beta1).add(gradient.ref.mul(1 - beta1));
            const v = (state.v[i] as np.Array).mul(beta2).add(np.square(gradient).mul(1 - beta2));
            const size = np.sqrt(v.ref.mul(correct2.ref)).add(epsilon);
            const change = m.ref.mul(correct1.ref).div(size).add(value.ref.mul(weightDecay));
            next.values.push(value.sub(change.mul(learningRate)));
            next.m.push(m);
            next.v.push(v);
          });
          correct1.dispose();
          correct2.dispose();
          return { loss, next };
        },
      );
      let state: State = {
        values: learned,
        m: learned.map((value) => np.zeros(value.shape)),
        v: learned.map((value) => np.zeros(value.shape)),
      };
      let steps = 0;
      return {
        adapter,
        async step() {
          steps += 1;
          const correction = (beta: number) => np.array([1 / (1 - beta ** steps)]);
          const made = step(
            state,
            tree.ref(frozen),
            pixels.ref,
            targets.ref,
            correction(beta1),
            correction(beta2),
          );
          state = made.next as State;
          await blockUntilReady(state);
          const [loss] = await (made.loss as np.Array).data();
          return loss as number;
        },
        close() {},
      };
    },
  };
}

/** Frozen and learned arrays in the order in which `networkOf` takes them. */
function startOf(architecture: Architecture, adapted: boolean) {
  const { hiddenSize: d, patchSize } = architecture;
  const read = (role: string, shape: number[]) => np.array(weightOf(architecture, role)).reshape(shape);
  const frozen = [
    read("patch_embed.weight", [d, 3 * patchSize ** 2]),
    read("patch_embed.bias", [d]),
    read("cls_token", [1, 1, d]),
    read("pos_embed", [tokensOf(architecture), d]),
  ];
  const learned: np.Array[] = [];
  for (let i = 0; i < architecture.layers; i++) {
    for (const norm of ["norm1", "norm2"]) {
      frozen.push(read(`layer.${i}.${norm}.weight`, [d]), read(`layer.${i}.${norm}.bias`, [d]));
    }
    for (const name of linearNames) {
      const [out, width] = linearShape(architecture, name);
      frozen.push(read(`layer.${i}.${name}.weight`, [out, width]), read(`layer.${i}.${name}.bias`, [out]));
      if (!adapted) continue;
      const { A, B } = adapterOf(architecture, i, name);
      learned.push(np.array(A).reshape([rank, width]), np.array(B).reshape([out, rank]));
    }
  }
  frozen.push(read("norm.weight", [d]), read("norm.bias", [d]));
  learned.push(read("head.weight", [classes, d]), read("head.bias", [classes]));
  return { frozen, learned };
}

/** The network: pixels to logits. */
function networkOf(architecture: Architecture, batch: number, adapted: boolean) {
  const { hiddenSize: d, heads, layers: depth, imageSize, patchSize, layerNormEps: eps } = architecture;
  const [tokens, patches, side] = [tokensOf(architecture), patchesOf(architecture), imageSize / patchSize];
  const product = (x: np.Array, weight: np.Array) => np.matmul(x, weight.transpose());
  const norm = (x: np.Array, gamma: np.Array, beta: np.Array) => {
    const centred = x.ref.sub(np.mean(x, -1, { keepdims: true }));
    const variance = np.mean(np.square(centred.ref), -1, { keepdims: true });
    return centred
      .div(np.sqrt(variance.add(eps)))
      .mul(gamma)
      .add(beta);
  };
  return (learned: np.Array[], frozen: np.Array[], pixels: np.Array): np.Array => {
    let [nextFrozen, nextLearned] = [0, 0];
    const take = () => frozen[nextFrozen++] as np.Array;
    const linear = (x: np.Array, [weight, bias, A, B]: np.Array[]) => {
      if (!A || !B) return product(x, weight as np.Array).add(bias as np.Array);
      const low = product(product(x.ref, A), B).mul(alpha / rank);
      return product(x, weight as np.Array)
        .add(bias as np.Array)
        .add(low);
    };
    const byHead = (x: np.Array) => x.reshape([batch, tokens, heads, d / heads]).transpose([0, 2, 1, 3]);

    const cut = pixels
      .div(255)
      .sub(mean)
      .div(std)
      .reshape([batch, side, patchSize, side, patchSize, 3])
      .transpose([0, 1, 3, 5, 2, 4])
      .reshape([batch * patches, 3 * patchSize ** 2]);
    const embedded = product(cut, take()).add(take()).reshape([batch, patches, d]);
    const prefix = np.broadcastTo(take(), [batch, 1, d]);
    let x = np
      .concatenate([prefix, embedded], 1)
      .add(take())
      .reshape([batch * tokens, d]);
    for (let i = 0; i < depth; i++) {
      const [gamma1, beta1, gamma2, beta2] = [take(), take(), take(), take()];
      const [q, k, v, o, fc1, fc2] = linearNames.map(() => {
        const maps = [take(), take()];
        if (adapted) maps.push(learned[nextLearned++] as np.Array, learned[nextLearned++] as np.Array);
        return maps;
      }) as [np.Array[], np.Array[], np.Array[], np.Array[], np.Array[], np.Array[]];
      const n = norm(x.ref, gamma1, beta1);
      // What its own dotProductAttention does, which does not run in Node 20.
      const keys = byHead(linear(n.ref, k)).transpose([0, 1, 3, 2]);
      const scores = np.matmul(byHead(linear(n.ref, q)), keys).mul(Math.sqrt(heads / d));
      const mixed = np.matmul(nn.softmax(scores), byHead(linear(n, v))).transpose([0, 2, 1, 3]);
      x = x.add(linear(mixed.reshape([batch * tokens, d]), o));
      const hidden = nn.gelu(linear(norm(x.ref, gamma2, beta2), fc1), { approximate: false });
      x = x.add(linear(hidden, fc2));
    }
    const cls = x.reshape([batch, tokens, d]).slice([], 0);
    const features = norm(cls, take(), take());
    return product(features, learned[nextLearned++] as np.Array).add(learned[nextLearned] as np.Array);
  };
}
