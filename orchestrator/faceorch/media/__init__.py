"""Portraits, clips and finished videos: probe, validate, normalise. docs/guide/run-folder.md says what is accepted."""

from faceorch.media.clip import Clip, LoadedClip, check_length, read_clip, samples_sha256, write_clip
from faceorch.media.files import check_output_folder
from faceorch.media.film import take_film
from faceorch.media.marks import mark, read_marks
from faceorch.media.portrait import LoadedPortrait, Portrait, read_portrait, thumbnail, write_portrait
from faceorch.media.video import VIDEO_BYTES, VIDEO_FORMAT, BrokenVideo, VideoInfo, marked, opened, probe_video, still

__all__ = [
    "VIDEO_BYTES",
    "VIDEO_FORMAT",
    "BrokenVideo",
    "Clip",
    "LoadedClip",
    "LoadedPortrait",
    "Portrait",
    "VideoInfo",
    "check_length",
    "check_output_folder",
    "mark",
    "opened",
    "marked",
    "probe_video",
    "read_clip",
    "read_marks",
    "read_portrait",
    "samples_sha256",
    "still",
    "take_film",
    "thumbnail",
    "write_clip",
    "write_portrait",
]
