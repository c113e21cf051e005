// One line on every term, for someone who knows nothing of LoRA.

export const words = {
  block:
    "A part of the network (attention, MLP or a single matrix) with an adapter of its own and a gate that opens or closes it.",
  score:
    "What decides whether a block stays open: learned during the run, what helps the task pushing it up, or else what the recipe ranks blocks by, the highest being 1.",
  tau: "The gate of a block is open while its score is at least this.",
  sensitivity:
    "|dL/ds|: how strongly the loss would react if this gate opened or closed a little. High means the block matters.",
  change:
    "‖ΔW‖ / ‖W‖: how far the block's weights moved, against their size. 0.01 is a change of one per cent.",
  open: "An open block uses what it has learned; a closed one works exactly as before training.",
  loss: "Cross-entropy: how wrong the model is on training images. Lower is better; the bold line is smoothed.",
  rate: "Step size of what is learned beside the classifier: it rises over the first steps and then falls as a cosine to 0.",
  keep: "1 - cosine between what the network makes of an image now and what it made of it before. Near 0: what it knew is still there.",
  target: "The images you teach: accuracy on those held out from training.",
  ood: "Out of distribution: the same classes in another style. Shows whether what was learned carries over.",
  retention: "What the model knew before, asked through its own classifier. Shows what was forgotten.",
  accuracy:
    "Share of images that get the right answer. The lines stand on the target's validation images and on a part of every other set; what counts in the end is measured on all held-out images.",
  before: "A linear probe: a new classifier on the untouched network, before any block was adapted.",
  interval: "95 % Wilson interval: where the true accuracy probably lies, given how many images were asked.",
  points: "Percentage points: from 80% to 83% is +3.0.",
  strength:
    "Scales the whole change (WiSE-FT): 0 is the model before, 1 as trained. Between them often lies a better balance.",
  parameters: "Weights that this block's gate switches on and off.",
  warmUp: "Warm-up: every block learns freely, no pressure to close yet.",
  selecting: "Selecting: scores are pushed down; blocks that do not pay for themselves close.",
  settling: "Settling: the gates stay as they are, only open blocks go on learning.",
  learning: "This method has no gates: what learns does so from the first step to the last.",
  speed: "Training images worked through in a second.",
  merged:
    "Base weights and open adapters added into one file: needs no adapter code and runs as fast as the original.",
  confusion: "Rows are the true classes, columns the answers. Off the diagonal are the mistakes.",
  tradeOff:
    "What each number of open blocks is worth: the blocks of the highest scores stay open, the rest work as before training.",
  knee: "sqrt(p (1 − p) / n) of the best accuracy p on n images: what is within it may be as good (one-standard-error rule).",
  balanced: "Mean of the classes' accuracies: every class counts alike, however many images it has.",
  calibration:
    "Expected calibration error: how far, on average, certainty is from accuracy. 0 is perfect; 15 bins of equal width.",
  mcnemar:
    "McNemar's exact test: how likely so uneven a split of fixed and broken would be if both were as likely.",
  detection:
    "How well the target classifier's certainty tells the target's held-out images from another set's: 0.5 is a coin, 1 tells all apart. Of retention only images of other classes count, where there are any.",
  effective:
    "OOD accuracy beyond what the target accuracy lets one expect, by a line through reference models in logits (Taori et al. 2020).",
  relative: "OOD accuracy now less OOD accuracy before.",
} as const;

export type Word = keyof typeof words;
