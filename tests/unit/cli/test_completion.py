"""What a shell completes."""

from __future__ import annotations

from tests.conftest import MakeNetwork
from tests.unit.conftest import faceorch


def test_the_completion_script_completes_networks(make_network: MakeNetwork) -> None:
    make_network("grey")
    assert "_FACEORCH_COMPLETE" in faceorch("completion", "bash").stdout
    done = faceorch(_FACEORCH_COMPLETE="bash_complete", COMP_WORDS="faceorch run --network gr", COMP_CWORD="3")
    assert done.stdout.split() == ["plain,grey"]
