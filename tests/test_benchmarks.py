"""The scripts that measure run where they say they run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
BARE = """
import runpy, sys
for name in ("jaxtyping", "PIL", "safetensors"):
    sys.modules[name] = None  # as if it were not installed
sys.argv = ["gpu.py", "--one", {system!r}, "mlp", "--device", "cpu"]
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("system", ["textbook", "ours"])
def test_the_gpu_script_needs_torch_and_numpy_alone(system):
    words = [sys.executable, "-S", "-c", BARE.format(system=system)]
    # Without site-packages' .pth files, torch is all that is added.
    import torch

    path = str(Path(torch.__file__).parents[1])
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=HOME, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    row = json.loads(done.stdout.strip().splitlines()[-1])
    assert row["samples_per_s"] > 1000
    assert row["first_step_s"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "systems"), [("0", []), ("100", ["textbook"])])
def test_the_gpu_script_writes_rows_and_names_what_it_left_out(seconds, systems, tmp_path):
    words = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--workloads", "mlp", "--systems", "textbook"]
    words += ["--seconds", seconds, "--json", str(tmp_path / "rows.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=HOME)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["system"] for row in rows] == systems
    assert all(row["ratio_to_textbook"] == 1.0 and row["device"] == "cpu" for row in rows)
    assert ("left out: no time was left" in done.stdout) == (not systems)
