// WebGPU body of softmax cross-entropy (../cross_entropy.ts): [B, C + 1], gradient and each row's share of the loss.
import { registerBody, runShader } from "./program.ts";
import { byRow } from "./rows.ts";

registerBody("SoftmaxCrossEntropy", ({ logits, labels, weights }, attributes, backend) => {
  const [batch, classes] = logits!.shape as [number, number];
  const { lanes, name, program, reductions } = byRow(backend);
  return runShader(backend, {
    ...program,
    key: `softmaxCrossEntropy ${name}`,
    inputs: [
      { name: "logits", tensor: logits! },
      { name: "labels", tensor: labels! },
      { name: "weights", tensor: weights! },
    ],
    shape: [batch, classes + 1],
    invocations: batch * lanes,
    integers: { rows: batch, classes },
    floats: { smoothing: attributes.smoothing as number },
    code: () => `
      ${reductions}
      fn main(index : i32) {
        let wanted = index / ${lanes};
        let lane = index % ${lanes};
        // no early return: barriers follow
        let row = min(wanted, uniforms.rows - 1);
        let classes = select(0, uniforms.classes, wanted < uniforms.rows);
        let start = row * uniforms.classes;
        var peak = -3.0e38;
        for (var c = lane; c < classes; c += ${lanes}) { peak = max(peak, logits[start + c]); }
        let top = largest(peak);
        var part = 0.0;
        for (var c = lane; c < classes; c += ${lanes}) { part += exp(max(logits[start + c] - top, -80.0)); }
        let sum = total(part);
        let logSum = log(sum);
        var weight = 0.0;
        for (var b = lane; b < uniforms.rows; b += ${lanes}) { weight += weights[b]; }
        let share = weights[row] / total(weight);
        let rest = uniforms.smoothing / f32(uniforms.classes);
        var loss = 0.0;
        for (var c = lane; c < classes; c += ${lanes}) {
          let shifted = logits[start + c] - top;
          let aim = select(0.0, 1.0 - uniforms.smoothing, c == labels[row]) + rest;
          loss += aim * (logSum - shifted);
          result[start + row + c] = share * (exp(max(shifted, -80.0)) / sum - aim);
        }
        let whole = total(loss);
        if (lane == 0 && wanted < uniforms.rows) { result[start + row + classes] = share * whole; }
      }
    `,
  });
});
