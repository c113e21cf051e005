// A CLIP in the studio: what its files cannot tell can be set, another image size among it, and a zero-shot head made of
// class names learns, is exported and read back.
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { demoZips, drop, dropZone, open, pictureFolder, region, runStrip, setNumber } from "./support.ts";

const clip = join(import.meta.dirname, "..", "src", "text", "fixtures", "clip");

test("settings of the model, then a zero-shot head", async ({ page }) => {
  const pictures = await pictureFolder("few", demoZips.target, ["animal", "vehicle"], {
    train: 6,
    val: 2,
    test: 4,
  });
  await open(page);
  await drop(page, dropZone(page, "Model"), [clip]);
  const model = region(page, "Model");
  await expect(model).toContainText("16 px, 8 px");
  await expect(model).toContainText("quick_gelu, 1e-5");

  await test.step("an image size that does not fit is refused, one that fits is taken", async () => {
    await page.getByRole("button", { name: "Image size, preparation and what files cannot tell" }).click();
    const settings = page.getByRole("form", { name: "Settings of the model" });
    const size = settings.getByRole("textbox", { name: "Image size" });
    const apply = settings.getByRole("button", { name: "Apply" });
    await expect(apply).toBeDisabled();
    await size.fill("20");
    await apply.click();
    const alert = page.locator(".failures .failure");
    await expect(alert).toContainText("Images of 20 x 20 cannot be cut into patches of 8.");
    await alert.getByRole("button", { name: "Dismiss" }).click();
    await size.fill("24");
    await settings.getByRole("combobox", { name: "Activation" }).selectOption("gelu");
    await apply.click();
    await expect(model).toContainText("24 px, 8 px");
    await expect(model).toContainText("gelu, 1e-5");
    await expect(model).toContainText("24 × 24");
    await settings.getByRole("button", { name: "As the files have it" }).click();
    await expect(model).toContainText("16 px, 8 px");
    await expect(model).toContainText("quick_gelu, 1e-5");
    await size.fill("24");
    await apply.click();
    await expect(model).toContainText("24 px, 8 px");
  });

  await drop(page, dropZone(page, "Target images"), [pictures]);
  await expect(region(page, "few")).toContainText("4 to validate, 8 to test");
  await setNumber(page, "Epochs", 2);
  const recipe = region(page, "Recipe");
  await recipe.getByText("Own", { exact: true }).click();
  await expect(recipe).toContainText("This model has no classifier of its own.");
  await recipe.getByText("Zero-shot", { exact: true }).click();
  await recipe.getByText("Your own", { exact: true }).click();
  await page.getByRole("textbox", { name: "Prompts", exact: true }).fill("a drawing of a {}.\nan emoji: {}");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
  await expect(region(page, "Before and after")).toContainText("Target, 8 images, zero-shot");

  await page.getByRole("button", { name: "Export merged weights" }).click();
  const exported = region(page, "Export");
  await expect(exported).toContainText("classifier.safetensors", { timeout: 60_000 });
  await expect(exported).toContainText("The text tower is in the file as it was, byte for byte.");
});
