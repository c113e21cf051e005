"""Makes the fixtures that hold text towers, their tokenizers and zero-shot classifiers to transformers.

    interop/.venv/bin/python interop/make_fixtures_text.py

A small random CLIP and a small random SigLIP as transformers saves them, with tokenizers made here of a page of
sentences: CLIP's byte-level BPE, SigLIP's unigram, and SigLIP 2's BPE that falls back to bytes. Beside them the text
towers of open_clip in its two namings. What each gives for the same prompts stands in expected.safetensors; computed in
float64.
"""

import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, SiglipConfig, SiglipModel

OUT = Path(__file__).resolve().parent.parent / "src/text/fixtures"
CLASSES = ["golden retriever", "T-shirt", "teapot", "3d printer", "crème brûlée"]
TEMPLATES = ["a photo of a {}.", "itap of a {}.", "art of the {}, it's the artist's 2nd."]
SENTENCES = [
    "a photo of a cat.",
    "A  Photo\tof A\nCAT!",
    "it's the dog's 1234 bones, isn't it?",
    "crème brûlée — Ünïcödé naïve",
    "東京 the cat 🐈 and 👩‍👩‍👧",
    "snake_case-and/slash (round) [square] {curly}",
    "",
    " ".join(["photo"] * 40),
    "<|endoftext|> inside",
    "\ufb01ne \u00bd e\u0301",
]
CORPUS = [t.replace("{}", c) for t in TEMPLATES for c in CLASSES] + [
    "a photo of a cat", "a photo of the dog", "the quick brown fox jumps over the lazy dog", "a bad photo of the bird",
    "a origami bird", "a photo of the large house", "a car in a video game", "art of the river", "a drawing of a shoe",
    "a photo of the small shoe", "it's a dog's life, isn't it?", "we've seen 2 cats, 3 dogs and 10 birds",
]  # fmt: skip
WORDS = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""

torch.set_num_threads(1)


def learn_merges(words, count):
    """Byte-pair encoding of words (lists of symbols); of pairs as frequent the first in order, so that it is the same
    every time."""
    merges = []
    while len(merges) < count:
        pairs = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in words:
            for i in reversed(range(len(word) - 1)):
                if i + 1 < len(word) and (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
    return merges


def clip_tokenizer(folder):
    normalise = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    split = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])  # fmt: skip
    words = [w for text in CORPUS for w, _ in split.pre_tokenize_str(normalise.normalize_str(text))]
    merges = learn_merges([[*w[:-1], w[-1] + "</w>"] for w in words], 120)
    # OpenAI's order: bytes, bytes that end a word, merges, the two special tokens last.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = alphabet + [a + "</w>" for a in alphabet]
    tokens += [t for t in ("".join(m) for m in merges) if t not in tokens]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=16)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return tokenizer.backend_tokenizer, vocab


def siglip_tokenizer(folder):
    # A trained one would be another each time, so words, beginnings and letters are given scores by rank.
    words = sorted({"\u2581" + w for text in CORPUS for w in text.lower().split() if w.isalnum()})
    starts = sorted({w[:n] for w in words for n in (3, 4) if n < len(w)})
    letters = sorted(set("".join(CORPUS).lower().replace(" ", "\u2581")))
    pieces = [(w, -4 - 0.01 * i) for i, w in enumerate(words)]
    pieces += [(w, -7 - 0.01 * i) for i, w in enumerate(starts) if w not in words]
    pieces += [(w, -9 - 0.01 * i) for i, w in enumerate(letters) if w not in words]
    tokenizer = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces, unk_id=2))
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"""[!"\#\$%\&'\(\)\*\+,\-\.:;<=>\?@\[\]\^\/\\_`\{\}\|\~]"""), ""),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
        normalizers.NFKC(),
    ])  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "model_max_length": 12}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer


def siglip2_tokenizer(path):
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    words = [w for text in CORPUS for w in re.findall("[^\u2581]*\u2581|[^\u2581]+$", text.lower().replace(" ", "\u2581"))]
    letters = sorted(set("".join(words)))
    merges = learn_merges([list(w) for w in words], 100)
    tokens = special + [f"<0x{b:02X}>" for b in range(256)] + letters + ["".join(m) for m in merges]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.save(str(path), pretty=False)
    return tokenizer


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name.startswith("logit"):
                continue
            if "norm" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embedding" in name:
                p.copy_(noise * 0.5)
            elif p.dim() == 1:
                p.copy_(noise * 0.1)
            else:
                p.copy_(noise / math.sqrt(p[0].numel()))


def pixels():
    return torch.randint(0, 256, (4, 16, 16, 3), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)


def ids_of(tokenizer, texts, length, pad):
    """As transformers cuts them: the end token stays."""
    rows = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        ids = ids if len(ids) <= length else [*ids[: length - 1], ids[-1]]
        rows.append(ids + [pad] * (length - len(ids)))
    return torch.tensor(rows)


@torch.no_grad()
def expect(model, tokenizer, length, pad, prefix):
    """What transformers says of images and prompts, one prompt a class and with several."""
    model = model.double().eval()
    x = ((pixels().double() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)
    plain = [TEMPLATES[0].replace("{}", c) for c in CLASSES]
    tokens = {"input_ids": ids_of(tokenizer, plain, length, pad)}
    out = model(pixel_values=x, **tokens)
    every = [t.replace("{}", c) for c in CLASSES for t in TEMPLATES]
    texts = model.get_text_features(ids_of(tokenizer, every, length, pad)).pooler_output
    texts = texts / texts.norm(dim=1, keepdim=True)
    mean = texts.view(len(CLASSES), len(TEMPLATES), -1).mean(1)
    mean = mean / mean.norm(dim=1, keepdim=True)
    images = model.get_image_features(x).pooler_output
    bias = getattr(model, "logit_bias", torch.zeros(1))
    logits = (images / images.norm(dim=1, keepdim=True)) @ mean.T * model.logit_scale.exp() + bias
    named = {
        "input_ids": tokens["input_ids"].int(),
        "text_embeds": out.text_embeds,
        "image_features": images,
        "logits": out.logits_per_image,
        "softmax": out.logits_per_image.softmax(1),
        "sigmoid": out.logits_per_image.sigmoid(),
        "ensemble_embeds": mean,
        "ensemble_softmax": logits.softmax(1),
        "ensemble_sigmoid": logits.sigmoid(),
    }
    return {f"{prefix}.{k}": v for k, v in named.items()}


def open_clip_text(name, vocab_size, text, custom, tokens, **settings):
    """The text half of a small random open_clip model, as its hub files have it. -> normalised embeddings"""
    vision = dict(layers=1, width=64, head_width=32, image_size=16, patch_size=8)
    text = dict(context_length=tokens.shape[1], vocab_size=vocab_size, width=32, heads=4, layers=2) | text
    make = open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP
    bias = -3.0 if custom else None
    model = make(embed_dim=20, vision_cfg=vision, text_cfg=text, init_logit_bias=bias, **settings).eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(len(name))
        for key, p in model.named_parameters():
            if not key.startswith("logit"):
                norm = ".ln_" in f".{key}" and key.endswith("weight")
                p.copy_(torch.randn(p.shape, generator=generator) * (0.2 if p.dim() > 1 else 0.1) + norm)
    folder = OUT / name
    folder.mkdir()
    state = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("visual") and k != "attn_mask"}
    save_file(state, folder / "open_clip_model.safetensors")
    config = {"model_cfg": {"embed_dim": 20, "vision_cfg": vision, "text_cfg": text, **settings}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1))
    with torch.no_grad():
        return model.double().encode_text(tokens, normalize=True)


def preprocessor(folder, kind):
    config = {
        "image_processor_type": f"{kind}ImageProcessor", "do_resize": True, "size": {"height": 16, "width": 16},
        "resample": 3, "do_center_crop": False, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=1))


def make():
    shutil.rmtree(OUT, ignore_errors=True)
    expected, sentences = {}, {}
    vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8)
    text = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)

    folder = OUT / "clip"
    folder.mkdir(parents=True)
    tokenizer, vocab = clip_tokenizer(folder)
    start, end = vocab["<|startoftext|>"], vocab["<|endoftext|>"]
    config = CLIPConfig(
        text_config=text | dict(vocab_size=len(vocab), max_position_embeddings=16, bos_token_id=start, eos_token_id=end, pad_token_id=end),
        vision_config=vision, projection_dim=20,
    )  # fmt: skip
    model = CLIPModel(config)
    randomise(model, 1)
    model.save_pretrained(folder)
    preprocessor(folder, "CLIP")
    expected |= expect(model, tokenizer, 16, end, "clip")
    prompts = ids_of(tokenizer, [TEMPLATES[0].replace("{}", c) for c in CLASSES], 16, 0)
    expected["openclip.text_embeds"] = open_clip_text("openclip", len(vocab), {}, False, prompts, quick_gelu=True)
    sentences["clip"] = [tokenizer.encode(s).ids for s in SENTENCES]
    # An end token in the middle: transformers reads the first one, or with the old id 2 the highest id.
    odd = torch.tensor([[start, 300, end, 301, end], [start, 302, 303, 304, end]])
    with torch.no_grad():
        expected["clip.odd_ids"] = odd.int()
        expected["clip.odd_embeds"] = model.get_text_features(odd).pooler_output
        model.text_model.eos_token_id = 2
        odd[0, 3] = end
        expected["clip.legacy_embeds"] = model.get_text_features(odd).pooler_output

    folder = OUT / "siglip"
    folder.mkdir(parents=True)
    tokenizer = siglip_tokenizer(folder)
    size = tokenizer.get_vocab_size()
    config = SiglipConfig(
        text_config=text | dict(vocab_size=size, max_position_embeddings=12, projection_size=24),
        vision_config=vision,
    )
    model = SiglipModel(config)
    randomise(model, 2)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(10))
        model.logit_bias.fill_(-2.5)
    model.save_pretrained(folder)
    preprocessor(folder, "Siglip")
    expected |= expect(model, tokenizer, 12, 1, "siglip")
    prompts = ids_of(tokenizer, [TEMPLATES[0].replace("{}", c) for c in CLASSES], 12, 1)
    siglip = dict(
        no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs={"eps": 1e-6}, act_kwargs={"approximate": "tanh"},
        tokenizer_kwargs={"clean": "canonicalize"},
    )  # fmt: skip
    expected["openclip-siglip.text_embeds"] = open_clip_text("openclip-siglip", size, siglip, True, prompts)
    sentences["siglip"] = [tokenizer.encode(s).ids for s in SENTENCES]
    tokenizer = siglip2_tokenizer(OUT / "siglip2-tokenizer.json")
    sentences["siglip2"] = [tokenizer.encode(s).ids for s in SENTENCES]

    stored = {k: (t if t.dtype == torch.int32 else t.float()).contiguous().clone() for k, t in expected.items()}
    meta = {"classes": CLASSES, "templates": TEMPLATES, "sentences": SENTENCES, "ids": sentences}
    save_file(stored, OUT / "expected.safetensors", metadata={"fixture": json.dumps(meta)})
    for path in sorted(OUT.rglob("*")):
        if path.is_file():
            print(f"{path.relative_to(OUT)}: {path.stat().st_size} bytes")


make()
