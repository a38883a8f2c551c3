"""`faceorch speak`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--text", help="What to say.")
@click.option("--file", type=click.Path(path_type=Path), metavar="FILE", help="Say what this UTF-8 text file holds.")
@click.option("--voice", default="en-US-GuyNeural", show_default=True, help="A voice of the engine.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "edge-tts", "espeak-ng"]),
    default="auto",
    show_default=True,
    help="edge-tts needs a network, espeak-ng needs none; auto: the first that answers.",
)
@click.option("--seconds", type=click.FloatRange(0.2, 600), help="Exactly this long: cut at a pause, or padded.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="The WAV file to write.")
@click.option("--force", is_flag=True, help="Write over an existing file.")
@click.option("--list-voices", is_flag=True, help="Print the voices of the engine.")
def command(
    text: str | None,
    file: Path | None,
    voice: str,
    engine: str,
    seconds: float | None,
    output: Path | None,
    force: bool,
    list_voices: bool,
) -> None:
    """Make a speech clip: 24 kHz, mono, 16-bit WAV, without silence at its ends.

    The text goes beside it (clip.txt), for the report of a run.
    Its engines are an extra: pip install "faceorch[speech]".

    \b
    Example:
      faceorch speak --text "Good evening. Here is the news." --seconds 15 -o clip.wav
    """
    from faceorch import speech
    from faceorch.errors import InputError, OutputError
    from faceorch.files import write_atomically
    from faceorch.media.clip import write_clip

    if list_voices:
        chosen = speech.EspeakNg() if engine == "espeak-ng" else speech.EdgeTts()
        for name in chosen.voices():
            click.echo(name)
        return
    if (text is None) == (file is None):
        raise click.UsageError("give either --text or --file")
    if output is None:
        raise click.UsageError("name the file to write with -o")
    if output.suffix.lower() != ".wav":
        raise OutputError(
            f"{output} is not a WAV file, and speak writes nothing else", f"-o {output.with_suffix('.wav')}"
        )
    if output.exists() and not force:
        raise OutputError(f"{output} exists", "choose another name, or --force to write over it")
    if not output.parent.is_dir():
        raise OutputError(f"{output.parent} is not a folder", "create it first")
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {file}: {error}", "give a UTF-8 text file") from error
    clip = speech.speak(
        text or "", voice=voice, engine=engine, seconds=seconds, note=lambda line: click.echo(line, err=True)
    )
    written = write_clip(clip, output)
    said = output.with_suffix(".txt")
    if file is None and (force or not said.exists()):
        write_atomically(said, f"{text}\n".encode())  # a run of this clip shows its words
    click.echo(f"{output}: {written.duration_s:.2f} s, {written.sample_rate_hz} Hz, mono")
