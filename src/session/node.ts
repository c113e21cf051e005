// The session without a browser: images decoded by sharp, folders read from disk.
import { decodeImage } from "../dataset/decode_node.ts";
import { createEngine } from "./engine.ts";
import type { Session } from "./protocol.ts";

export { BadCheckpoint } from "../checkpoint/open_checkpoint.ts";
export { walkDirectory as walk } from "../dataset/walk_node.ts";

/** A session in this thread. */
export const createNodeSession = (): Session => createEngine(decodeImage);
