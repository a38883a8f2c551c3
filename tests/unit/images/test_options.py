"""How images are built: mirrors, proxies and certificates from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.errors import InputError
from faceorch.images.options import BuildOptions


def test_mirrors_and_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("FACEORCH_APT_MIRROR", "http://mirror.example/ubuntu")
    monkeypatch.setenv("FACEORCH_UPSTREAM_MIRROR", "https://git.example")
    monkeypatch.setenv("FACEORCH_BUILD_NETWORK", "host")
    options = BuildOptions.of(builder="classic")
    assert options.network == "host"
    assert options.sources == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "APT_MIRROR": "http://mirror.example/ubuntu",
        "UPSTREAM_MIRROR": "https://git.example",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "https_proxy": "http://proxy.example:3128",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "--ca-bundle {path}: No such file or directory"), (b"", "contains no PEM certificate")],
)
def test_a_ca_bundle_that_is_none_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        BuildOptions.of(builder="classic", ca_bundle=path)
    assert message.format(path=path) in caught.value.message
    assert caught.value.remedy == "name a file with PEM certificates"
