"""Data in memory and in files: gathered by number, hashed, refused by name."""

import pytest
import torch

from descend.data import BadData, Files, Loader, Tensors


def test_tensors_are_gathered_by_index():
    data = Tensors(x=torch.arange(12.0).view(6, 2), target=torch.arange(6))
    batch = data.gather(torch.tensor([4, 0, 4]))
    assert batch["x"].tolist() == [[8, 9], [0, 1], [8, 9]]
    assert batch["target"].tolist() == [4, 0, 4]
    assert len(data.to("cpu")) == 6


def test_the_fingerprint_is_of_the_content():
    x = torch.rand(5, 2)
    base = Tensors(x=x, target=torch.arange(5)).fingerprint()
    assert Tensors(target=torch.arange(5), x=x.clone()).fingerprint() == base
    changed = x.clone()
    changed[3, 1] += 1e-6
    others = [
        Tensors(x=changed, target=torch.arange(5)),
        Tensors(y=x, target=torch.arange(5)),
        Tensors(x=x.view(5, 2, 1), target=torch.arange(5)),
        Tensors(x=x, target=torch.arange(5, dtype=torch.int32)),
    ]
    assert base not in {other.fingerprint() for other in others}


def test_bad_tensors():
    with pytest.raises(BadData, match="there is not one sample: check the path, the filter or the split"):
        Tensors(x=torch.zeros(0, 3))
    with pytest.raises(BadData, match="there is not one sample"):
        Tensors()
    with pytest.raises(BadData, match="one row a sample, but x has 3, target has 4"):
        Tensors(x=torch.zeros(3, 1), target=torch.zeros(4))
    for value in (float("nan"), float("inf"), -float("inf")):
        x = torch.zeros(9, 2, 2)
        x[4, 1, 0] = x[7, 0, 0] = value
        with pytest.raises(BadData, match="'x' is NaN or infinite in 2 of 9 samples, first in sample 4: drop"):
            Tensors(x=x, target=torch.arange(9))


def read(item):
    return {"x": torch.full((2,), float(item)), "target": torch.tensor(item)}


def test_files_are_read_when_asked_for():
    seen = []
    files = Files([3, 1, 4, 1, 5], lambda item: seen.append(item) or read(item))
    assert seen == []
    batch = files.gather(torch.tensor([2, 0]))
    assert seen == [4, 3]
    assert batch["target"].tolist() == [4, 3]
    assert batch["x"].tolist() == [[4, 4], [3, 3]]
    assert files.to("cpu") is files


def test_files_that_fit_become_tensors():
    files = Files(range(10), read)
    held = files.in_memory()
    assert isinstance(held, Tensors)
    a, b = held.gather(torch.arange(10)), files.gather(torch.arange(10))
    assert all(torch.equal(a[name], b[name]) for name in ("x", "target"))
    assert files.in_memory(limit=10 * 16) is not files
    assert files.in_memory(limit=10 * 16 - 1) is files


def test_bad_files(tmp_path):
    with pytest.raises(BadData, match="there is not one file"):
        Files([], read)
    paths = [tmp_path / f"{i}.bin" for i in range(3)]
    for path in paths:
        path.touch()

    def wrong(item):
        _, kind = item
        if kind == "raises":
            raise KeyError("size")
        kind_of_number = torch.float64 if kind == "finer" else torch.float32
        return {"x": torch.zeros(3 if kind == "longer" else 2, dtype=kind_of_number) / (0 if kind == "nan" else 1)}

    def ask(kind):
        Files([(paths[0], ""), (paths[1], kind)], wrong).gather(torch.tensor([0, 1]))

    with pytest.raises(BadData, match=r"1\.bin cannot be read \(KeyError: 'size'\)"):
        ask("raises")
    with pytest.raises(BadData, match=r"1\.bin: 'x' is NaN or infinite: mend the file"):
        ask("nan")
    with pytest.raises(BadData, match=r"1\.bin gives x float32 \(3,\), but .*0\.bin gives x float32 \(2,\): let"):
        ask("longer")
    with pytest.raises(BadData, match=r"1\.bin gives x float64 \(2,\), but .*0\.bin gives x float32 \(2,\): let"):
        ask("finer")


def test_the_fingerprint_of_files_moves_with_their_folder(tmp_path):
    def prints(folder, sizes=(1, 2), target=0):
        (tmp_path / folder / "in").mkdir(parents=True)
        paths = [tmp_path / folder / "a", tmp_path / folder / "in" / "b"]
        for path, size in zip(paths, sizes, strict=True):
            path.write_bytes(b"x" * size)
        return Files([(path, target) for path in paths], read).fingerprint()

    base = prints("first")
    assert prints("second") == base
    assert prints("third", (1, 3)) != base
    assert prints("fourth", target=1) != base
    assert Files([1, 2], read).fingerprint() != Files([2, 1], read).fingerprint()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_one_bit_is_another_fingerprint(kind):
    tensor = torch.ones(7, 3, dtype=kind)
    base = Tensors(x=tensor).fingerprint()
    assert Tensors(x=tensor.t().contiguous().t()).fingerprint() == base  # whatever the order in memory
    bits = tensor.clone()
    bits[4].view(torch.uint8)[0] ^= 1
    assert Tensors(x=bits).fingerprint() != base


def test_no_column_of_a_kind_is_no_obstacle():
    data = Tensors(numbers=torch.rand(4, 2), categories=torch.zeros(4, 0, dtype=torch.int64))
    assert len(data.fingerprint()) == 16
    assert data.gather(torch.tensor([3, 1]))["categories"].shape == (2, 0)


def test_a_sample_is_never_rounded_to_the_type_of_another():
    """Which one came first in the batch would decide what is learned."""
    mixed = Files([0, 1], lambda i: {"x": torch.tensor([0.75]) if i else torch.tensor([1])})
    for order in ([0, 1], [1, 0]):
        with pytest.raises(BadData, match=r"gives x (int64|float32) \(1,\), but .* let read bring all samples to one"):
            mixed.gather(torch.tensor(order))


def test_names_must_be_the_same():
    files = Files([0, 1], lambda i: {"x": torch.zeros(1), **({"y": torch.zeros(1)} if i else {})})
    with pytest.raises(BadData, match=r"1 gives x float32 \(1,\), y float32 \(1,\), but 0 gives x float32 \(1,\):"):
        Loader(files, 2, shuffle=False).batch(0)
