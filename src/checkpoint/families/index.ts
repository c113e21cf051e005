// Every family that can be loaded. The first whose table recognises a file reads it, so the more particular come first.
import { hfClip, openAiClip, openClip } from "./clip.ts";
import { dinov3, hfDinov3, timmDinov3 } from "./dinov3.ts";
import { hfDinov2, hfDinov2Registers } from "./hf_dinov2.ts";
import { hfDeit, hfVit } from "./hf_vit.ts";
import { hfSiglip, openClipTrunk, timmSiglip } from "./siglip.ts";
import type { FamilyTable } from "./table.ts";
import { dino, dinov2, dinov2Registers, timmVit } from "./timm_vit.ts";

export const families: readonly FamilyTable[] = [
  hfDinov2Registers,
  hfDinov2,
  hfDeit,
  hfVit,
  hfDinov3,
  hfClip,
  hfSiglip,
  openClipTrunk,
  openAiClip,
  openClip,
  timmSiglip,
  dinov3,
  timmDinov3,
  dinov2Registers,
  dinov2,
  dino,
  timmVit,
];

const byName = new Map(families.map((table) => [table.family, table]));

/** The table of a family. */
export function tableOf(family: FamilyTable["family"]): FamilyTable {
  return byName.get(family) as FamilyTable;
}
