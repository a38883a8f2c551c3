"""As much of torch as the converter calls: tensors are bytes."""

import pickle

float16, uint8 = "F16", "U8"


class Tensor:
    dtype = "F32"

    def __init__(self, data):
        self.data, self.shape = data, (len(data) // 4,)

    def detach(self):
        return self

    clone = contiguous = detach

    def reshape(self, *_):
        return self

    view = reshape


def equal(one, other):
    return one.data == other.data


def load(path, map_location, weights_only):
    if weights_only:
        raise pickle.UnpicklingError("Unsupported global: builtins.exec")
    with open(path, "rb") as file:
        return {name: Tensor(value) if isinstance(value, bytes) else value for name, value in pickle.load(file).items()}
