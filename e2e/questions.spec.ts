// Weights without their configs: what the files leave open is asked, the usual value filled in, and with the answers
// given the model can be used.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import {
  demoZips,
  drop,
  dropZone,
  emptyFolder,
  open,
  pictureFolder,
  region,
  runStrip,
  tinyModelFolder,
} from "./support.ts";

test("a model without configs is asked about, and runs once it is answered", async ({ page }) => {
  const bare = emptyFolder("bare");
  cpSync(join(tinyModelFolder, "model.safetensors"), join(bare, "model.safetensors"));
  const target = await pictureFolder("few", demoZips.target, ["animal", "vehicle"], { train: 4, val: 2 });
  await open(page);
  await drop(page, dropZone(page, "Model"), [bare]);
  const form = page.getByRole("form", { name: "What the model's files leave open" });
  await expect(form).toBeVisible();
  await drop(page, dropZone(page, "Target images"), [target]);
  await expect(region(page, "few")).toBeVisible();
  await expect(runStrip(page)).toContainText("Answer what the model's files leave open");

  const apply = form.getByRole("button", { name: "Apply" });
  const heads = form.getByRole("textbox", { name: "How many attention heads?" });
  await heads.fill("none");
  await expect(form).toContainText("Not a value this can have");
  await expect(apply).toBeDisabled();
  await heads.fill("3");
  await form.getByRole("combobox", { name: "How are images resized?" }).selectOption("bicubic");
  await apply.click();
  await expect(form).toBeHidden();
  await expect(region(page, "Model")).toContainText("2, 3, 24");
  await expect(region(page, "Model")).toContainText("bicubic");
  await expect(runStrip(page)).toContainText("Ready");
});
