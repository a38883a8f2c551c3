"""Source -> `Remote`: the address and token to download a file with, and what the hub states about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from msgspec import Struct

from faceorch.errors import WeightsError, one_line
from faceorch.weights.download import Remote
from faceorch.weights.manifest import HUB, File, Source


class Stated(Struct, frozen=True):
    """What the hub states about a file: `sha256` of large files, `git_sha1` (of the blob) of small ones."""

    revision: str | None
    size: int | None
    sha256: str | None
    git_sha1: str | None


def parse_mirrors(given: tuple[str, ...]) -> dict[str, str]:
    """Return prefix -> replacement for every `--mirror`; an address without a prefix replaces the hub."""
    mirrors: dict[str, str] = {}
    for text in given:
        prefix, separator, other = text.rpartition("=http")
        prefix, other = (prefix, f"http{other}") if separator else (HUB, text)
        for address in (prefix, other):
            if not address.startswith(("https://", "http://")):
                raise WeightsError(f"--mirror {text}: {address!r} is not an address", "write URL, or PREFIX=URL")
        mirrors[prefix.rstrip("/")] = other.rstrip("/")
    return mirrors


def endpoint(mirrors: Mapping[str, str]) -> str:
    """Return the address of the hub: a mirror of it, HF_ENDPOINT, or the hub itself."""
    return mirrors.get(HUB) or (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def make_remote(
    file: File, sha256: str | None, size: int | None, revision: str | None, mirrors: Mapping[str, str]
) -> Remote:
    """Return where to download `file` from."""
    source = file.source
    if source.url is not None:
        return Remote(url=_mirrored(source.url, mirrors), size=size, sha256=sha256)
    return Remote(
        url=_hub_url(source, revision, mirrors), size=size, sha256=sha256, token=_token(mirrors), repo=source.repo
    )


def ask_hub(source: Source, mirrors: Mapping[str, str]) -> Stated:
    """Return what the hub states about a file; raise `WeightsError` if it does not respond or refuses."""
    from huggingface_hub import errors, get_hf_file_metadata

    url, where = _hub_url(source, None, mirrors), endpoint(mirrors)
    try:
        found = get_hf_file_metadata(url, token=_token(mirrors) or False, endpoint=where, retry_on_errors=True)
    except errors.GatedRepoError as error:
        raise WeightsError(f"{url}: access is gated", _gated(source)) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(f"{where} has no repository {source.repo}, or hides it", _gated(source)) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise WeightsError(f"{url} does not exist", "check whether it has moved; --mirror, or --from DIR") from error
    except Exception as error:
        # huggingface_hub's HTTP client, and so the classes of network errors, differ between its releases.
        if not isinstance(error, errors.HfHubHTTPError) and not type(error).__module__.startswith("http"):
            raise
        reason = one_line(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise WeightsError(
            f"{url}: {reason}", "check the network and the proxy (HTTPS_PROXY), or --from DIR"
        ) from error
    etag = found.etag or ""
    hexadecimal = all(c in "0123456789abcdef" for c in etag)
    return Stated(
        revision=found.commit_hash,
        size=found.size,
        sha256=etag if hexadecimal and len(etag) == 64 else None,
        git_sha1=etag if hexadecimal and len(etag) == 40 else None,
    )


def offline() -> bool:
    """Return whether the user has forbidden downloads, in huggingface_hub's terms (HF_HUB_OFFLINE)."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _hub_url(source: Source, revision: str | None, mirrors: Mapping[str, str]) -> str:
    assert source.file is not None
    at = source.revision or revision or "main"
    return f"{endpoint(mirrors)}/{source.repo}/resolve/{at}/{quote(source.file)}"


def _mirrored(url: str, mirrors: Mapping[str, str]) -> str:
    for prefix, other in mirrors.items():
        if url == prefix or url.startswith(prefix + "/"):
            return other + url[len(prefix) :]
    return url


def _token(mirrors: Mapping[str, str]) -> str | None:
    """Return the hub's token, for the hub and for what HF_ENDPOINT names in its place; a mirror gets none."""
    from huggingface_hub import constants, get_token

    where = endpoint(mirrors)
    named = (HUB, (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/"))
    if where not in named or not _private(where) or constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return None
    return get_token()


def _private(address: str) -> bool:
    """Return whether nobody on the way can read what is sent to an address: https, or this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _gated(source: Source) -> str:
    return f"accept its terms at {HUB}/{source.repo}, then set HF_TOKEN (or: hf auth login)"
