// One look: quiet greys with a trace of blue, one accent, figures that line up.
import { type CSSVariablesResolver, createTheme } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "ink",
  primaryShade: { light: 7, dark: 6 },
  colors: {
    ink: [
      "#eef2fd",
      "#dbe3fa",
      "#b5c4f3",
      "#92a9ef",
      "#748fe8",
      "#5a79df",
      "#4767d2",
      "#3b5ac4",
      "#304aa5",
      "#263b85",
    ],
    dark: [
      "#dde1e9",
      "#b4bbc8",
      "#949dae",
      "#626b7c",
      "#3b4250",
      "#2e343f",
      "#232830",
      "#191d23",
      "#13161b",
      "#0d0f13",
    ],
  },
  // Fonts that are there; nothing is fetched.
  fontFamily:
    '-apple-system, "Segoe UI Variable Text", "Segoe UI", Roboto, Inter, Ubuntu, Cantarell, "Noto Sans", "Helvetica Neue", "Liberation Sans", Arial, sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  defaultRadius: "sm",
  radius: { xs: "3px", sm: "6px", md: "8px", lg: "12px" },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Tooltip: { defaultProps: { multiline: true, maw: 280, withArrow: true, openDelay: 150 } },
    Popover: { defaultProps: { shadow: "md", withArrow: true } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Dismiss" } } },
    NumberInput: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "xs" } },
    SegmentedControl: { defaultProps: { size: "xs" } },
    Button: { defaultProps: { size: "xs" } },
  },
});

/** Greys that keep 4.5:1 on their ground, and the surfaces that panels stand on. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#1b2029",
    "--mantine-color-dimmed": "#5b6472",
    "--mantine-color-placeholder": "#737c8a",
    "--mantine-color-default-border": "#d3d8e0",
    "--studio-ground": "#f4f5f8",
    "--studio-panel": "#ffffff",
    "--studio-sunken": "#f4f5f8",
    "--studio-line": "#e1e5eb",
    "--studio-accent": "#3b5ac4",
    "--studio-good": "#1f7a4d",
    "--studio-warn": "#9a5b00",
    "--studio-bad": "#b3261e",
  },
  dark: {
    "--mantine-color-body": "#191d23",
    "--mantine-color-text": "#dde1e9",
    "--mantine-color-dimmed": "#98a1b2",
    "--mantine-color-placeholder": "#7d8798",
    "--studio-ground": "#111419",
    "--studio-panel": "#191d23",
    "--studio-sunken": "#13161b",
    "--studio-line": "#2b313b",
    "--studio-accent": "#92a9ef",
    "--studio-good": "#5fc492",
    "--studio-warn": "#e2ab55",
    "--studio-bad": "#f0867f",
  },
});
