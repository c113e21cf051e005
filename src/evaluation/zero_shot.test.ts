// Zero-shot probabilities of pictures' features against transformers' own, from the same prompts.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "../tensor/allclose.ts";
import { openBackend } from "../tensor/backend.ts";
import { linear } from "../tensor/linear.ts";
import { take } from "../tensor/testing/numbers.ts";
import { unitRows } from "../tensor/unit_rows.ts";
import { expectedText, textFiles, textSource } from "../text/testing/load.ts";
import { openText } from "../text/tower.ts";
import type { TextTower } from "../text/types.ts";
import { zeroShotHead } from "./zero_shot.ts";

it.each(["clip", "siglip"])("gives transformers' probabilities: %s", async (name) => {
  const backend = await openBackend("wasm");
  const fixture = await expectedText();
  const files = await textFiles(name);
  const { tower } = await openText(await textSource(files), files, "gelu");
  const classes = fixture.json<string[]>("classes");
  const templates = fixture.json<string[]>("templates");
  const [count, size] = fixture.shape(`${name}.image_features`) as [number, number];
  const probabilities = async (sentences: string[]) => {
    const head = await zeroShotHead(tower as TextTower, classes, sentences);
    expect(head.bias.length).toBe(classes.length);
    const logits = tf.tidy(() =>
      linear(
        unitRows(tf.tensor2d(fixture.values(`${name}.image_features`), [count, size])),
        tf.tensor2d(head.weight, [head.classes, size]),
        tf.tensor1d(head.bias),
      ),
    );
    const given = { logits: logits.clone(), softmax: tf.softmax(logits), sigmoid: tf.sigmoid(logits) };
    logits.dispose();
    return {
      logits: await take(given.logits),
      softmax: await take(given.softmax),
      sigmoid: await take(given.sigmoid),
    };
  };
  const one = await probabilities(templates.slice(0, 1));
  expect(one.logits).toBeAllClose(fixture.values(`${name}.logits`), { atol: 1e-3 });
  expect(one.softmax).toBeAllClose(fixture.values(`${name}.softmax`), { atol: 1e-4 });
  expect(one.sigmoid).toBeAllClose(fixture.values(`${name}.sigmoid`), { atol: 1e-4 });
  const several = await probabilities(templates);
  expect(several.softmax).toBeAllClose(fixture.values(`${name}.ensemble_softmax`), { atol: 1e-4 });
  expect(several.sigmoid).toBeAllClose(fixture.values(`${name}.ensemble_sigmoid`), { atol: 1e-4 });
  await backend.close();
});
