"""Pictures that are normal or odd, for one kind of normal pictures or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from descend.data.codecs.image import RIGHT, TILE, WRONG, drawn
from descend.data.codecs.picture import PictureCodec

if TYPE_CHECKING:
    from PIL import Image


class NoveltyCodec(PictureCodec):
    """A picture as `PictureCodec` reads it; the answer is how odd it is for each kind.

    Args:
        height, width, channels: as of `PictureCodec`.
        kinds: the names of the normal kinds.
        limits: for each, the score from which a picture is odd; not known before a network was trained.
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int = 3,
        kinds: tuple[str, ...] = ("normal",),
        limits: tuple[float, ...] | None = None,
    ):
        super().__init__(height, width, channels)
        if limits is not None and len(limits) != len(kinds):
            raise ValueError(f"NoveltyCodec: {len(limits)} limits of {len(kinds)} kinds {kinds}: give one each")
        self.kinds = kinds
        self.limits = limits

    def knowing(self, limits: tuple[float, ...]) -> NoveltyCodec:
        """The same with these limits."""
        return NoveltyCodec(self.height, self.width, self.channels, self.kinds, limits)

    def decode(self, output: Float[Tensor, "kinds"]) -> dict[str, Any]:
        """``odd``, whether it is so for all kinds; ``normal``, the kinds that it is normal for, the best first; and
        ``scores``, as shares of the limit.

        Raises:
            ValueError: the limits are not known.
        """
        if self.limits is None:
            raise ValueError("this NoveltyCodec knows no limits: Novelty.complete(codec, data) gives one that does")
        shares = [score / limit for score, limit in zip(output.tolist(), self.limits, strict=True)]
        scores = dict(sorted(zip(self.kinds, shares, strict=True), key=lambda pair: pair[1]))
        normal = [kind for kind, share in scores.items() if share <= 1]
        return {"odd": not normal, "normal": normal, "scores": {kind: round(v, 4) for kind, v in scores.items()}}

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image | None:
        """The picture over the kind that it is nearest to, and how near; in colour where it is odd."""
        if self.limits is None:
            return None
        from PIL import Image, ImageDraw

        answer = self.decode(output)
        (kind, share), *_ = answer["scores"].items()
        small = drawn(sample["x"]).convert("RGB")
        times = max(1, round(TILE / small.width))
        shown = small.resize((small.width * times, small.height * times), Image.Resampling.NEAREST)
        tile = Image.new("RGB", (max(TILE, shown.width), shown.height + 28), "white")
        tile.paste(shown, ((tile.width - shown.width) // 2, 0))
        pen = ImageDraw.Draw(tile)
        pen.text((2, shown.height + 1), kind, fill=WRONG if answer["odd"] else RIGHT)
        pen.text((2, shown.height + 14), f"{share:.2f} of its limit", fill=WRONG if answer["odd"] else RIGHT)
        return tile
