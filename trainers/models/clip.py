"""CLIP's image encoder (Radford et al. 2021) with a cosine classifier, as LIFT fine-tunes it.

Either the encoder is fine-tuned, or it stands still and an adapter beside the feed-forward part of
every block is trained (Shi et al. 2024, LIFT). The features are the class token's after the last
norm, before the projection to the space of texts, which is part of the classifier's first weights.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from trainers.models.adapter import Adapter
from trainers.models.clip_files import missing_extra
from trainers.models.heads import make_head
from trainers.models.network import Network


class CLIP(Network):
    """Split CLIP's image encoder into all blocks but the last, the last and a cosine head.

    Attention is written out, so that second derivatives exist and every step has the precision of
    the weights.

    Args:
        vision: how the encoder is built, by the names of transformers' ``CLIPVisionConfig``.
        num_classes: K.
        scale: of the head's logits.
        bottleneck: width of the adapters; 0 fine-tunes the encoder.

    Raises:
        InputError: transformers is not installed.
    """

    def __init__(
        self, vision: Mapping[str, Any], num_classes: int, scale: float, bottleneck: int = 0
    ) -> None:
        super().__init__()
        try:
            from transformers import CLIPVisionConfig, CLIPVisionModel
        except ImportError as error:
            raise missing_extra() from error
        shape: Any = CLIPVisionConfig(**vision)
        self.encoder = CLIPVisionModel(shape)
        self.side, width = int(shape.image_size), int(shape.hidden_size)
        sizes = [bottleneck] * len(self.blocks) if bottleneck else []
        self.adapters = nn.ModuleList(Adapter(width, size) for size in sizes)
        self.encoder.requires_grad_(not bottleneck)
        self.head = make_head("cosine", width, num_classes, scale)
        self.contrast = None

    @property
    def blocks(self) -> Any:
        """Return the L blocks of the encoder, in a ``ModuleList``."""
        return self.encoder.encoder.layers

    def shared(self, x: Tensor) -> Tensor:
        """Run all blocks but the last on images (B, 1 or 3, S, S); return tokens (B, T, D).

        Images of other sizes are brought to the encoder's bicubically, grey ones take part three
        times.
        """
        images = x.expand(-1, 3, -1, -1)
        if images.shape[-2:] != (self.side, self.side):
            images = F.interpolate(images, (self.side, self.side), mode="bicubic", antialias=True)
        tokens: Tensor = self.encoder.pre_layrnorm(self.encoder.embeddings(images))
        for place in range(len(self.blocks) - 1):
            tokens = self._block(place, tokens)
        return tokens

    def last(self, shared: Tensor) -> Tensor:
        """Run the last block; return the class token's features (B, D)."""
        features: Tensor = self.encoder.post_layernorm(self._block(-1, shared)[:, 0])
        return features

    def last_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the last block that are fine-tuned."""
        if self.adapters:
            return list(self.adapters[-1].parameters())
        return [*self.blocks[-1].parameters(), *self.encoder.post_layernorm.parameters()]

    def fine_tuned(self) -> list[nn.Parameter]:
        """Return the parameters that training the whole network changes."""
        still = set(map(id, self.encoder.parameters())) if self.adapters else set()
        return [p for p in self.parameters() if id(p) not in still]

    def _block(self, place: int, tokens: Tensor) -> Tensor:
        block = self.blocks[place]
        tokens = tokens + _attention(block.self_attn, block.layer_norm1(tokens))
        out: Tensor = tokens + block.mlp(block.layer_norm2(tokens))
        return out + self.adapters[place](tokens) if self.adapters else out


def _attention(part: Any, tokens: Tensor) -> Tensor:
    """Compute multi-head self-attention with the projections of transformers' module."""
    queries, keys, values = (
        project(tokens).unflatten(-1, (part.num_heads, -1)).transpose(1, 2)
        for project in (part.q_proj, part.k_proj, part.v_proj)
    )
    weights = (queries @ keys.transpose(-1, -2) * part.scale).softmax(dim=-1)
    out: Tensor = part.out_proj((weights @ values).transpose(1, 2).flatten(2))
    return out
