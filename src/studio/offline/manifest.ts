// What makes the page installable: its name, its colours, its icon, drawn once for every size.
import { SHARE_FIELD } from "./share_box.ts";

/** Six gates, one of them open: the mark in the page's header. A maskable icon keeps it in the middle. */
export const icon = (size: number): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="-3 -3 22 22"><rect x="-3" y="-3" width="22" height="22" fill="#3b5ec9"/><path d="M4 4.5h3M4 8h3M4 11.5h3M9 4.5h3M9 11.5h3" stroke="#fff" stroke-opacity=".45" stroke-width="2"/><path d="M9 8h3" stroke="#fff" stroke-width="2"/></svg>`;

const size = (edge: number) => ({
  src: `icon-${edge}.png`,
  sizes: `${edge}x${edge}`,
  type: "image/png",
  purpose: "any maskable",
});

/** https://www.w3.org/TR/appmanifest; addresses are relative to the manifest. */
export const manifest = {
  name: "Selora",
  short_name: "Selora",
  description: "Teach a Vision Transformer a new domain without making it forget the old one.",
  start_url: "./",
  scope: "./",
  display: "standalone",
  background_color: "#ffffff",
  theme_color: "#3b5ec9",
  icons: [size(192), size(512)],
  // Taken by the service worker (share_box.ts), so that nothing that is shared leaves the machine.
  share_target: {
    action: "share",
    method: "POST",
    enctype: "multipart/form-data",
    params: { files: [{ name: SHARE_FIELD, accept: ["image/*"] }] },
  },
};
