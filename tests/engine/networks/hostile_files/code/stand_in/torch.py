"""As much of torch as the converter calls: tensors are bytes."""

from __future__ import annotations

import pickle
from typing import Any

float16, uint8 = "F16", "U8"


class Tensor:
    dtype = "F32"

    def __init__(self, data: bytes) -> None:
        self.data, self.shape = data, (len(data) // 4,)

    def detach(self) -> Tensor:
        return self

    clone = contiguous = detach

    def reshape(self, *_: int) -> Tensor:
        return self

    view = reshape


def equal(one: Tensor, other: Tensor) -> bool:
    return one.data == other.data


def load(path: str, map_location: str, weights_only: bool) -> dict[str, Any]:
    if weights_only:
        raise pickle.UnpicklingError("Unsupported global: builtins.exec")
    with open(path, "rb") as file:
        return {name: Tensor(value) if isinstance(value, bytes) else value for name, value in pickle.load(file).items()}
