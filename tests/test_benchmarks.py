"""The scripts that measure run where they say they run."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
MAKERS = HOME / "tests" / "insight" / "makers.py"
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
    assert all(0 < row["share_of_limit"] < 2 for row in rows)
    assert ("left out: no time was left" in done.stdout) == (not systems)


@pytest.mark.slow
def test_a_row_may_name_a_judge_which_is_trained_once(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(HOME / "benchmarks")
    spec = importlib.util.spec_from_file_location("benchmark_recipes", HOME / "benchmarks" / "recipes.py")
    recipes = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipes)
    words, judge = (f"{MAKERS}:averages", "--device", "cpu"), (f"{MAKERS}:reader", "--device", "cpu")
    row = recipes.Row("averages", words, "digits", "frechet", seeds=1, beside=("accuracy", "frechet_real"), judge=judge)
    found = recipes.measure(row, tmp_path)
    assert found["metric"] == "test judged frechet"
    assert found["value"] > found["beside"]["frechet_real"] > 0
    assert found["beside"]["accuracy"] > 0.8
    (folder,) = tmp_path.iterdir()
    trained = (folder / "scores.json").stat().st_mtime_ns
    assert recipes.run_of(judge, tmp_path) == folder
    assert (folder / "scores.json").stat().st_mtime_ns == trained
    with pytest.raises(SystemExit, match=r"(?s)ended with code 2:.*no recipe 'nothing'"):
        recipes.run_of(("nothing",), tmp_path)


@pytest.mark.slow
def test_a_row_may_need_another_run_before_it(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(HOME / "benchmarks")
    spec = importlib.util.spec_from_file_location("benchmark_recipes", HOME / "benchmarks" / "recipes.py")
    recipes = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipes)
    said = []

    def descend(folder, *words):
        said.append(words)
        run = Path(folder, words[words.index("--out") + 1])
        run.mkdir()
        (run / "scores.json").write_text('{"test": {"psnr": 20.0}}')

    monkeypatch.setattr(recipes, "_descend", descend)
    before = (("--codes", ("picture_codes", "--epochs", "1")),)
    row = recipes.Row("text", ("text_to_picture",), "emoji", "psnr", seeds=2, before=before)
    assert recipes.measure(row, tmp_path)["command"] == "descend train text_to_picture --codes runs/picture_codes-1"
    made = tmp_path / "picture_codes---epochs-1"
    assert said[0] == ("train", "picture_codes", "--epochs", "1", "--out", str(made))
    assert len(said) == 3  # it is made once for both seeds
    for seed, words in enumerate(said[1:]):
        assert words[:4] == ("train", "text_to_picture", "--codes", str(made))
        assert words[4:6] == ("--seed", str(seed))
