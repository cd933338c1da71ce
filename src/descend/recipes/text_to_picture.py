"""A picture of what a text says: noise becomes the codes of a picture, led by the text's words."""

from __future__ import annotations

from pathlib import Path

import torch

from descend.data import FlipUnless, Splits, datasets
from descend.engine import Experiment, UsageError, recipe
from descend.engine.run import read_description
from descend.models import CaptionCondition, DenoisingUNet
from descend.optim import EMA, Muon, OneCycle
from descend.ship import huggingface, load, minilm
from descend.tasks import VAE, Diffusion, LatentSpace, Way


@recipe
def text_to_picture(
    codes: Path,
    data: Path | None = None,
    size: int = 64,
    widths: tuple[int, ...] = (64, 128),
    guidance: float = 3.0,
    batch: int = 64,
    epochs: int = 180,
) -> Experiment:
    """Make pictures of what a text says, also by texts that were never learned from.

    descend train picture_codes --out runs/codes
    descend train text_to_picture --codes runs/codes   # 0.30 of new captions found among 100; 35 min, two cores
    descend train text_to_picture --codes runs/codes --data pictures/     # as of match
    descend train text_to_picture --codes runs/codes --widths 128 256 512 --epochs 2000      # for a GPU
    descend sample runs/text_to_picture-1 --text "red apple"

    The words are read by MiniLM, which knows English and stays as it is, and goes with the model.
    """
    space = codes_of(codes, datasets.captioned(data, size))
    encoder = huggingface.network(minilm())
    splits = datasets.captioned(data, size, (minilm() / "tokenizer.json").read_text("utf-8"), encoder)
    network = DenoisingUNet(space.vae.decoder.width, widths, attention=1, context_width=4 * widths[0], dropout=0.1)
    task = Diffusion(
        network,
        Muon(0.01, weight_decay=0.01, rest_lr=1e-3, schedule=OneCycle(), average=EMA(0.999)),
        (3, size, size),
        CaptionCondition(384, network.width, encoder),
        way=Way(guidance=guidance),
        space=space,
    )
    return Experiment(task=task, data=splits, batch=batch, epochs=epochs, augment=FlipUnless())


def codes_of(run: Path, pictures: Splits) -> LatentSpace:
    """The space of a run of `picture_codes`, by the spread of these training pictures.

    Raises:
        UsageError: there is no such run, it learned no codes that are maps, or it learned from other pictures.
    """
    make = "descend train picture_codes --out runs/codes, then --codes runs/codes"
    if not Path(run).is_dir():
        raise UsageError(f"--codes {run}: there is no such folder; make one: {make}")
    task = load(run).task
    if not isinstance(task, VAE):
        raise UsageError(f"--codes {run} holds {type(task).__name__}, which learned no codes of pictures: {make}")
    learned = (read_description(run).get("data") or {}).get("fingerprint")
    if learned != pictures.fingerprint():
        raise UsageError(
            f"--codes {run} learned from other pictures than {pictures.name} at {'×'.join(map(str, pictures.shape))}: "
            f"give both the same --data and --size; {make}"
        )
    return LatentSpace.of(task, pictures.train.gather(torch.arange(len(pictures.train)))["x"])
