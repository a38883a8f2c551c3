"""What was asked for: written once, kept in the record, and printed again as the command line that repeats it."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

RuntimeChoice = Literal["auto", "docker", "venv"]
TimelineFormat = Literal["parquet", "csv"]
SettingValue = bool | int | float | str

DEFAULT_TIMEOUT_S = 7200.0
DEFAULT_SAMPLING_HZ = 10.0

REFERENCE = "reference"  # what the real footage is called among the jobs of a run

Price = Annotated[float, Meta(ge=0)]


class StandIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stand-in weights instead of real ones: what `faceorch smoke` runs on."""

    size: Annotated[Literal["tiny", "full"], Meta(description="full: the dimensions of the real weights")]
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seconds: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="--seconds; null: as long as `size` asks for")
    ] = None


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user asked for, in full: enough to do it again. Paths are those that were given."""

    portrait: Annotated[str, Meta(description="--image")]
    clip: Annotated[str, Meta(description="--audio")]
    networks: Annotated[tuple[str, ...], Meta(description="named networks; empty: every one that can run")] = ()
    runtime: RuntimeChoice = "auto"
    gpus: str = "all"
    base: Annotated[str | None, Meta(description="--base; null: the first of a network's own that covers the GPUs")] = (
        None
    )
    seed: int = 0
    settings: Annotated[
        dict[str, dict[str, SettingValue]], Meta(description="network -> setting -> value, as given")
    ] = {}
    timeout_s: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="limit of each job; null: none")] = None
    check_face: Annotated[bool, Meta(description="false: --no-face-check")] = True
    label: Annotated[bool, Meta(description="--label: a visible one is burnt into the videos")] = False
    pythons: Annotated[dict[str, str], Meta(description="--python NETWORK=PATH")] = {}
    use_images: Annotated[dict[str, str], Meta(description="--use-image NETWORK=REF")] = {}
    weights: Annotated[str | None, Meta(description="--weights DIR")] = None
    repeat: Annotated[int, Meta(ge=1, le=1000, description="repetitions that count")] = 1
    warmup: Annotated[int, Meta(ge=0, le=1000, description="repetitions before them that do not count")] = 0
    price_per_kwh: Price | None = None
    price_per_gpu_hour: Price | None = None
    currency: Annotated[str, Meta(description="of the prices, as given")] = ""
    timeline: TimelineFormat = "parquet"
    sampling_hz: Annotated[float, Meta(ge=0, description="looks per second at GPUs; 0: nothing is measured")] = (
        DEFAULT_SAMPLING_HZ
    )
    stand_in: Annotated[StandIn | None, Meta(description="stand-in weights; null: the real ones")] = None
    judge: Annotated[bool, Meta(description="false: --no-judge")] = True
    videos: Annotated[
        dict[str, str], Meta(description="name -> video made elsewhere, of the command import; empty: networks ran")
    ] = {}
    reference: Annotated[str | None, Meta(description="--reference: real footage, of the command import")] = None

    @property
    def several(self) -> bool:
        """Whether each job is done more than once."""
        return self.repeat > 1 or self.warmup > 0

    @property
    def allowed_gpus(self) -> str:
        """Which GPUs may be used, in the words of `--gpus`."""
        return "none" if self.stand_in is not None and self.stand_in.device == "cpu" else self.gpus

    def to_words(self, *, portrait: str | None = None, clip: str | None = None) -> list[str]:
        """Return the command line that asks for the same again; other inputs may stand in for the original ones."""
        if self.stand_in is not None:
            return self._smoke_words(self.stand_in)
        if self.videos:
            return self._import_words(portrait, clip)
        words = ["faceorch", "run", "--image", portrait or self.portrait, "--audio", clip or self.clip]
        for name in self.networks:
            words += ["--network", name]
        words += self._shared_words()
        words += [] if self.check_face else ["--no-face-check"]
        words += ["--label"] if self.label else []
        words += ["--weights", self.weights] if self.weights is not None else []
        words += ["--repeat", str(self.repeat)] if self.repeat > 1 else []
        words += ["--warmup", str(self.warmup)] if self.warmup else []
        words += ["--price-per-kwh", _number(self.price_per_kwh)] if self.price_per_kwh is not None else []
        words += (
            ["--price-per-gpu-hour", _number(self.price_per_gpu_hour)] if self.price_per_gpu_hour is not None else []
        )
        words += ["--currency", self.currency] if self.currency else []
        words += ["--timeline", self.timeline] if self.timeline != "parquet" else []
        return words + self._judge_words()

    def to_command(self, *, portrait: str | None = None, clip: str | None = None) -> str:
        """Return the same as one line for a shell."""
        return shlex.join(self.to_words(portrait=portrait, clip=clip))

    def _import_words(self, portrait: str | None, clip: str | None) -> list[str]:
        kept = portrait is not None  # the run's own copies of the inputs: then those of the videos too
        words = ["faceorch", "import", "--image", portrait or self.portrait, "--audio", clip or self.clip]
        words += [f"{name}={f'{name}.mp4' if kept else path}" for name, path in self.videos.items()]
        if self.reference is not None:
            words += ["--reference", f"{REFERENCE}.mp4" if kept else self.reference]
        return words + self._shared_words() + self._judge_words()

    def _judge_words(self) -> list[str]:
        return [] if self.judge else ["--no-judge"]

    def _smoke_words(self, stand_in: StandIn) -> list[str]:
        words = ["faceorch", "smoke", *self.networks]
        words += ["--device", stand_in.device] if stand_in.device != "auto" else []
        words += ["--full"] if stand_in.size == "full" else []
        words += ["--seconds", _number(stand_in.seconds)] if stand_in.seconds is not None else []
        return words + self._shared_words()

    def _shared_words(self) -> list[str]:
        """Return the words of the options that `run` and `smoke` share."""
        words = ["--runtime", self.runtime] if self.runtime != "auto" else []
        words += ["--gpus", self.gpus] if self.gpus != "all" else []
        words += ["--base", self.base] if self.base is not None else []
        words += ["--seed", str(self.seed)] if self.seed else []
        for name, settings in self.settings.items():
            for key, value in settings.items():
                words += ["--set", f"{name}.{key}={setting_word(value)}"]
        if self.timeout_s is not None and self.timeout_s != DEFAULT_TIMEOUT_S:
            words += ["--timeout", f"{_number(self.timeout_s)}s"]
        for name, path in self.pythons.items():
            words += ["--python", f"{name}={path}"]
        for name, reference in self.use_images.items():
            words += ["--use-image", f"{name}={reference}"]
        return words


def setting_word(value: SettingValue) -> str:
    """Return a setting's value as it is typed after `--set NETWORK.KEY=`."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
