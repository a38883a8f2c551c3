"""Weight files that are missing, damaged or of another network. Some tests need torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch_kit.weights import (
    bake_spectral_norm,
    fill,
    present,
    put,
    read_objects,
    read_tensors,
    repacked,
    require,
    whole,
)
from faceorch_runner import MissingWeight


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed here")


def test_a_weight_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "landmark.onnx"
    with pytest.raises(MissingWeight) as caught:
        present(path)
    assert str(caught.value) == f"{path} is missing: fetch the network's weights"

    def read(file: Path) -> None:
        raise ValueError("no graph in it\nand more")

    with pytest.raises(MissingWeight) as caught:
        whole(path, read)
    assert str(caught.value) == "landmark.onnx cannot be read, fetch it again: no graph in it"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_a_machine_that_is_too_small_is_no_damaged_weight(tmp_path: Path, error: Exception) -> None:
    def read(file: Path) -> None:
        raise error

    with pytest.raises(type(error)):
        whole(tmp_path / "landmark.onnx", read)


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "b.pth").touch()
    require(tmp_path, "b.pth")
    with pytest.raises(MissingWeight, match=r"^missing from the weights folder: a\.pth, c/d\.pth$"):
        require(tmp_path, "a.pth", "b.pth", "c/d.pth")


def test_a_repacked_file_goes_before_the_one_that_it_was_made_of(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    assert repacked(path) == path
    (tmp_path / "a.safetensors").touch()
    assert repacked(path) == tmp_path / "a.safetensors"


def test_weights_must_fit_exactly(torch: Any) -> None:
    model = torch.nn.Linear(2, 3)
    good = model.state_dict()
    put(model, good, "a.pth")
    with pytest.raises(MissingWeight) as caught:
        put(model, {"weight": good["weight"], "wait": good["bias"]}, "a.pth")
    assert str(caught.value) == "a.pth does not fit the network: 1 tensors missing, 1 unknown (bias, wait)"
    with pytest.raises(MissingWeight, match=r"^a\.pth does not fit the network: size mismatch for weight"):
        put(model, {"weight": torch.zeros(3, 5), "bias": good["bias"]}, "a.pth")
    computed = frozenset({"bias"})
    put(model, {"weight": good["weight"], "optimizer": good["bias"]}, "a.pth", computed=computed)
    with pytest.raises(
        MissingWeight, match=r"^a\.pth does not fit the network: 1 tensors missing, 0 unknown \(weight\)"
    ):
        put(model, {}, "a.pth", computed=computed)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_baked_spectral_norm_paints_the_same(torch: Any) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.utils.spectral_norm(torch.nn.Conv2d(3, 4, 3)), torch.nn.ReLU()).eval()
    picture = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        before = model(picture)
        bake_spectral_norm(model)
        assert torch.equal(model(picture), before)
    assert not hasattr(model[0], "weight_orig")


def test_a_network_takes_the_tensors_themselves(torch: Any) -> None:
    tensors = {"weight": torch.ones(3, 2, dtype=torch.float16), "bias": torch.zeros(3)}
    made = fill(lambda: torch.nn.Linear(2, 3), tensors, "cpu", "a.pth")
    assert made.weight.dtype == torch.float32
    assert made.bias is not None
    assert made.bias.data_ptr() == tensors["bias"].data_ptr(), "the tensors themselves, not copies"
    assert not made.training
    assert not any(value.requires_grad for value in made.parameters())
    with pytest.raises(
        MissingWeight, match=r"^a\.pth does not fit the network: 1 tensors missing, 0 unknown \(bias\)$"
    ):
        fill(lambda: torch.nn.Linear(2, 3), {"weight": tensors["weight"]}, "cpu", "a.pth")


def test_what_a_network_computes_by_itself_it_has(torch: Any) -> None:
    def build() -> Any:
        made = torch.nn.Linear(2, 3)
        made.register_buffer("table", torch.arange(4), persistent=False)
        return made

    made = fill(build, {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, "cpu", "a.pth")
    assert made.table.tolist() == [0, 1, 2, 3]


def test_nothing_random_is_drawn_for_a_network_that_a_file_fills(torch: Any) -> None:
    def build() -> Any:
        made = torch.nn.Linear(2, 3)
        made.noise = torch.nn.Parameter(torch.randn(2))
        torch.nn.init.kaiming_normal_(made.weight)
        torch.nn.init.xavier_uniform_(tensor=made.weight)
        made.noise.data.normal_()
        return made

    torch.manual_seed(0)
    tensors = {"weight": torch.ones(3, 2), "bias": torch.zeros(3), "noise": torch.ones(2)}
    before = torch.get_rng_state()
    made = fill(build, tensors, "cpu", "a.pth")
    assert torch.equal(torch.get_rng_state(), before)
    assert made.noise.tolist() == [1.0, 1.0]
    assert torch.randn(3).std() > 0, "elsewhere they are drawn"


@pytest.fixture
def made(torch: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whatever is made without being filled holds sevens, and is in this list."""
    made: list[Any] = []
    empty, empty_like = torch.empty, torch.empty_like

    def sevens(tensor: Any) -> Any:
        made.append(tensor)
        return tensor.fill_(7.0)

    monkeypatch.setattr(torch, "empty", lambda *shape, **how: sevens(empty(*shape, **how)))
    monkeypatch.setattr(torch, "empty_like", lambda value: sevens(empty_like(value)))
    return made


def test_layers_that_are_copied_from_one_are_made_without_copying_it(torch: Any, made: list[Any]) -> None:
    def layers() -> Any:
        first = torch.nn.Linear(3, 2)
        made.clear()
        return torch.nn.Sequential(first, copy.deepcopy(first))

    network = fill(layers, tensors := tensors_for(torch, layers), "cpu", "file")
    assert [tuple(tensor.shape) for tensor in made] == [(2, 3), (2,)]  # weight and bias of the second
    assert all((value == tensors[name]).all() for name, value in network.state_dict().items())


def tensors_for(torch: Any, build: Callable[[], Any]) -> dict[str, Any]:
    return {name: torch.randn_like(value) for name, value in build().state_dict().items()}


@pytest.mark.usefixtures("made")
def test_nobody_computes_with_random_numbers_that_are_not_there(torch: Any) -> None:
    seen: dict[str, list[float]] = {}

    def layer() -> Any:
        network = torch.nn.Linear(1, 2)
        network.weight.data *= 2.0
        network.weight.data.div_(3.0)
        kept, known = torch.randn(2), torch.ones(2)
        seen["scaled"] = network.weight.flatten().tolist()
        seen["new"] = (kept / 2.0).tolist()
        seen["again"] = (kept / 2.0 * 3.0).tolist()
        seen["with another"] = (kept * (known + known)).tolist()
        seen["known"] = (known.mul_(4.0) / 2.0).clone(memory_format=torch.preserve_format).tolist()
        seen["copied"] = copy.deepcopy(torch.nn.Parameter(known)).tolist()
        return network

    fill(layer, {"weight": torch.zeros(2, 1), "bias": torch.zeros(2)}, "cpu", "file")
    assert seen["scaled"] == seen["new"] == seen["again"] == [7.0, 7.0]
    assert (seen["with another"], seen["known"], seen["copied"]) == ([14.0, 14.0], [2.0, 2.0], [4.0, 4.0])


def test_of_a_file_only_what_is_asked_for_is_returned(torch: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {"one.a": torch.ones(1), "two.a": torch.zeros(2)}
    save_file(tensors, tmp_path / "x.safetensors")
    torch.save(tensors, tmp_path / "x.pth")
    for name in ("x.safetensors", "x.pth"):
        assert read_tensors(tmp_path / name).keys() == tensors.keys()
        assert {key: len(value) for key, value in read_tensors(tmp_path / name, "two.").items()} == {"a": 2}
        with pytest.raises(MissingWeight, match=rf"^{name} holds no tensors of three$"):
            read_tensors(tmp_path / name, "three.")


def test_a_file_that_holds_more_than_tensors_is_read_when_that_is_said(torch: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"where": tmp_path}, path)
    with pytest.raises(MissingWeight, match=r"^x\.pt cannot be read, fetch it again: "):
        read_tensors(path)
    assert read_objects(path) == {"where": tmp_path}
