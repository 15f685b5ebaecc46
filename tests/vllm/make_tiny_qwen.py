"""Makes a tiny Qwen2.5-VL checkpoint that vLLM serves in a minute: run by the interpreter of .venv-vllm.

It has the real architecture, processor, vision tokens and shape of chat template, with 2 layers of width 128, and
its own vocabulary. It learns some conversations by heart, so that it calls a tool as a real model would, and
knows nothing: its answers are sampled.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

HIDDEN, LAYERS, HEADS = 128, 2, 4
INTERMEDIATE = 256
VOCABULARY = 1_024
"""Enough that a prompt of 700 characters is some 250 tokens."""
STEPS = 450
RATE = 3e-3
"""By trial: the conversations are known by heart (loss below 0.1, most of it the sampled answer) within two minutes
of two cores."""
SIDE = 420
"""Pixels of the largest image in a lesson: 225 tokens, of which the model only has to know that they come."""
PAD, END = "<|endoftext|>", "<|im_end|>"
SPECIAL = (
    *(PAD, "<|im_start|>", END, "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main() -> None:
    """Write the checkpoint; prints its size and how well it learnt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("lessons", type=Path, help="JSON: conversations as lists of [role, text with <image> marks]")
    given = parser.parse_args()
    import torch

    torch.manual_seed(0)
    random.seed(0)
    lessons = json.loads(given.lessons.read_text())
    tokenizer = make_tokenizer([text for lesson in lessons for _, text in lesson])
    model, processor = make_model(tokenizer), make_processor(tokenizer)
    loss = teach(model, processor, lessons)
    save(given.out, model, processor)
    facts = {"parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tokenizer), "loss": loss}
    sys.stdout.write(json.dumps(facts) + "\n")


def teach(model: Any, processor: Any, lessons: list[Any]) -> float:
    """Let the model learn what the assistant says, beside noise of any size, and return the last mean loss."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=STEPS)
    losses = []
    for _ in range(STEPS):
        loss = model(**example(processor, random.choice(lessons))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return float(sum(losses[-20:]) / 20)


def example(processor: Any, lesson: list[Any]) -> Any:
    """Return a conversation as the model's input, with only the assistant's words as labels."""
    from PIL import Image

    messages = [{"role": role, "content": parts(text)} for role, text in lesson]
    images = [
        Image.effect_noise((random.randrange(56, SIDE), random.randrange(56, SIDE)), 64).convert("RGB")
        for message in messages
        for part in message["content"]
        if part["type"] == "image"
    ]
    question = " ".join(random.choices(lesson[0][1].split(), k=random.randrange(4, 40)))
    text = processor.apply_chat_template(messages, tokenize=False).replace("<question>", question)
    batch = processor(text=[text], images=images or None, return_tensors="pt")
    labels, spoken = batch["input_ids"].clone(), False
    start, end = (processor.tokenizer.convert_tokens_to_ids(name) for name in ("<|im_start|>", END))
    ids = batch["input_ids"][0].tolist()
    speaker = processor.tokenizer.encode("<|im_start|>assistant\n")
    for place in range(len(ids)):
        if ids[place] == start:
            spoken = False
        if not spoken:
            labels[0, place] = -100
        if ids[max(place + 1 - len(speaker), 0) : place + 1] == speaker:
            spoken = True
        if ids[place] == end:
            spoken = False
    return {**batch, "labels": labels}


def parts(text: str) -> list[dict[str, str]]:
    """Return a text and the images within it as message parts."""
    first, *rest = text.split("<image>")
    found = [{"type": "text", "text": first}]
    for more in rest:
        found += [{"type": "image"}, {"type": "text", "text": more}]
    return [part for part in found if part.get("text", "image")]


def make_tokenizer(texts: list[str]) -> Any:
    """Return a byte-level BPE tokenizer with Qwen's special tokens, learnt from `texts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    base.train_from_iterator(texts, trainer)
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=base,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(SPECIAL),
        chat_template=TEMPLATE,
        model_max_length=32_768,
    )


def make_model(tokenizer: Any) -> Any:
    """Return a model with random weights of std 1/sqrt(fan in): transformers' own 0.02 leaves one this narrow mute."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "max_position_embeddings": 32_768,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "tie_word_embeddings": False,
        },
        vision_config={
            "depth": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE,
            "num_heads": HEADS,
            "out_hidden_size": HIDDEN,
            "fullatt_block_indexes": [LAYERS - 1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0.0, parameter[0].numel() ** -0.5)
    return model


def make_processor(tokenizer: Any) -> Any:
    """Return what makes prompts of messages and images."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    make: Any = Qwen2_5_VLProcessor
    return make(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=TEMPLATE)


def save(out: Path, model: Any, processor: Any) -> None:
    """Write what `from_pretrained` and vLLM read."""
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(out)
    processor.save_pretrained(out)


if __name__ == "__main__":
    main()
