"""A real vision-language model, tiny: LLaVA with a CLIP tower, built from a config with random weights, and saved.

Its weights say nothing, so only the form of its answers can be tested, and that the picture reaches them. One direction
of its hidden states is the same for all tokens, and gives words and closing quotes a head start: strings are of words
and end. Seeds 5 and 3 make two models that answer in about 0.2 s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PICTURE = 28
_SPECIAL = ["<pad>", "<s>", "</s>", "<image>", "<|user|>", "<|assistant|>", "<|system|>"]
_WORDS = (
    "axial coronal sagittal CT MR slice of the in at upper lower middle third scan liver lung spine heart brain muscle "
    "bright dark smooth tissue shows with and left right unknown modality plane position anatomy appearance caption "
)
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def save_tiny_vlm(folder: Path, *, seed: int = 5) -> Path:
    """Builds the model, its tokenizer and its processor, and saves them as published models are; returns the folder."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = tiny_tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=PICTURE,
        patch_size=14,
        projection_dim=16,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
    )
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>")
    )
    model = LlavaForConditionalGeneration(config)
    _give_a_head_start(model, tokenizer)
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": PICTURE}, crop_size=PICTURE)
    processor = LlavaProcessor(
        image_processor,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=_TEMPLATE,
        num_additional_image_tokens=1,
    )
    with quietly():
        model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Saves without a bar of progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def tiny_tokenizer(more: Sequence[str] = ()) -> Any:
    """A byte-level tokenizer of 420 tokens and ``more`` special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=[*_SPECIAL, *more], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator([_WORDS * 3, '{"modality": "CT", "anatomy": ["liver"], "caption": "a"}'], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=_SPECIAL[3:],
    )


def _give_a_head_start(model: Any, tokenizer: Any) -> None:
    import torch

    with torch.no_grad():
        model.model.language_model.embed_tokens.weight[:, 0] = 8.0
        for parameter in model.model.multi_modal_projector.parameters():
            parameter.mul_(4.0)
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0.0
        head = model.lm_head.weight
        head.mul_(0.6)[:, 0] = 0.0
        for token, number in tokenizer.get_vocab().items():
            if token.strip("Ġ").isalpha() and token.startswith("Ġ") and len(token) > 3:
                head[number, 0] = 1.5
            elif token.startswith('"'):
                head[number, 0] = 2.8
