// One line on every term, for someone who knows nothing of LoRA.

export const words = {
  block:
    "A part of the network (attention, MLP or a single matrix) with an adapter of its own and a gate that opens or closes it.",
  score:
    "Learned during the run: how much a block's change is worth. Training pushes it down, what helps the task pushes it up.",
  tau: "The gate of a block is open while its score is at least this.",
  sensitivity:
    "|dL/ds|: how strongly the loss would react if this gate opened or closed a little. High means the block matters.",
  change:
    "‖ΔW‖ / ‖W‖: how far the block's weights moved, against their size. 0.01 is a change of one per cent.",
  open: "An open block uses what it has learned; a closed one works exactly as before training.",
  loss: "Cross-entropy: how wrong the model is on training images. Lower is better; the bold line is smoothed.",
  target: "The images you teach: accuracy on those held out from training.",
  ood: "Out of distribution: the same classes in another style. Shows whether what was learned carries over.",
  retention: "What the model knew before, asked through its own classifier. Shows what was forgotten.",
  accuracy:
    "Share of held-out images that get the right answer. While training, each set is measured on at most 64 images.",
  before: "A linear probe: a new classifier on the untouched network, before any block was adapted.",
  interval: "95 % Wilson interval: where the true accuracy probably lies, given how many images were asked.",
  points: "Percentage points: from 80% to 83% is +3.0.",
  strength:
    "Scales the whole change (WiSE-FT): 0 is the model before, 1 as trained. Between them often lies a better balance.",
  parameters: "Weights that this block's gate switches on and off.",
  warmUp: "Warm-up: every block learns freely, no pressure to close yet.",
  selecting: "Selecting: scores are pushed down; blocks that do not pay for themselves close.",
  settling: "Settling: the gates stay as they are, only open blocks go on learning.",
  speed: "Training images worked through in a second.",
  merged:
    "Base weights and open adapters added into one file: needs no adapter code and runs as fast as the original.",
  confusion: "Rows are the true classes, columns the answers. Off the diagonal are the mistakes.",
} as const;

export type Word = keyof typeof words;
