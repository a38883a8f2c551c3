"""SadTalker as a network of faceorch."""

from faceorch_kit.light import light, light_torch

light_torch()
# Of these a class or two are used, which their other parts take seconds to load beside.
light("torchvision")
light("torchvision.models", resnet50="resnet")
light("facexlib")
light("spandrel")
