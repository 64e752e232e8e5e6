"""A CLIP model of two small blocks with a tokeniser of letters, as transformers saves them."""

import json
import string

import torch

WIDTH, SIDE = 16, 16


def save_tiny_clip(folder):
    """Write weights, configuration and tokeniser; return the model in float32."""
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    letters = [*string.ascii_lowercase, *string.digits, ".", ","]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    start, end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    sizes = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
    }
    texts = {"vocab_size": len(words), "max_position_embeddings": 40, "bos_token_id": start}
    texts |= {"eos_token_id": end, "pad_token_id": end}
    config = CLIPConfig(
        text_config=sizes | texts,
        vision_config=sizes | {"image_size": SIDE, "patch_size": 8},
        projection_dim=WIDTH,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(config).eval()
        for parameter in model.parameters():  # of random weights as small as those drawn, the
            parameter.data.add_(0.1 * torch.randn_like(parameter))  # features hardly differ
        torch.nn.init.orthogonal_(model.visual_projection.weight)
    model.save_pretrained(folder)
    files = {"vocab.json": json.dumps(vocabulary), "merges.txt": "#version: 0.2\n"}
    files["tokenizer_config.json"] = json.dumps({"model_max_length": 40})
    for name, text in files.items():
        (folder / name).write_text(text)
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return model
