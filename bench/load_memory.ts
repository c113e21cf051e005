// What a large checkpoint takes of memory in a browser, from the drop until it is uploaded for a run:
//   npx vite build && npx tsx bench/load_memory.ts [wasm|webgpu] [pth]
// A ViT-L/16 of random weights (1.2 GB in F32) is dropped in Chromium, a few pictures beside it, and Start is pressed.
// Counted is the peak of the proportional set size of all the browser's processes over that of the empty studio, so heaps
// of WebAssembly and a software GPU's buffers are in it. Linux only; SELORA_CHROMIUM is the browser.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, expect } from "@playwright/test";
import { preview } from "vite";
import { demoZips, drop, dropZone, openOnWebGPU, pictureFolder, region, runStrip } from "../e2e/support.ts";

const shape = { hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096 };

/** Writes a ViT-L/16 of random weights for 1,000 classes; gives its bytes of tensors. */
async function writeModel(folder: string): Promise<number> {
  const { hidden_size: D, intermediate_size: M, num_hidden_layers: layers } = shape;
  const tensors: [string, number[]][] = [
    ["vit.embeddings.cls_token", [1, 1, D]],
    ["vit.embeddings.position_embeddings", [1, 197, D]],
    ["vit.embeddings.patch_embeddings.projection.weight", [D, 3, 16, 16]],
    ["vit.embeddings.patch_embeddings.projection.bias", [D]],
  ];
  const linear = (name: string, out: number, into: number) =>
    tensors.push([`${name}.weight`, [out, into]], [`${name}.bias`, [out]]);
  const norm = (name: string) => tensors.push([`${name}.weight`, [D]], [`${name}.bias`, [D]]);
  for (let i = 0; i < layers; i++) {
    const at = `vit.encoder.layer.${i}`;
    for (const part of ["query", "key", "value"]) linear(`${at}.attention.attention.${part}`, D, D);
    linear(`${at}.attention.output.dense`, D, D);
    linear(`${at}.intermediate.dense`, M, D);
    linear(`${at}.output.dense`, D, M);
    norm(`${at}.layernorm_before`);
    norm(`${at}.layernorm_after`);
  }
  norm("vit.layernorm");
  linear("classifier", 1000, D);

  const header: Record<string, unknown> = {};
  let total = 0;
  for (const [name, sides] of tensors) {
    const bytes = 4 * sides.reduce((a, b) => a * b, 1);
    header[name] = { dtype: "F32", shape: sides, data_offsets: [total, total + bytes] };
    total += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(join(folder, "model.safetensors"), "w");
  await file.writeFile(Buffer.concat([length, json]));
  const some = Float32Array.from({ length: 1 << 20 }, () => 0.04 * (Math.random() - 0.5));
  for (const [, sides] of tensors) {
    let left = 4 * sides.reduce((a, b) => a * b, 1);
    while (left > 0) {
      const part = Buffer.from(some.buffer, 0, Math.min(left, some.byteLength));
      await file.writeFile(part);
      left -= part.length;
    }
  }
  await file.close();
  writeFileSync(
    join(folder, "config.json"),
    JSON.stringify({ model_type: "vit", ...shape, image_size: 224, patch_size: 16, hidden_act: "gelu" }),
  );
  writeFileSync(
    join(folder, "preprocessor_config.json"),
    JSON.stringify({ size: 224, resample: 2, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] }),
  );
  return total;
}

/** Bytes of every process under this one that runs the browser. */
function browserBytes(): number {
  const parents = new Map<number, number>();
  for (const id of readdirSync("/proc")) {
    if (!/^\d+$/.test(id)) continue;
    try {
      const stat = readFileSync(`/proc/${id}/stat`, "utf8");
      parents.set(Number(id), Number(stat.replace(/.*\) /s, "").split(" ")[1]));
    } catch {}
  }
  const isOurs = (id: number | undefined): boolean =>
    id !== undefined && id > 1 && (id === process.pid || isOurs(parents.get(id)));
  let kilobytes = 0;
  for (const id of parents.keys()) {
    if (!isOurs(id)) continue;
    try {
      if (!readFileSync(`/proc/${id}/cmdline`, "utf8").includes("chrom")) continue;
      const rollup = readFileSync(`/proc/${id}/smaps_rollup`, "utf8");
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    } catch {}
  }
  return 1024 * kilobytes;
}

const backend = process.argv.includes("webgpu") ? "webgpu" : "wasm";
const scratch = mkdtempSync(join(tmpdir(), "selora-memory-"));
const server = await preview({ preview: { port: 0 }, logLevel: "error" });
try {
  const bytes = await writeModel(scratch);
  let model = scratch;
  if (process.argv.includes("pth")) {
    // PyTorch is the one that writes its files; interop/.venv or whichever PYTHON is.
    model = join(scratch, "large.pth");
    const save = `import sys, torch; from safetensors.torch import load_file; torch.save(load_file(sys.argv[1]), sys.argv[2])`;
    execFileSync(process.env.PYTHON ?? "interop/.venv/bin/python", [
      "-c",
      save,
      join(scratch, "model.safetensors"),
      model,
    ]);
  }
  const pictures = await pictureFolder("few", demoZips.target, ["animal", "vehicle"], {
    train: 6,
    val: 2,
    test: 4,
  });
  // A profile on disk: in a private window the browser keeps its files in memory.
  const context = await chromium.launchPersistentContext(join(scratch, "profile"), {
    executablePath: process.env.SELORA_CHROMIUM || "/usr/bin/chromium",
    baseURL: server.resolvedUrls?.local[0] as string,
    args: [
      ...["--no-sandbox", "--headless=new", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
      "--enable-unsafe-swiftshader",
    ],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  if (backend === "webgpu") await openOnWebGPU(page);
  else await page.goto("/");
  await expect(page.getByRole("button", { name: /^Device:/ })).toHaveAccessibleName(/WASM|WebGPU/);
  await page.waitForTimeout(3000);
  const empty = browserBytes();
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, browserBytes());
  }, 200);
  const began = performance.now();
  await drop(page, dropZone(page, "Model"), [model]);
  await expect(region(page, "Model")).toContainText("304 M", { timeout: 300_000 });
  const seconds = (performance.now() - began) / 1000;
  const apply = page.getByRole("button", { name: "Apply", exact: true });
  if ((await apply.count()) > 0) {
    await apply.first().click();
    await expect(apply).toHaveCount(0, { timeout: 300_000 });
  }
  await drop(page, dropZone(page, "Target images"), [pictures]);
  await expect(region(page, "few")).toContainText("8 to test", { timeout: 120_000 });
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText("Looking at the training images", { timeout: 300_000 });
  clearInterval(timer);
  console.log(
    `${backend}, ${bytes} bytes of tensors: read in ${seconds.toFixed(1)} s, peak until uploaded ` +
      `${((peak - empty) / bytes).toFixed(2)} times their size (the empty studio's ${empty} bytes not counted)`,
  );
  await context.close();
} finally {
  await server.close();
  rmSync(scratch, { recursive: true });
}
process.exit(0);
