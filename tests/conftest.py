"""What every test runs under: shapes in signatures are checked, the real data are found, threads do not fight.

``DESCEND_TYPECHECK=0`` switches the checker off for a whole run. Tests with "compil" in their name run without it:
the checker's frames are nothing that torch.compile should trace.
"""

import os
from collections.abc import Iterator
from pathlib import Path

if os.environ.get("DESCEND_TYPECHECK", "1") != "0":
    # Before the first import of descend: the hook rewrites modules while they are imported.
    from jaxtyping import install_import_hook

    import tests.checked  # noqa: F401  the hook names it and does not import it

    install_import_hook("descend", "tests.checked.checked")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # xdist's workers, and the processes that tests start, share few cores

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
BESIDE = ROOT.parent / "shared" / "data"
if BESIDE.is_dir():
    os.environ.setdefault("DESCEND_DATA", str(BESIDE))
# Processes that tests start import this checkout, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))


@pytest.fixture
def real_data() -> Path:
    """The folder of real files; the test is skipped where there is none."""
    folder = os.environ.get("DESCEND_DATA")
    if not folder:
        pytest.skip("needs real data: DESCEND_DATA names no folder")
    return Path(folder)


@pytest.fixture(autouse=True)
def _same_start(request: pytest.FixtureRequest) -> Iterator[None]:
    torch.manual_seed(0)
    checked = jaxtyping.config.jaxtyping_disable
    if "compil" in request.node.name:
        jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", checked)
