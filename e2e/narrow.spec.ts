// The narrowest telephone: nothing scrolls sideways at 320 px, and every control is large enough for a thumb.
import { expect, type Page, test } from "@playwright/test";
import { loadTiny, open, runStrip, setNumber } from "./support.ts";

test.use({ viewport: { width: 320, height: 640 } });

const tabs = ["Input", "Watch", "Results", "Runs"];

/** What is wider than the screen, on the tab that is shown. */
const tooWide = (page: Page) =>
  page.evaluate(() =>
    [document.documentElement, document.body, document.querySelector("main")]
      .filter((one) => one !== null && one.scrollWidth > one.clientWidth)
      .map((one) => `${one?.tagName} ${one?.scrollWidth} > ${one?.clientWidth}`),
  );

/**
 * Controls under 24 px on a side whose circle of 24 px meets another control's: what WCAG 2.2 (2.5.8) calls too small.
 * Words within a sentence are excepted there, and cells of the map of blocks, which is a table of the same as well.
 */
const tooSmall = (page: Page) =>
  page.evaluate(() => {
    const controls = 'button, a[href], input, [role="switch"], [role="slider"], [role="tab"], summary';
    const shown = [...document.querySelectorAll<HTMLElement>(controls)].filter(
      (one) =>
        one.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
        !one.closest("p, [inert]"),
    );
    const boxes = shown.map((one) => {
      // A box that is ticked by its label is as large as both.
      const label = one instanceof HTMLInputElement ? one.labels?.[0] : null;
      const [a, b] = [one.getBoundingClientRect(), (label ?? one).getBoundingClientRect()];
      return a.height * a.width > b.height * b.width ? a : b;
    });
    const middle = (box: DOMRect) => [box.x + box.width / 2, box.y + box.height / 2] as const;
    return shown.flatMap((one, i) => {
      const box = boxes[i] as DOMRect;
      if (box.width === 0 || Math.min(box.width, box.height) >= 24) return [];
      const [x, y] = middle(box);
      const crowded = boxes.some((other, k) => {
        if (k === i || other.width === 0 || shown[k]?.contains(one) || one.contains(shown[k] as HTMLElement))
          return false;
        const away = Math.hypot(
          Math.max(other.left - x, 0, x - other.right),
          Math.max(other.top - y, 0, y - other.bottom),
        );
        return away < 12;
      });
      if (!crowded) return [];
      const name = one.getAttribute("aria-label") || one.textContent?.trim() || one.className;
      return [`${one.tagName} "${name}" ${Math.round(box.width)} x ${Math.round(box.height)}`];
    });
  });

async function check(page: Page): Promise<void> {
  for (const tab of tabs) {
    await page.getByRole("tab", { name: tab }).click();
    expect.soft(await tooWide(page), tab).toEqual([]);
    expect.soft(await tooSmall(page), tab).toEqual([]);
  }
  await page.getByRole("tab", { name: "Input" }).click();
}

test("a run on a screen of 320 px", async ({ page }) => {
  await open(page);
  await check(page);
  await loadTiny(page);
  await check(page);
  await setNumber(page, "Epochs", 1);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
  await check(page);
});
