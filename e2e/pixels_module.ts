// What pixels.spec.ts brings into a page of its own; no part of the studio's build.
export { decodeImage } from "../src/dataset/decode_browser.ts";
export { outputSize, preprocess } from "../src/dataset/preprocess.ts";
