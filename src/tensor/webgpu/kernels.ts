// Every WGSL body there is. Importing this registers them with tfjs under the names the doors ask for.
import "./attention.ts";
import "./cross_entropy.ts";
import "./gelu.ts";
import "./layer_norm.ts";
import "./layer_scale.ts";
import "./linear.ts";
import "./low_rank.ts";
import "./mean_tokens.ts";
import "./patch_embed.ts";
import "./residual.ts";
import "./rope.ts";
import "./swiglu.ts";
