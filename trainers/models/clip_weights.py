"""The weights from which a CLIP model is fine-tuned: the encoder's, and a classifier from texts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from landscape.errors import InputError
from trainers.models.clip import CLIP
from trainers.models.heads import CosineHead, ScaledHead

_TOGETHER = 256  # texts a pass


def load_clip(model: CLIP, folder: Path, class_names: Sequence[str], prompt: str) -> None:
    """Load an encoder, and the classifier from the text features of the class names.

    Args:
        model: of the folder's shape; changed in place.
        folder: with weights and tokeniser, as ``save_pretrained`` of transformers writes them.
        class_names: K.
        prompt: sentence around a name, with ``{}`` in its place.

    Raises:
        InputError: weights or tokeniser are missing or damaged.
    """
    from safetensors import SafetensorError
    from transformers import AutoTokenizer, CLIPModel

    try:
        with _quiet():
            source = CLIPModel.from_pretrained(folder, local_files_only=True).float().eval()
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"'{folder}' does not hold weights and tokeniser of a CLIP model ({reason}); give a "
            "folder that save_pretrained of transformers wrote"
        ) from error
    model.encoder.load_state_dict(source.vision_model.state_dict())
    head = model.head.plain if isinstance(model.head, ScaledHead) else model.head
    assert isinstance(head, CosineHead)
    texts = [prompt.replace("{}", name.replace("_", " ")) for name in class_names]
    with torch.no_grad():
        head.weight.copy_(class_weights(source, tokenizer, texts))


def class_weights(source: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Return the weights (K, D) whose cosine with features follows that with the texts' features.

    The unit text features t are brought back through the projection P of images, t P / ‖t P‖.

    Args:
        source: a ``CLIPModel`` of transformers.
        tokenizer: of its texts.
        texts: one a class.
    """
    longest = source.config.text_config.max_position_embeddings
    found = []
    for start in range(0, len(texts), _TOGETHER):
        tokens = tokenizer(
            list(texts[start : start + _TOGETHER]),
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        )
        found.append(source.text_projection(source.text_model(**tokens).pooler_output))
    unit = F.normalize(torch.cat(found), dim=1)
    return F.normalize(unit @ source.visual_projection.weight, dim=1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the bars of transformers out of the terminal."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
