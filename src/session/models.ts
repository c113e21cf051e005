// What the engine needs once a model comes, and for taking it home: every reader of every kind of file, every family's
// table, the tokenizers. In the page it is a chunk of its own, so that nobody waits for it before the demo can be pressed.
export { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
export { writeMerged } from "../export/merged.ts";
export { openText } from "../text/tower.ts";
export { unpackModel } from "./model_zip.ts";
export { checkRoom } from "./room.ts";
