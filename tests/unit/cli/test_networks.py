"""`faceorch networks`: rows with reasons, and one network in detail."""

from __future__ import annotations

import json

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
