"""Networks in the folders of Hugging Face: config.json, safetensors, tokenizer.json. Read as plain data; nothing that a
folder brings is executed, and every tensor has to find its place.

Known are the families bert, gpt2, llama and marian.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from descend import models
from descend.data import BadData, PromptCodec, TextCodec
from descend.data.datasets.text import LONGEST
from descend.engine import Predictor
from descend.optim import AdamW
from descend.ship.families import FAMILIES, Config, Tensors
from descend.tasks import Greedy, Language, Sentences, Translate


def network(folder: str | Path) -> nn.Module:
    """The network of a folder, with its weights, in evaluation mode.

    Raises:
        BadData: the folder holds no configuration or no safetensors, is of another family, or its tensors are not
            those that its configuration speaks of; the message names the first.
    """
    folder = Path(folder)
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise BadData(f"{folder} holds a network of the family {kind!r}; known are {', '.join(FAMILIES)}")
    family = FAMILIES[kind]
    try:
        made = family.build(config)
        found = family.whole(_tensors(folder), config)
    except KeyError as error:
        raise BadData(
            f"{folder}: {error} is missing, in config.json or among the tensors: the files were cut, or are another "
            "network's"
        ) from None
    renamed = {}
    for name, tensor in found.items():
        ours = _renamed(name, family.names)
        if ours is None and not re.fullmatch(family.unused, name):
            raise BadData(f"{folder}: the tensor {name} belongs nowhere in a network of the family {kind}")
        if ours is not None:
            renamed[ours] = tensor
    own = made.state_dict()
    for name, tensor in own.items():
        if name not in renamed:
            tied = [key for key, other in own.items() if other.data_ptr() == tensor.data_ptr() and key in renamed]
            if not tied:
                raise BadData(f"{folder}: the tensor for {name} is missing: the file was cut, or is another network's")
            renamed[name] = renamed[tied[0]]
        if renamed[name].shape != tensor.shape:
            raise BadData(
                f"{folder}: the tensor for {name} is {tuple(renamed[name].shape)}, config.json asks for "
                f"{tuple(tensor.shape)}"
            )
    made.load_state_dict(renamed)
    return made.eval()


def predictor(folder: str | Path) -> Predictor:
    """The network of a folder behind its tokenizer, ready to answer and to be taught on: of bert, points of sentences;
    of gpt2 and llama, texts told on; of marian, translations.

    >>> predictor("all-MiniLM-L6-v2").predict("a fine film")["embedding"]

    Raises:
        BadData: as of `network`; or there is no tokenizer.json.
    """
    folder = Path(folder)
    made, config = network(folder), _json(folder / "config.json")
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise BadData(
            f"{path} is not there: the network reads tokens; save its tokenizer with it, as "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…) does"
        )
    content, optimizer = path.read_text("utf-8"), AdamW(5e-5)
    end = config.get("eos_token_id")
    end = end[0] if isinstance(end, list) else -1 if end is None else end
    if isinstance(made, models.BERT):
        summary, length = _sentences(folder, made.length)
        codec = TextCodec(content, length, marked=True)
        # What stands behind a text stands behind an answer too, where pairs of texts are learned from.
        last = codec.tokens.encode("").ids[-1:]
        codec = TextCodec(content, length, marked=True, end=last[0] if last else -1)
        return Predictor(Sentences(made, optimizer, summary).eval(), codec)
    if isinstance(made, models.GPT):
        task = Language(made, optimizer, Greedy(), most=100, end=end, window=config.get("max_position_embeddings"))
        room = made.length or min(LONGEST, config.get("max_position_embeddings") or LONGEST)
        codec = PromptCodec(content, room, marked=True, end=end)
        return Predictor(task.eval(), codec)
    codec = TextCodec(content, config["max_position_embeddings"], marked=True, end=end)
    begin, never = config["decoder_start_token_id"], _never(folder, config)
    task = Translate(made, optimizer, codec, most=100, begin=begin, never=never)
    return Predictor(task.eval(), codec)


SUMMARIES = {"cls": models.FirstToken(), "max": models.MostOfTokens(), "mean": models.MeanOfTokens()}
"""What stands for a text, as sentence-transformers call it."""


def _sentences(folder: Path, length: int) -> tuple[models.Summary, int]:
    """What stands for a text, and how many tokens of it are read, as sentence-transformers wrote them beside the
    network; the mean, and all that it takes, where they did not."""
    parts = [part["type"].rpartition(".")[2] for part in _beside(folder / "modules.json", [])]
    strange = [part for part in parts if part not in ("Transformer", "Pooling", "Normalize")]
    if strange:
        raise BadData(f"{folder}: modules.json asks for {strange[0]} behind the network, which is not known here")
    pooling = _beside(folder / "1_Pooling" / "config.json", {})
    on = [re.sub("^pooling_mode_|_tokens?$", "", name) for name, value in pooling.items() if value is True]
    asked = pooling.get("pooling_mode") or "+".join(kind for kind in on if kind != "include_prompt") or "mean"
    if asked not in SUMMARIES:
        raise BadData(f"{folder}: 1_Pooling asks for {asked}; known is one of {', '.join(SUMMARIES)}")
    most = _beside(folder / "sentence_bert_config.json", {}).get("max_seq_length")
    return SUMMARIES[asked], min(length, most or length)


def _never(folder: Path, config: Config) -> tuple[int, ...]:
    """Tokens that must not be told, as Marian's padding, of which it is surest."""
    banned = _beside(folder / "generation_config.json", {}).get("bad_words_ids") or config.get("bad_words_ids") or []
    if any(len(word) != 1 for word in banned):
        raise BadData(f"{folder}: bad_words_ids bans words of several tokens; single ones alone are known here")
    return tuple(word[0] for word in banned)


def _beside(path: Path, otherwise: Any) -> Any:
    return _json(path) if path.is_file() else otherwise


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadData(f"{path} is not there: a folder of Hugging Face holds config.json") from None
    except ValueError as error:
        raise BadData(f"{path} is torn or no JSON: {error}") from None


def _tensors(folder: Path) -> Tensors:
    """Of all safetensors files; old .bin files by torch's reader that builds tensors alone."""
    files = sorted(folder.glob("*.safetensors"))
    try:
        if files:
            return {name: tensor for file in files for name, tensor in load_file(file).items()}
        old = sorted(folder.glob("pytorch_model*.bin"))
        if old:
            return {n: t for file in old for n, t in torch.load(file, "cpu", weights_only=True).items()}
    except SafetensorError as error:
        raise BadData(f"{folder}: a safetensors file is torn or broken ({error})") from None
    except Exception as error:  # torch's reader raises what it likes for what is no plain tensors
        raise BadData(f"{folder}: the .bin file holds more than tensors, or is torn: {str(error)[:100]}") from None
    raise BadData(f"{folder} holds no .safetensors file: save the network with safe_serialization=True")


def _renamed(name: str, names: Mapping[str, str]) -> str | None:
    for pattern, ours in names.items():
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    return None
