// Sentences to ids: tokenizer.json of transformers, or CLIP's vocab.json and merges.txt, through
// @huggingface/tokenizers. The files come from outside: their size, their structure and their patterns are checked
// before anything is built from them.
import { Tokenizer } from "@huggingface/tokenizers";
import { parseJsonObject } from "../checkpoint/json.ts";
import { readBytes } from "../checkpoint/safetensors.ts";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import type { TextTokenizer } from "./types.ts";

/** Gemma's tokenizer.json, which SigLIP 2 uses, has 34 MB and two million entries. */
const MAX_BYTES = 64_000_000;
const MAX_ITEMS = 5_000_000;
const MAX_TEXT = 2000;
const AGAIN = "Use the tokenizer files that were saved with the model.";

/** The files a tokenizer can be made of. */
export interface TokenizerFiles {
  tokenizer?: SourceFile;
  config?: SourceFile;
  vocabulary?: SourceFile;
  merges?: SourceFile;
}

/** Finds them by name; of several of a name the one that lies highest. */
export function findTokenizerFiles(files: readonly SourceFile[]): TokenizerFiles {
  const depth = ({ path }: SourceFile) => path.split("/").length;
  const find = (name: string) =>
    files.filter(({ path }) => path.split("/").at(-1) === name).toSorted((a, b) => depth(a) - depth(b))[0];
  return {
    tokenizer: find("tokenizer.json"),
    config: find("tokenizer_config.json"),
    vocabulary: find("vocab.json"),
    merges: find("merges.txt"),
  };
}

/** How the sentence is written before the tokenizer sees it. */
type Clean = (text: string) => string;

/**
 * @param hints what the model's configuration says: its padding, and OpenCLIP's cleaning of sentences
 * @returns null when no files are there
 * @throws Failure "bad-file" when they are damaged
 */
export async function openTokenizer(
  files: TokenizerFiles,
  siglip: boolean,
  hints: { padToken?: number; clean?: string },
): Promise<TextTokenizer | null> {
  const { tokenizer, vocabulary, merges } = files;
  const main = tokenizer ?? merges;
  if (!main || (!tokenizer && !vocabulary)) return null;
  const json = tokenizer
    ? await readJson(tokenizer)
    : clipTokenizer(await readJson(vocabulary as SourceFile), await readText(main));
  checkPatterns(json, main.path);
  const built = build(json, main.path);
  const said = files.config ? await readJson(files.config) : {};

  const unigram = (json.model as { type?: unknown } | undefined)?.type === "Unigram";
  // SigLIP 1 was trained on sentences without case and punctuation, SigLIP 2 on those without case. Its own
  // tokenizer.json does the same; twice does no harm, and a converted one may not.
  const canonical = hints.clean === "canonicalize" || (siglip && unigram && hints.clean === undefined);
  const clean: Clean = canonical ? canonicalise : siglip ? (text) => text.toLowerCase() : (text) => text;

  const named = typeof said.pad_token === "string" ? said.pad_token : contentOf(said.pad_token);
  const inFile = (json.padding as { pad_token?: unknown } | null | undefined)?.pad_token;
  const pads = [named, inFile, unigram ? "</s>" : "<pad>", "<|endoftext|>"];
  const known = pads.flatMap((token) => {
    const id = typeof token === "string" ? built.token_to_id(token) : undefined;
    return id === undefined ? [] : [id];
  });
  return {
    encode(text, context) {
      const { ids } = built.encode(clean(text.slice(0, MAX_TEXT)));
      // The end token stays when a sentence is cut.
      return ids.length <= context ? ids : [...ids.slice(0, context - 1), ids.at(-1) as number];
    },
    pad: {
      id: known[0] ?? hints.padToken ?? 0,
      side: said.padding_side === "left" ? "left" : "right",
    },
  };
}

function contentOf(token: unknown): string | undefined {
  const content = (token as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

/** Lower case, no ASCII punctuation, single spaces (big_vision's `canonicalize_text`). */
function canonicalise(text: string): string {
  return text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

async function readText({ path, blob }: SourceFile): Promise<string> {
  if (blob.size > MAX_BYTES) {
    throw new Failure({
      code: "bad-file",
      what: `The file has ${blob.size} bytes; a tokenizer has at most ${MAX_BYTES}.`,
      where: path,
      remedy: AGAIN,
    });
  }
  return new TextDecoder().decode(await readBytes(blob, path));
}

async function readJson(file: SourceFile): Promise<Record<string, unknown>> {
  return parseJsonObject(await readText(file), file.path, MAX_ITEMS);
}

function build(json: Record<string, unknown>, where: string): Tokenizer {
  try {
    const built = new Tokenizer({ added_tokens: [], ...json }, {});
    const { ids } = built.encode("a photo of a cat.");
    if (ids.length > 0 && ids.every((id) => Number.isInteger(id) && id >= 0)) return built;
  } catch (cause) {
    throw unusable(where, cause);
  }
  throw unusable(where);
}

function unusable(where: string, cause?: unknown): Failure {
  const why = cause instanceof Error && cause.message !== "" ? ` (${cause.message.slice(0, 120)})` : "";
  return new Failure(
    { code: "bad-file", what: `No tokenizer can be made of this file${why}.`, where, remedy: AGAIN },
    { cause },
  );
}

/**
 * Patterns run on every sentence. One in which a repeated group repeats something itself can take for ever, and no
 * tokenizer of CLIP or SigLIP has one.
 */
function checkPatterns(json: Record<string, unknown>, where: string): void {
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const pattern = (value as { Regex?: unknown }).Regex;
    if (typeof pattern === "string" && (pattern.length > 2000 || /[+*}]\??\)[+*{]/.test(pattern))) {
      throw new Failure({
        code: "bad-file",
        what: "The tokenizer has a pattern that may never end.",
        where,
        remedy: AGAIN,
      });
    }
    for (const inner of Object.values(value)) look(inner);
  };
  for (const part of ["normalizer", "pre_tokenizer", "post_processor", "decoder"]) look(json[part]);
}

/** CLIP's tokenizer.json out of the two files that OpenAI's and older models have: what CLIPTokenizer builds. */
function clipTokenizer(vocabulary: Record<string, unknown>, merges: string): Record<string, unknown> {
  const [start, end] = ["<|startoftext|>", "<|endoftext|>"];
  const special = [start, end].map((content) => ({
    id: Number(vocabulary[content]),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const pairs = merges
    .split(/\r?\n/)
    .filter((line) => line !== "" && !line.startsWith("#version"))
    .map((line) => line.trim());
  return {
    added_tokens: special,
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: {
            Regex:
              "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
          },
          behavior: "Removed",
          invert: true,
        },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [end, special[1]?.id],
      cls: [start, special[0]?.id],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: null,
    model: {
      type: "BPE",
      unk_token: end,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab: vocabulary,
      merges: pairs,
    },
  };
}
