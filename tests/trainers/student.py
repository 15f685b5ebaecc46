"""A student as a hub would hold it, but tiny and without weights: files that every trainer's transformers reads.

The architecture, processor, vision tokens and template behave as Qwen2.5-VL's; the vocabulary is learnt from the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

TOKENIZER = "tokenizer.json"
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"
VIDEO = "<|video_pad|>"
SPECIAL = (PAD, START, END, VISION_START, VISION_END, "<|vision_pad|>", IMAGE, VIDEO)
VOCABULARY = 1_024
HIDDEN, LAYERS, HEADS = 128, 2, 4
OWN_PIXELS = 12_845_056
"""Budget of a picture in the family's checkpoints."""
SPEAKER = f"{START}assistant\n"
TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if loop.first and message.role != 'system' -%}"
    "{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}{%- endif -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.role == 'assistant' -%}"
    "{%- generation -%}{{- said(message) -}}{%- endgeneration -%}"
    "{%- else -%}{{- said(message) -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
_SAID = (
    "{%- macro said(message) -%}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif 'text' in part -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endmacro -%}"
)


def write_student(directory: Path, texts: Iterable[str]) -> Path:
    """Write the files of a checkpoint, weights apart, whose tokenizer has learnt from `texts`.

    Its budget for a picture is the family's own: the student's has to be set in the trainer.
    """
    directory.mkdir(parents=True)
    tokenizer = _tokenizer(texts)
    # The trainer of the tokenizer numbers them first.
    tokenizer.save(str(directory / TOKENIZER))
    ids = {name: place for place, name in enumerate(SPECIAL)}
    (directory / "chat_template.jinja").write_text(_SAID + TEMPLATE)
    files = {
        "config.json": _config(tokenizer.get_vocab_size(), ids),
        "generation_config.json": {"eos_token_id": ids[END], "pad_token_id": ids[PAD]},
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": END,
            "pad_token": PAD,
            "bos_token": None,
            "additional_special_tokens": list(SPECIAL),
            "model_max_length": 32_768,
            "clean_up_tokenization_spaces": False,
        },
        "preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2_5_VLProcessor",
            "min_pixels": 3_136,
            "max_pixels": OWN_PIXELS,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
    }
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=1))
    return directory


def _tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Return a byte-level BPE tokenizer that splits text as Qwen2's does, so that the same pieces may merge."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made


def _config(vocabulary: int, ids: dict[str, int]) -> dict[str, Any]:
    """Return `config.json` in the flat shape in which the family's checkpoints have it."""
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_sliding_window": False,
        "bos_token_id": ids[PAD],
        "eos_token_id": ids[END],
        "pad_token_id": ids[PAD],
        "image_token_id": ids[IMAGE],
        "video_token_id": ids[VIDEO],
        "vision_start_token_id": ids[VISION_START],
        "vision_end_token_id": ids[VISION_END],
        "vision_config": {
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_heads": HEADS,
            "out_hidden_size": HIDDEN,
            "in_chans": 3,
            "patch_size": 14,
            "spatial_patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "tokens_per_second": 2,
            "fullatt_block_indexes": [LAYERS - 1],
        },
    }
