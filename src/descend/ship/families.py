"""Families of networks as Hugging Face writes them: how each is built by its configuration, and what its tensors are
called here. What a configuration asks for and is not known would change the numbers, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from descend import models
from descend.data import BadData
from descend.nn import (
    GELU,
    LayerNorm,
    LearnedPositions,
    PostNorm,
    PreNorm,
    ReLU,
    RMSNorm,
    Rotary,
    SiLU,
    SinusoidalPositions,
    swiglu,
)

Config = Mapping[str, Any]
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Family:
    """How a kind of network is written.

    Attributes:
        build: our network, by its configuration.
        names: from their names to ours: patterns, in which \\1 is a layer's number.
        whole: their tensors as ours are shaped, before they are renamed.
        unused: names that our network has no use for.
    """

    build: Callable[[Config], nn.Module]
    names: Mapping[str, str]
    whole: Callable[[Tensors, Config], Tensors]
    unused: str


def _joined(tensors: Tensors, first: str, second: str, joined: str) -> Tensors:
    """Keys and values in one: the names of both hold ``first`` and ``second`` where ours holds ``joined``."""
    found = {}
    for name, tensor in tensors.items():
        if second in name:
            continue
        if first in name:
            other = name.replace(first, second)
            if tensors[other].shape[1:] != tensor.shape[1:]:
                raise BadData(
                    f"the tensor {other} is {tuple(tensors[other].shape)} and {name} {tuple(tensor.shape)}: they must "
                    "be as wide"
                )
            found[name.replace(first, joined)] = torch.cat([tensor, tensors[other]])
        else:
            found[name] = tensor
    return found


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": GELU,
    "gelu_new": lambda: GELU("tanh"),
    "gelu_pytorch_tanh": lambda: GELU("tanh"),
    "relu": ReLU,
    "silu": SiLU,
    "swish": SiLU,
}


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise BadData(f"config.json asks for the activation {name!r}; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def _only(c: Config, **known: Any) -> None:
    """Refuse what would change the numbers: each of these is as it is known here, or not said."""
    for name, value in known.items():
        if c.get(name) not in (None, value):
            raise BadData(f"config.json asks for {name} {c[name]!r}, and {value!r} alone is known here")


def _bert(c: Config) -> models.BERT:
    _only(c, position_embedding_type="absolute", is_decoder=False)
    return models.BERT(
        c["vocab_size"],
        c["hidden_size"],
        c["num_attention_heads"],
        c["num_hidden_layers"],
        c["max_position_embeddings"],
        c["intermediate_size"],
        c["type_vocab_size"],
        _activation(c["hidden_act"]),
        LayerNorm(c["layer_norm_eps"]),
        c["hidden_dropout_prob"],
    )


def _bert_whole(tensors: Tensors, config: Config) -> Tensors:
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    # As the first of them were written, and are to this day.
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        bare = {name.replace(old, new): tensor for name, tensor in bare.items()}
    return _joined(bare, "self.key.", "self.value.", "self.both.")


BERT = Family(
    _bert,
    {
        r"embeddings\.word_embeddings\.weight": "words.weight",
        r"embeddings\.position_embeddings\.weight": "places.weight",
        r"embeddings\.token_type_embeddings\.weight": "kinds.weight",
        r"embeddings\.LayerNorm\.(\w+)": r"normalise.\1",
        r"encoder\.layer\.(\d+)\.attention\.self\.query\.(\w+)": r"blocks.\1.attention.query.\2",
        r"encoder\.layer\.(\d+)\.attention\.self\.both\.(\w+)": r"blocks.\1.attention.key_value.\2",
        r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)": r"blocks.\1.attention.out.\2",
        r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.(\w+)": r"blocks.\1.branches.0.normalise.\2",
        r"encoder\.layer\.(\d+)\.intermediate\.dense\.(\w+)": r"blocks.\1.feed.0.\2",
        r"encoder\.layer\.(\d+)\.output\.dense\.(\w+)": r"blocks.\1.feed.2.\2",
        r"encoder\.layer\.(\d+)\.output\.LayerNorm\.(\w+)": r"blocks.\1.branches.1.normalise.\2",
    },
    _bert_whole,
    r"pooler\..*|cls\..*|classifier\..*|embeddings\.position_ids",
)


def _gpt2(c: Config) -> models.GPT:
    _only(c, scale_attn_by_inverse_layer_idx=False, scale_attn_weights=True, tie_word_embeddings=True)
    _only(c, add_cross_attention=False)
    position = LearnedPositions(c["n_positions"], c["n_embd"])
    return models.GPT(
        c["vocab_size"],
        c["n_embd"],
        c["n_head"],
        c["n_layer"],
        position,
        hidden=c.get("n_inner"),
        activation=_activation(c["activation_function"]),
        order=PreNorm(LayerNorm(c["layer_norm_epsilon"])),
        dropout=c["resid_pdrop"],
    )


def _gpt2_whole(tensors: Tensors, config: Config) -> Tensors:
    found, width = {}, config["n_embd"]
    for name, tensor in tensors.items():
        bare = name.removeprefix("transformer.")
        # Their maps are written the other way round.
        turned = tensor.T if re.search(r"\.(c_attn|c_proj|c_fc)\.weight$", bare) else tensor
        if ".c_attn." in bare:
            found[bare.replace("c_attn", "query")] = turned[:width]
            found[bare.replace("c_attn", "both")] = turned[width:]
        else:
            found[bare] = tensor[None] if bare == "wpe.weight" else turned
    return {name: tensor.contiguous() for name, tensor in found.items()}


GPT2 = Family(
    _gpt2,
    {
        r"wte\.weight": "words.weight",
        r"wpe\.weight": "position.table",
        r"h\.(\d+)\.ln_1\.(\w+)": r"blocks.\1.branches.0.normalise.\2",
        r"h\.(\d+)\.attn\.query\.(\w+)": r"blocks.\1.attention.query.\2",
        r"h\.(\d+)\.attn\.both\.(\w+)": r"blocks.\1.attention.key_value.\2",
        r"h\.(\d+)\.attn\.c_proj\.(\w+)": r"blocks.\1.attention.out.\2",
        r"h\.(\d+)\.ln_2\.(\w+)": r"blocks.\1.branches.1.normalise.\2",
        r"h\.(\d+)\.mlp\.c_fc\.(\w+)": r"blocks.\1.feed.0.\2",
        r"h\.(\d+)\.mlp\.c_proj\.(\w+)": r"blocks.\1.feed.2.\2",
        r"ln_f\.(\w+)": r"norm.\1",
        r"lm_head\.weight": "logits.weight",
    },
    _gpt2_whole,
    r"h\.\d+\.attn\.(bias|masked_bias)",
)


def _llama(c: Config) -> models.GPT:
    head = c["hidden_size"] // c["num_attention_heads"]
    _only(c, head_dim=head, attention_bias=False, mlp_bias=False, hidden_act="silu")
    parameters = c.get("rope_parameters") or c.get("rope_scaling") or {}
    _only(parameters, rope_type="default", type="default")
    base = float(parameters.get("rope_theta", c.get("rope_theta", 10000.0)))
    return models.GPT(
        c["vocab_size"],
        c["hidden_size"],
        c["num_attention_heads"],
        c["num_hidden_layers"],
        Rotary(head, base),
        kv_heads=c.get("num_key_value_heads"),
        hidden=c["intermediate_size"],
        activation=swiglu(),
        order=PreNorm(RMSNorm(c["rms_norm_eps"])),
        head=models.Tied() if c.get("tie_word_embeddings") else models.Untied(),
        bias=False,
    )


def _llama_whole(tensors: Tensors, config: Config) -> Tensors:
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    both = _joined(bare, "k_proj", "v_proj", "both")
    # A gated activation takes what is let through first, then the gate.
    return _joined(both, "up_proj", "gate_proj", "wide")


LLAMA = Family(
    _llama,
    {
        r"embed_tokens\.weight": "words.weight",
        r"layers\.(\d+)\.input_layernorm\.weight": r"blocks.\1.branches.0.normalise.weight",
        r"layers\.(\d+)\.self_attn\.q_proj\.weight": r"blocks.\1.attention.query.weight",
        r"layers\.(\d+)\.self_attn\.both\.weight": r"blocks.\1.attention.key_value.weight",
        r"layers\.(\d+)\.self_attn\.o_proj\.weight": r"blocks.\1.attention.out.weight",
        r"layers\.(\d+)\.post_attention_layernorm\.weight": r"blocks.\1.branches.1.normalise.weight",
        r"layers\.(\d+)\.mlp\.wide\.weight": r"blocks.\1.feed.0.weight",
        r"layers\.(\d+)\.mlp\.down_proj\.weight": r"blocks.\1.feed.2.weight",
        r"norm\.weight": "norm.weight",
        r"lm_head\.weight": "logits.weight",
    },
    _llama_whole,
    r".*rotary_emb\.inv_freq",
)


def _marian(c: Config) -> models.Transformer:
    if c["encoder_layers"] != c["decoder_layers"] or c["encoder_ffn_dim"] != c["decoder_ffn_dim"]:
        raise BadData("config.json asks for an encoder and a decoder of unlike sizes, which are not known here")
    _only(c, decoder_attention_heads=c["encoder_attention_heads"], scale_embedding=True)
    _only(c, tie_word_embeddings=True, share_encoder_decoder_embeddings=True, normalize_before=False)
    return models.Transformer(
        c["vocab_size"],
        c["d_model"],
        c["encoder_attention_heads"],
        c["encoder_layers"],
        SinusoidalPositions(c["d_model"], apart=True),
        c["encoder_ffn_dim"],
        _activation(c["activation_function"]),
        PostNorm(),
        models.Tied(bias=True),
        dropout=0.0,
    )


def _marian_whole(tensors: Tensors, config: Config) -> Tensors:
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    bare["final_logits_bias"] = bare["final_logits_bias"].flatten()
    return _joined(bare, "k_proj", "v_proj", "both")


def _side(theirs: str, ours: str, last: int) -> dict[str, str]:
    """Of encoder and decoder, whose last branch is that of the network for each token."""
    layer = rf"{theirs}\.layers\.(\d+)\."
    return {
        layer + r"self_attn\.q_proj\.(\w+)": rf"{ours}.\1.attention.query.\2",
        layer + r"self_attn\.both\.(\w+)": rf"{ours}.\1.attention.key_value.\2",
        layer + r"self_attn\.out_proj\.(\w+)": rf"{ours}.\1.attention.out.\2",
        layer + r"self_attn_layer_norm\.(\w+)": rf"{ours}.\1.branches.0.normalise.\2",
        layer + r"encoder_attn\.q_proj\.(\w+)": rf"{ours}.\1.cross.query.\2",
        layer + r"encoder_attn\.both\.(\w+)": rf"{ours}.\1.cross.key_value.\2",
        layer + r"encoder_attn\.out_proj\.(\w+)": rf"{ours}.\1.cross.out.\2",
        layer + r"encoder_attn_layer_norm\.(\w+)": rf"{ours}.\1.branches.1.normalise.\2",
        layer + r"fc1\.(\w+)": rf"{ours}.\1.feed.0.\2",
        layer + r"fc2\.(\w+)": rf"{ours}.\1.feed.2.\2",
        layer + r"final_layer_norm\.(\w+)": rf"{ours}.\1.branches.{last}.normalise.\2",
    }


MARIAN = Family(
    _marian,
    {
        r"shared\.weight": "words.weight",
        r"final_logits_bias": "logits.bias",
        **_side("encoder", "reading", 1),
        **_side("decoder", "telling", 2),
    },
    _marian_whole,
    r"(encoder|decoder)\.embed_(tokens|positions)\.weight|lm_head\.weight",
)

FAMILIES = {"bert": BERT, "gpt2": GPT2, "llama": LLAMA, "marian": MARIAN}
