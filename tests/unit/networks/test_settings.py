"""A user's words become values of settings, or are refused."""

from __future__ import annotations

import pytest

from faceorch.errors import InputError
from tests.conftest import MakeNetwork


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("size", "32", 32), ("loud", "on", True), ("loud", "0", False), ("mode", "b", "b"), ("gain", "0.5", 0.5)],
)
def test_settings_are_parsed(make_network: MakeNetwork, key: str, text: str, value: object) -> None:
    assert make_network("grey").parse_setting(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("size", "8", "grey.size is '8', a whole number from 16 to 128 needed"),
        ("size", "1.5", "grey.size is '1.5', a whole number from 16 to 128 needed"),
        ("gain", "nan", "grey.gain is 'nan', a number from 0 to 2 needed"),
        ("loud", "maybe", "grey.loud is 'maybe', on or off needed"),
        ("mode", "c", "grey.mode is 'c', one of a, b needed"),
        ("siz", "8", "grey has no setting 'siz' (did you mean 'size'?)"),
    ],
)
def test_a_wrong_setting_is_refused(make_network: MakeNetwork, key: str, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_network("grey").parse_setting(key, text)
    assert caught.value.message == message
