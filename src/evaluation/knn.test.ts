// k-NN against PyTorch's topk and scatter, and against a search that sorts everything.
import { describe, expect, it } from "vitest";
import "../tensor/allclose.ts";
import { readFixture } from "../checkpoint/testing/fixture.ts";
import { random } from "../random.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal } from "../tensor/testing/numbers.ts";
import { type Bank, knnTemperature, nearestNeighbours, neighbourVotes } from "./knn.ts";

const unit = (row: Float32Array) => {
  const length = Math.hypot(...row);
  return Float64Array.from(row, (value) => value / length);
};

/** By sorting all of the bank, in f64. */
function bruteForce({ features, labels }: Bank, query: Float32Array, k: number, classes: number, self = -1) {
  const width = query.length;
  const asked = unit(query);
  const near = Array.from(labels, (label, i) => {
    const row = unit(features.subarray(i * width, (i + 1) * width));
    return { i, label, cosine: row.reduce((sum, value, d) => sum + value * asked[d]!, 0) };
  })
    .filter(({ i }) => i !== self)
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, k);
  const votes = new Float64Array(classes);
  for (const { label, cosine } of near) votes[label]! += Math.exp(cosine / knnTemperature);
  return votes.indexOf(Math.max(...votes));
}

onEveryBackend(() => {
  it("answers as PyTorch does, of others and of its own bank", async () => {
    const fixture = await readFixture(new URL("./fixtures/knn.safetensors", import.meta.url));
    const bank = {
      features: fixture.values("bank"),
      labels: Int32Array.from(fixture.values("labels")),
    };
    const classes = fixture.json<number>("classes");
    for (const k of [1, 5, 20]) {
      const { predictions: answers } = await nearestNeighbours(bank, fixture.values("queries"), {
        k,
        classes,
      });
      expect([...answers]).toEqual([...fixture.values(`answers_${k}`)]);
      const { predictions: left } = await nearestNeighbours(bank, null, { k, classes });
      expect([...left]).toEqual([...fixture.values(`left_out_${k}`)]);
    }
  });

  it("agrees with a search that sorts everything, also where similarities come in several parts", async () => {
    const width = 6;
    const size = 1500;
    const stream = random(3);
    const bank = {
      features: normal(size * width, 1),
      labels: Int32Array.from({ length: size }, () => Math.floor(stream.next() * 5)),
    };
    // Their similarities are more than are read back at once.
    const queries = normal(1500 * width, 2);
    const seen: number[] = [];
    const { predictions: answers } = await nearestNeighbours(bank, queries, {
      k: 7,
      classes: 5,
      onProgress: (done, total) => seen.push(done / total),
    });
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.at(-1)).toBe(1);
    for (const q of [0, 1, 1397, 1398, 1399, 1499]) {
      const query = queries.subarray(q * width, (q + 1) * width);
      expect(answers[q]).toBe(bruteForce(bank, query, 7, 5));
    }
    const { predictions: left } = await nearestNeighbours(bank, null, { k: 7, classes: 5 });
    for (const q of [0, 1, 1398, 1499]) {
      const query = bank.features.subarray(q * width, (q + 1) * width);
      expect(left[q]).toBe(bruteForce(bank, query, 7, 5, q));
    }
  });

  it("takes a bank smaller than k, and a feature of zeros", async () => {
    const bank = { features: Float32Array.from([1, 0, 0, 1, 0, 0]), labels: Int32Array.from([1, 0, 1]) };
    const { predictions: answers } = await nearestNeighbours(bank, Float32Array.from([0, 2, 3, 0]), {
      k: 20,
      classes: 2,
    });
    expect([...answers]).toEqual([0, 1]);
  });
});

describe("the vote", () => {
  it("is PyTorch's", async () => {
    const fixture = await readFixture(new URL("./fixtures/knn.safetensors", import.meta.url));
    const labels = Int32Array.from(fixture.values("labels"));
    const [size, width] = fixture.shape("bank") as [number, number];
    const row = (name: string, i: number) => unit(fixture.values(name).subarray(i * width, (i + 1) * width));
    for (const k of [1, 5, 20])
      for (const q of [0, 17, 59]) {
        const query = row("queries", q);
        const cosines = Float32Array.from({ length: size }, (_, i) =>
          row("bank", i).reduce((sum, value, d) => sum + value * query[d]!, 0),
        );
        const expected = fixture.values(`votes_${k}`).subarray(q * 4, q * 4 + 4);
        expect(neighbourVotes(cosines, labels, k, 4)).toBeAllClose(expected, { atol: 1e-5 });
      }
  });

  it("prefers the earlier of two equals, and has nothing to say of one alone", () => {
    const labels = Int32Array.from([2, 1, 0]);
    const same = Float32Array.from([0.5, 0.5, 0.5]);
    expect([...neighbourVotes(same, labels, 2, 3)]).toEqual([0, 0.5, 0.5]);
    expect([...neighbourVotes(same, labels, 1, 3, 0)]).toEqual([0, 1, 0]);
    expect([...neighbourVotes(Float32Array.from([1]), Int32Array.from([0]), 5, 1, 0)]).toEqual([0]);
  });
});
