"""Pickled weights -> safetensors, checked tensor by tensor. Needs torch and safetensors in the environment."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import MissingWeight, RunnerError


def convert(source: Path, target: Path, *, key: str | None, half: bool, trusted: bool) -> None:
    """Write the tensors of `source` (its entry `key`, if given) to `target`, floats as fp16 when `half`.

    Without `trusted` (no sandbox around this process) a pickle that needs more than tensors is refused.
    """
    import torch
    from safetensors.torch import load_file, save_file

    tensors: dict[str, Any] = {}
    for name, tensor in _tensors(_load(torch, load_file, source, trusted), key, source):
        kept = tensor.detach()
        if half and kept.is_floating_point():
            kept = kept.to(torch.float16)
            if not bool(torch.isfinite(kept).all()) and bool(torch.isfinite(tensor).all()):
                raise RunnerError(f"{source.name}: {name} has values that fp16 cannot hold")
        tensors[name] = kept.clone().contiguous()  # two names may share one storage, which safetensors refuses
    if not tensors:
        raise RunnerError(f"{source.name} holds no tensors")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    save_file(tensors, part)
    again = load_file(part)
    if again.keys() != tensors.keys():
        raise RunnerError(f"{target.name}: other names were read back than written")
    for name, tensor in tensors.items():
        back = again[name]
        same = back.dtype == tensor.dtype and back.shape == tensor.shape
        # As bytes: NaN differs from itself, but must come back all the same.
        if not same or not torch.equal(back.reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8)):
            raise RunnerError(f"{target.name}: {name} was not read back as written")
    os.replace(part, target)
    print(f"{target.name}: {len(tensors)} tensors", file=sys.stderr)


def _load(torch: Any, load_file: Any, source: Path, trusted: bool) -> Any:
    if not source.is_file():
        raise MissingWeight(f"{source.name} is missing")
    if source.suffix == ".safetensors":
        return load_file(source)
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not trusted:
            reason = str(error).splitlines()[0]
            raise RunnerError(f"{source.name} is a pickle that needs a sandbox: {reason}") from error
    return torch.load(source, map_location="cpu", weights_only=False)


def _tensors(loaded: Any, key: str | None, source: Path) -> Iterator[tuple[str, Any]]:
    """Yield name and tensor; dicts in dicts are joined with dots, what is not a tensor is left out and said."""
    if key is not None:
        if not isinstance(loaded, dict) or key not in loaded:
            raise RunnerError(f"{source.name} has no entry {key!r}")
        loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise RunnerError(f"{source.name} holds a {type(loaded).__name__}, a dict of tensors needed")
    for name, value in loaded.items():
        if hasattr(value, "detach"):
            yield str(name), value
        elif isinstance(value, dict):
            for inner, tensor in _tensors(value, None, source):
                yield f"{name}.{inner}", tensor
        else:
            print(f"{source.name}: {name} is not a tensor ({type(value).__name__}); left out", file=sys.stderr)
