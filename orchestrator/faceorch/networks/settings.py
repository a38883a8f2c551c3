"""The settings of a network: their types, and how to parse a user's text into a value."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from faceorch.networks.yaml import Model


class _Setting(Model, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """The fields that all settings have."""

    help: Annotated[str, Meta(description="what it does, on one line")]


class IntSetting(_Setting, frozen=True, tag="int"):
    """A whole number."""

    default: Annotated[int, Meta(description="default value")]
    min: Annotated[int, Meta(description="smallest value")]
    max: Annotated[int, Meta(description="largest value")]

    def parse(self, text: str) -> int:
        """Return the value of `text`; raise `ValueError` if it is not allowed."""
        return self.validate_value(int(text))

    def validate_value(self, value: int) -> int:
        """Return `value`; raise `ValueError` if it is outside the range."""
        if not self.min <= value <= self.max:
            raise ValueError(f"{value} is outside {self.min} to {self.max}")
        return value

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        return f"a whole number from {self.min} to {self.max}"


class FloatSetting(_Setting, frozen=True, tag="float"):
    """A number."""

    default: Annotated[float, Meta(description="default value")]
    min: Annotated[float, Meta(description="smallest value")]
    max: Annotated[float, Meta(description="largest value")]

    def parse(self, text: str) -> float:
        """Return the value of `text`; raise `ValueError` if it is not allowed."""
        return self.validate_value(float(text))

    def validate_value(self, value: float) -> float:
        """Return `value`; raise `ValueError` if it is outside the range or NaN."""
        if not self.min <= value <= self.max:
            raise ValueError(f"{value:g} is outside {self.min:g} to {self.max:g}")
        return value

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        return f"a number from {self.min:g} to {self.max:g}"


class BoolSetting(_Setting, frozen=True, tag="bool"):
    """On or off."""

    default: Annotated[bool, Meta(description="default value")]

    def parse(self, text: str) -> bool:
        """Return the value of `text`; raise `ValueError` if it is not allowed."""
        words = {
            "true": True,
            "on": True,
            "yes": True,
            "1": True,
            "false": False,
            "off": False,
            "no": False,
            "0": False,
        }
        if text.lower() not in words:
            raise ValueError(f"{text!r} is neither on nor off")
        return words[text.lower()]

    def validate_value(self, value: bool) -> bool:
        """Return `value`."""
        return value

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        return "on or off"


class ChoiceSetting(_Setting, frozen=True, tag="choice"):
    """One of a list of words."""

    default: Annotated[str, Meta(description="default value")]
    choices: Annotated[tuple[str, ...], Meta(description="all allowed values")]

    def parse(self, text: str) -> str:
        """Return the value of `text`; raise `ValueError` if it is not allowed."""
        return self.validate_value(text)

    def validate_value(self, value: str) -> str:
        """Return `value`; raise `ValueError` if it is not one of the choices."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        return value

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        return "one of " + ", ".join(self.choices)


Setting = IntSetting | FloatSetting | BoolSetting | ChoiceSetting
