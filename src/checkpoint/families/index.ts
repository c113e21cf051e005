// Every family that can be loaded. The first whose table recognises a file reads it, so the more particular come first.
import { hfClip, openAiClip, openClip } from "./clip.ts";
import { dinov3, hfDinov3, timmDinov3 } from "./dinov3.ts";
import { hfDinov2, hfDinov2Registers } from "./hf_dinov2.ts";
import { hfDeit, hfIjepa, hfMae, hfMsn, hfVit } from "./hf_vit.ts";
import { ijepa, mae, mocoV3, msn } from "./self_supervised.ts";
import { hfSiglip, openClipTrunk, timmSiglip } from "./siglip.ts";
import type { FamilyTable } from "./table.ts";
import { dino, dinov2, dinov2Registers, timmClip, timmDeit, timmVit } from "./timm_vit.ts";
import { torchvision } from "./torchvision.ts";

export const families: readonly FamilyTable[] = [
  hfDinov2Registers,
  hfDinov2,
  hfMae,
  hfMsn,
  hfIjepa,
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
  mae,
  mocoV3,
  msn,
  ijepa,
  dino,
  timmDeit,
  timmClip,
  timmVit,
  torchvision,
];

const byName = new Map(families.map((table) => [table.family, table]));

/** The table of a family. */
export function tableOf(family: FamilyTable["family"]): FamilyTable {
  return byName.get(family) as FamilyTable;
}
