// Encoders that were trained without labels, in timm's names: masked autoencoders, MoCo v3, masked siamese networks and
// I-JEPA. Each has the ViT's own tensors, and beside them what only its training needed: a decoder, a projector, a
// predictor, a second encoder. DINO and iBOT are in timm_vit.ts, because DINOv2 grew out of them.
import type { FamilyTable } from "./table.ts";
import { timmVit } from "./timm_vit.ts";

const imagenet: FamilyTable["usual"] = {
  ...timmVit.usual,
  layerNormEpsBy: "networks of this kind use 1e-6",
  statistics: "imagenet",
  resizeTo224: 256,
};

/** He et al. 2022, arXiv 2111.06377. A fine-tuned one pools the patches and then norms (`fc_norm`). */
export const mae: FamilyTable = {
  ...timmVit,
  family: "mae",
  title: "an original MAE",
  written: { ...timmVit.written, origin: () => "mae_vit" },
  recognises: (file) =>
    timmVit.recognises(file) &&
    (file.has("decoder_pos_embed") || /(^|[/_-])mae([/_.-]|$)/i.test(file.origin)),
  ignored: /^(mask_token$|decoder_(pos_embed$|embed\.|blocks\.|norm\.|pred\.))/,
  usual: { ...imagenet, statisticsBy: "MAE was trained with ImageNet's" },
};

/** Chen et al. 2021, arXiv 2104.02057: the momentum encoder and the heads are left; the small one has 12 heads. */
export const mocoV3: FamilyTable = {
  ...timmVit,
  family: "moco-v3",
  title: "an original MoCo v3",
  written: { ...timmVit.written, origin: () => "moco_vit" },
  recognises: (file) =>
    timmVit.recognises(file) &&
    (/(^|\.)(base|momentum)_encoder\./.test(file.outer) || /(^|[/_-])moco/i.test(file.origin)),
  ignored: /^((module\.)?(momentum_encoder|predictor)\.|head\.\d+\.)/,
  usual: {
    ...imagenet,
    heads: (width) => (width === 384 ? 12 : timmVit.usual.heads?.(width)),
    statisticsBy: "MoCo v3 was trained with ImageNet's",
    interpolation: "bilinear",
  },
};

/** Assran et al. 2022, arXiv 2204.07141: `fc` is the head that only its training needed. */
export const msn: FamilyTable = {
  ...timmVit,
  family: "msn",
  title: "an original MSN",
  written: { ...timmVit.written, origin: () => "msn_vit" },
  recognises: (file) =>
    timmVit.recognises(file) && (file.has("fc.fc1.weight") || /(^|[/_-])msn([/_-]|$)/i.test(file.origin)),
  ignored: /^(fc\.|pred\.|(target_)?encoder\.|prototypes$)/,
  usual: { ...imagenet, statisticsBy: "MSN was trained with ImageNet's", interpolation: "bilinear" },
};

/** Assran et al. 2023, arXiv 2301.08243: no class token, fixed positions; its probes read the mean of the patches. */
export const ijepa: FamilyTable = {
  ...timmVit,
  family: "ijepa",
  title: "an original I-JEPA",
  written: { ...timmVit.written, origin: () => "ijepa_vit" },
  recognises: (file) =>
    timmVit.recognises(file) &&
    !file.has("cls_token") &&
    ((!file.configured && /encoder\./.test(file.outer)) || /jepa/i.test(file.origin)),
  tensors: timmVit.tensors.filter(({ name }) => /^(patch_embed\.|pos_embed$|norm\.)/.test(name)),
  ignored: /^(predictor\.|(target_)?encoder\.)/,
  positions: { covers: ["none"], resize: { antialias: true, offset: 0 }, atRuntime: false },
  pooling: "mean",
  usual: { ...imagenet, statisticsBy: "I-JEPA was trained with ImageNet's", interpolation: "bilinear" },
};
