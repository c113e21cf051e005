import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { FailedRows } from "./RunsTable.tsx";

it("lists a run of a row that failed, and why", () => {
  const failed = [{ name: "Selective LoRA, seed 5", text: "The loss ran away." }];
  const markup = renderToStaticMarkup(
    <table>
      <tbody>
        <FailedRows failed={failed} columns={10} />
      </tbody>
    </table>,
  );
  expect(markup.match(/<tr>/g)).toHaveLength(1);
  expect(
    markup
      .replace(/<[^>]+>/g, " ")
      .replace(/\s+/g, " ")
      .trim(),
  ).toBe("Selective LoRA, seed 5 failed The loss ran away.");
});
