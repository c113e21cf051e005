// "Save as" of a figure: a picture, a drawing, or its numbers.
import { ActionIcon, Menu } from "@mantine/core";
import type { RefObject } from "react";
import { Icon } from "../shared/Icon.tsx";
import { save } from "../shared/save.ts";
import { type FigureWords, pngFile, svgFile } from "./figure_file.ts";

interface SaveFigureProps extends FigureWords {
  /** What holds the chart. */
  figure: RefObject<HTMLElement | null>;
  /** File name without its ending. */
  file: string;
  csv: () => string;
}

export function SaveFigure({ figure, file, csv, title, legend }: SaveFigureProps) {
  const drawn = () => {
    const chart = figure.current?.querySelector<SVGSVGElement>("svg.recharts-surface");
    return chart ? svgFile(chart, { title, legend }) : null;
  };
  const saveSvg = () => {
    const svg = drawn();
    if (svg) save(`${file}.svg`, new Blob([svg], { type: "image/svg+xml" }));
  };
  const savePng = async () => {
    const svg = drawn();
    if (svg) save(`${file}.png`, await pngFile(svg));
  };
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" size="sm" aria-label={`Save ${title} as a file`}>
          <Icon name="save" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void savePng()}>Picture (PNG)</Menu.Item>
        <Menu.Item onClick={saveSvg}>Drawing (SVG)</Menu.Item>
        <Menu.Item onClick={() => save(`${file}.csv`, new Blob([csv()], { type: "text/csv" }))}>
          Numbers (CSV)
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
