"""Checkpoints: whole or not at all, and nothing in them is executed."""

import errno
import json
import pickle
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from descend.engine import CheckpointError, Checkpoints
from descend.engine.checkpoint import FILES, digest, load_checkpoint, pack, unpack

STATE = {
    "step": 3,
    "task": {"weight": torch.arange(12.0).view(3, 4), "half": torch.ones(2, dtype=torch.bfloat16)},
    "descents": {"descent": {"scores": [0.1, float("inf")], "name/with.odd keys": {"step": torch.tensor(3.0)}}},
    "nothing": None,
    "empty": {},
}


@pytest.fixture
def saved(tmp_path) -> Path:
    return Checkpoints(tmp_path / "checkpoints").save(3, STATE)


def _equal(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    return a == b


def test_what_is_saved_is_loaded(saved):
    assert saved.name == "000003"
    assert _equal(load_checkpoint(saved), STATE)


def test_only_the_newest_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 30):
        checkpoints.save(step, {"step": step})
    assert checkpoints.steps() == [2, 30]
    assert checkpoints.newest()[0] == 30


def test_views_are_saved_as_themselves():
    base = torch.arange(10.0)
    tensors = {}
    state = unpack(pack({"a": base[2:4], "b": base}, tensors), tensors)
    assert state["a"].tolist() == [2, 3]
    assert state["a"].untyped_storage().nbytes() == 8


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_truncated_at_any_length_is_refused(saved, name):
    path = saved / name
    whole = path.read_bytes()
    for length in sorted({0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 1}):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="000003"):
            load_checkpoint(saved)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_flipped_bit_is_refused(saved, name):
    path = saved / name
    whole = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for position in torch.randint(len(whole), (40,), generator=generator).tolist():
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            # A bit in the manifest's own white space or key order may mean nothing; then the state must be the same.
            assert _equal(load_checkpoint(saved), STATE)
        except CheckpointError:
            refused += 1
    assert refused == 40 if name in FILES else refused > 30


def _trust(folder: Path) -> None:
    """Make the manifest say what lies there, as one who attacks would."""
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": digest(folder / name)} for name in FILES}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "step": 3, "files": files}))


class _Bomb:
    def __reduce__(self):
        return (Path("/tmp/descend-bomb").touch, ())


def test_a_pickle_inside_is_never_opened(saved):
    Path("/tmp/descend-bomb").unlink(missing_ok=True)
    (saved / FILES[0]).write_bytes(pickle.dumps(_Bomb()))
    _trust(saved)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(saved)
    assert not Path("/tmp/descend-bomb").exists()


@pytest.mark.parametrize(
    "header",
    [
        b'{"weight":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4]}}',
        b'{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,400000000]}}',
        b'{"weight":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b"{",
    ],
)
def test_a_header_that_lies_is_refused(saved, header):
    (saved / FILES[0]).write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    _trust(saved)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(saved)
    (saved / FILES[0]).write_bytes((1 << 62).to_bytes(8, "little") + header)
    _trust(saved)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(saved)


def test_a_name_that_leads_out_is_refused(saved):
    (saved.parent / "outside.json").write_text("{}")
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"]["../outside.json"] = manifest["files"].pop("state.json")
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"\.\./outside\.json"):
        load_checkpoint(saved)


def test_a_link_in_place_of_a_file_is_refused(saved, tmp_path):
    (saved / "state.json").rename(tmp_path / "elsewhere.json")
    (saved / "state.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(CheckpointError, match=r"state\.json is missing"):
        load_checkpoint(saved)


def test_the_newest_good_one_is_taken_and_the_torn_one_named(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        checkpoints.save(step, {"step": step})
    path = tmp_path / "000003" / FILES[0]
    path.write_bytes(path.read_bytes() + b"x")
    step, state, refused = checkpoints.newest()
    assert (step, state["step"]) == (2, 2)
    assert len(refused) == 1
    assert "000003" in refused[0]
    assert "tensors.safetensors" in refused[0]
    for each in (1, 2):
        (tmp_path / f"{each:06d}" / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint is good"):
        checkpoints.newest()


def test_an_unfinished_folder_is_not_seen(saved):
    (saved.parent / ".000009.unfinished").mkdir()
    assert Checkpoints(saved.parent).steps() == [3]


@pytest.mark.slow
def test_a_full_disk_leaves_the_previous_one(tmp_path):
    program = textwrap.dedent("""
        import resource, signal, sys, torch
        from pathlib import Path
        from descend.engine import Checkpoints
        checkpoints = Checkpoints(Path(sys.argv[1]))
        checkpoints.save(1, {"weight": torch.zeros(10)})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            checkpoints.save(2, {"weight": torch.zeros(1_000_000)})
        except Exception as error:
            print(type(error).__name__, checkpoints.steps(), sorted(p.name for p in checkpoints.folder.iterdir()))
    """)
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "[1] ['000001']" in done.stdout, done.stdout + done.stderr
    assert Checkpoints(tmp_path).newest()[0] == 1


def test_a_full_disk_at_the_last_moment(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, STATE)

    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("descend.engine.checkpoint.write_text", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(2, STATE)
    assert [p.name for p in tmp_path.iterdir()] == ["000001"]
    assert checkpoints.newest()[0] == 1


def test_what_cannot_be_saved_is_named():
    with pytest.raises(TypeError, match="descents/made is a set"):
        pack({"descents": {"made": {1}}}, {})
    with pytest.raises(TypeError, match="keyed by strings"):
        pack({"descents": {1: 2}}, {})
