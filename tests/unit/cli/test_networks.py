"""`faceorch networks`: rows with reasons, one network in detail, and its patches."""

from __future__ import annotations

import json
import textwrap

from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.networks.discover import Network
from tests.conftest import MakeNetwork
from tests.unit.conftest import faceorch


class TestNetworks:
    def test_each_is_a_row_with_its_reason_and_remedy(self) -> None:
        rows = json.loads(faceorch("networks", "--json", DOCKER_HOST="unix:///nowhere.sock").stdout)
        assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
        for row in rows:
            assert row["ready"] or (row["reason"]["kind"] and row["reason"]["found"] and row["reason"]["remedy"])
            assert row["needs"]["bases"]
            assert row["approach"]

    def test_one_in_detail_names_its_settings_with_their_ranges(self, make_network: MakeNetwork) -> None:
        make_network("grey")
        text = faceorch("networks", "grey").stdout
        assert "    size = 64  (a whole number from 16 to 128)" in text
        assert "        side in pixels" in text

    def test_no_colour_code_reaches_a_pipe(self) -> None:
        assert "\x1b" not in faceorch("networks").stdout


def test_the_patches_of_a_network_are_listed(patched: Network) -> None:
    shown = CliRunner().invoke(cli, ["networks", "grey", "--patches"]).output
    assert shown == textwrap.dedent(
        """\
        one/a.py: plain-float
          reason   numpy has no np.float
          expects  1 x `np.float`
        two/b.py: plain-int
          reason   numpy has no np.int
          expects  1 x `np.int`
        """
    )
    rows = json.loads(CliRunner().invoke(cli, ["networks", "grey", "--patches", "--json"]).output)
    assert rows[1] == {
        "name": "plain-int",
        "file": "two/b.py",
        "reason": "numpy has no np.int",
        "expects": ["1 x `np.int`"],
    }


def test_a_network_without_patches_says_so(make_network: MakeNetwork) -> None:
    make_network("grey")
    assert (
        CliRunner().invoke(cli, ["networks", "grey", "--patches"]).output == "grey changes nothing in upstream's code\n"
    )
