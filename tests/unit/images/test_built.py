"""Whether an image is what would be built now."""

from __future__ import annotations

from faceorch.images import built
from faceorch.images import recipe as images
from faceorch.networks.discover import Network


def image(network: str, base: str, inputs: str) -> built.Image:
    return built.Image("sha256:1", ("x:1",), network, inputs, base, "debian:12", "classic", 0.0)


def test_an_image_is_current_or_old_or_of_a_network_that_is_not_here(network: Network) -> None:
    known = {"grey": network}
    current = images.make_recipe(network, "cu121", "debian:12").inputs
    assert built.is_current(image("grey", "cu121", current), known) is True
    assert built.is_current(image("grey", "cu121", "0" * 64), known) is False
    assert built.is_current(image("gone", "cu121", "0" * 64), known) is None
    assert built.is_current(image("grey", "gone", "0" * 64), known) is None
    base = images.make_base_recipe("cu121", "debian:12").inputs
    assert built.is_current(image("", "cu121", base), known) is True
