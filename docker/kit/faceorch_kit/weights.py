"""Weight files to networks: what is missing, damaged or does not fit is named.

Torch and safetensors are imported by what reads tensors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from faceorch_runner import MissingWeight

if TYPE_CHECKING:
    import torch

Tensors = dict[str, "torch.Tensor"]

# What fills a tensor with random numbers in place, of tensors and of torch.nn.init.
_FILLS = {"uniform_", "normal_", "trunc_normal_"} | {
    f"{kind}_{spread}_" for kind in ("kaiming", "xavier") for spread in ("uniform", "normal")
}

# What may be done to those while a network is built: `clone` by the deepcopy of a Parameter, where layers are copied.
_IN_PLACE = {"mul_", "div_"}
_CHANGES = _IN_PLACE | {"mul", "div", "clone"}

_Content = TypeVar("_Content")
_Network = TypeVar("_Network", bound="torch.nn.Module")


def require(folder: Path, *names: str) -> None:
    """Check that no file is missing in a folder, before anything large is read."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise MissingWeight(f"missing from the weights folder: {', '.join(missing)}")


def present(path: Path) -> Path:
    """Return `path`; `MissingWeight` when no file is there."""
    if not path.is_file():
        raise MissingWeight(f"{path} is missing: fetch the network's weights")
    return path


def whole(path: Path, read: Callable[[Path], _Content]) -> _Content:
    """Return what `read` makes of a weight file; `MissingWeight` when it is damaged."""
    try:
        return read(path)
    except MemoryError:
        raise
    except Exception as error:  # each of four libraries has errors of its own for a damaged file
        if "out of memory" in str(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MissingWeight(f"{path.name} cannot be read, fetch it again: {reason}") from error


def read_tensors(path: Path, prefix: str = "") -> Tensors:
    """Return the tensors of a file, safetensors or pickled, whose names begin with `prefix`, without it.

    Of a safetensors file only those are read. A pickled file that holds more than tensors counts as damaged.
    """
    found: Tensors = whole(present(path), _safetensors(prefix) if path.suffix == ".safetensors" else _only_tensors)
    if path.suffix != ".safetensors" and prefix:
        found = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    if prefix and not found:
        raise MissingWeight(f"{path.name} holds no tensors of {prefix.rstrip('.')}")
    return found


def read_objects(path: Path) -> Any:
    """Return what a pickled file holds, be it tensors or not: running its code is part of that.

    For files whose hash the manifest pins. The container is what protects the host from them.
    """
    return whole(present(path), lambda file: _load(file, only_tensors=False))


def _only_tensors(path: Path) -> Any:
    return _load(path, only_tensors=True)


def _load(path: Path, *, only_tensors: bool) -> Any:
    import torch

    # Mapped, where the file's format allows it: what is not used is not read, and nothing is there twice.
    return torch.load(path, map_location="cpu", weights_only=only_tensors, mmap=zipfile.is_zipfile(path))


def _safetensors(prefix: str) -> Callable[[Path], Tensors]:
    def read(path: Path) -> Tensors:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is not a mapping
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}

    return read


def repacked(path: Path) -> Path:
    """Return the safetensors file that `faceorch weights repack` has made of `path`, or `path` where there is none."""
    safe = path.with_suffix(".safetensors")
    return safe if safe.is_file() else path


def put(
    network: torch.nn.Module,
    tensors: Mapping[str, Any],
    name: str,
    *,
    computed: frozenset[str] = frozenset(),
    assign: bool = False,
) -> None:
    """Load `tensors` into `network`; `MissingWeight` when anything is missing or has another shape.

    Tensors that the network does not know are an error too, but for a network that has `computed` ones: it makes these
    by itself, and its file may hold what only training needs. With `assign` the network takes the tensors themselves,
    otherwise copies of them.
    """
    try:
        missing, unknown = network.load_state_dict(tensors, strict=False, assign=assign)
    except RuntimeError as error:
        raise MissingWeight(f"{name} does not fit the network: {str(error).splitlines()[-1].strip()}") from error
    missing = sorted(set(missing) - computed)
    if missing or (unknown and not computed):
        raise MissingWeight(
            f"{name} does not fit the network: {len(missing)} tensors missing, {len(unknown)} unknown"
            f" ({', '.join([*missing, *unknown][:3])})"
        )
    if unknown:
        print(f"{name}: {len(unknown)} tensors are not used ({', '.join(unknown[:3])})")


def fill(
    build: Callable[[], _Network],
    tensors: Tensors,
    device: str | torch.device,
    name: str,
    dtype: torch.dtype | None = None,
    *,
    computed: frozenset[str] = frozenset(),
) -> _Network:
    """Return the network that `build` makes, with `tensors` as its parameters and buffers, on `device`.

    It computes in `dtype`, fp32 when none is given. Each tensor goes to the device as the file has it and is converted
    there, so that only one is there twice. `computed` is as `put` takes it.

    Random numbers that the file replaces anyway are not drawn.
    """
    import torch

    kind = dtype or torch.float32

    def there(value: torch.Tensor) -> torch.Tensor:
        return value.to(device).to(kind) if value.is_floating_point() else value.to(device)

    with _nothing_random():
        network = build()
    moved = {key: there(value) if isinstance(value, torch.Tensor) else value for key, value in tensors.items()}
    put(network, moved, name, computed=computed, assign=True)
    network.requires_grad_(False).to(device, kind).eval()
    return network


def _nothing_random() -> torch.overrides.TorchFunctionMode:
    """Return a region in which tensors that would be random hold whatever their memory does.

    So do scaled ones and copies of them: nobody writes to that memory, and the system need not provide it.

    Without memory (torch's meta device) they would be built no faster: there torch computes shapes by a library for
    symbols, which takes longer to import than weights to be read.
    """
    import torch

    class NothingRandom(torch.overrides.TorchFunctionMode):  # type: ignore[misc]  # torch is not installed here
        def __init__(self) -> None:
            super().__init__()
            # By address, and alive as long as the region: nothing else comes to lie there.
            self._random: dict[int, torch.Tensor] = {}

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            name = getattr(func, "__name__", "")
            if name in _FILLS:
                return self._keep(args[0] if args else kwargs["tensor"])
            if name in ("rand", "randn"):
                kwargs.pop("generator", None)
                return self._keep(torch.empty(*args, **kwargs))
            if name in _CHANGES and self._stays_random(*args, *kwargs.values()):
                return args[0] if name in _IN_PLACE else self._keep(torch.empty_like(args[0]))
            return func(*args, **kwargs)

        def _keep(self, random: torch.Tensor) -> torch.Tensor:
            if random.numel():
                self._random[random.data_ptr()] = random.detach()
            return random

        def _stays_random(self, value: Any, *others: Any) -> bool:
            """Return whether `value` is a random tensor and nothing else that goes into it is a tensor."""
            known = isinstance(value, torch.Tensor) and value.data_ptr() in self._random
            return known and not any(isinstance(other, torch.Tensor) for other in others)

    return NothingRandom()


def bake_spectral_norm(network: torch.nn.Module) -> None:
    """Divide weights by their spectral norm once and for all, instead of in every forward pass.

    They come out as new parameters that require a gradient, as those of an unfrozen network do.
    """
    import torch

    for module in network.modules():
        if hasattr(module, "weight_orig"):
            torch.nn.utils.remove_spectral_norm(module)
