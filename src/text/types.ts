// A text tower as the floors above see it: sentences in, embeddings in the space shared with images out.
import type { Activation } from "../checkpoint/types.ts";

/** Shape of a pre-norm text transformer. */
export interface TextArchitecture {
  vocabulary: number;
  width: number;
  /** Tokens of the longest sentence. */
  context: number;
  layers: number;
  heads: number;
  /** Size of the space shared with images. */
  embeddingSize: number;
  /** Whether a token sees only those before it (CLIP). */
  causal: boolean;
  activation: Activation;
  layerNormEps: number;
  /** The token whose state is the sentence's: the end token (CLIP) or the last place, padding or not (SigLIP). */
  pool: "end" | "last";
  /** Id of the end token; null: the highest id of the sentence is it, as in OpenAI's files and where transformers'
   *  configuration says 2, which an old version wrote by mistake. */
  endToken: number | null;
}

/** Sentences to ids. */
export interface TextTokenizer {
  /** Ids of a sentence with its special tokens, at most `context`. */
  encode(text: string, context: number): number[];
  /** What fills a sentence up to the context, where the tower wants it full. */
  pad: { id: number; side: "left" | "right" };
}

export interface TextTower {
  architecture: TextArchitecture;
  /**
   * Embeddings of sentences, row-major [texts, E], each of length 1.
   * @param onProgress layers done and layers in all; may throw to cancel
   */
  embed(texts: readonly string[], onProgress?: (done: number, total: number) => void): Promise<Float32Array>;
  /** exp(logit_scale): what a cosine is multiplied by. */
  scale: number;
  /** SigLIP's logit_bias, 0 for CLIP. */
  bias: number;
}
