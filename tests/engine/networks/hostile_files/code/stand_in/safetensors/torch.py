"""As much of safetensors as the converter calls, in its format."""

import json
from pathlib import Path
from typing import Any

import torch


def save_file(tensors: dict[str, Any], path: str) -> None:
    header: dict[str, Any] = {}
    data = b""
    for name, tensor in tensors.items():
        end = len(data) + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [len(data), end]}
        data += tensor.data
    text = json.dumps(header).encode()
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + data)


def load_file(path: str) -> dict[str, Any]:
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    places = {name: entry["data_offsets"] for name, entry in json.loads(data[8:start]).items()}
    return {name: torch.Tensor(data[start + begin : start + end]) for name, (begin, end) in places.items()}
