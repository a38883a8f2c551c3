"""Builds missing images, bases first, then the networks in parallel; pushes them on request."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from faceorch.engine.client import answers, asked, new_client
from faceorch.errors import BuildError, EngineError, UserError
from faceorch.images import build
from faceorch.images.built import Image
from faceorch.images.failures import Failed
from faceorch.images.options import BuildOptions
from faceorch.images.recipe import Recipe
from faceorch.paths import home

if TYPE_CHECKING:
    from docker import APIClient


class Item(Struct):
    """One image of an assembly and its progress. `step` is the current step, `error` why it failed."""

    recipe: Recipe
    log: Path
    pushed: bool = False
    state: str = "waiting"  # waiting, building, pushing, then one of: current, built, failed
    step: str = ""
    begun_s: float = 0.0
    elapsed_s: float = 0.0
    image: str = ""
    digest: str = ""
    error: UserError | None = None

    @property
    def name(self) -> str:
        """Name of the network, or `base-<base>`."""
        return self.recipe.name

    @property
    def ended(self) -> bool:
        """Whether work on it has ended."""
        return self.state in ("current", "built", "failed")


class Assembly(Struct):
    """The images to build, bases first. `on_change` is called, in this thread, whenever an item changes."""

    items: list[Item]
    options: BuildOptions
    jobs: int
    push: str | None = None
    on_change: Callable[[Item], None] = lambda _: None
    # Messages of the threads. Only the thread of `run` changes items, one change at a time.
    _changes: queue.SimpleQueue[tuple[Item, dict[str, Any]]] = field(default_factory=queue.SimpleQueue)
    _processes: set[subprocess.Popen[str]] = field(default_factory=set)
    _stopped: bool = False

    @classmethod
    def of(
        cls,
        recipes: Iterable[Recipe],
        present: Sequence[Image],
        options: BuildOptions,
        *,
        jobs: int,
        push: str | None = None,
    ) -> Assembly:
        """Return the assembly of `recipes` and the bases that they need; `present` are the engine's images."""
        wanted = list(recipes)
        there = {image.inputs: image for image in present if image.own_tag}
        items: dict[str, Item] = {}
        for recipe in wanted:
            needed = options.no_cache or recipe.inputs not in there
            if recipe.parent is not None and needed:
                items.setdefault(recipe.parent.inputs, cls._item(recipe.parent))
        for recipe in wanted:
            items.setdefault(recipe.inputs, cls._item(recipe))
        for inputs, item in items.items():
            item.pushed = push is not None and any(recipe.inputs == inputs for recipe in wanted)
            if inputs in there and not options.no_cache:
                item.image = there[inputs].id
                item.state = "waiting" if item.pushed else "current"
        return cls(list(items.values()), options, jobs, push)

    @staticmethod
    def _item(recipe: Recipe) -> Item:
        return Item(recipe, home() / "build" / f"{recipe.name}-{recipe.inputs[:12]}.log")

    def run(self) -> None:
        """Build and push until every item has ended. Ctrl-C ends the current builds."""
        bases = [item for item in self.items if item.recipe.parent is None]
        networks = [item for item in self.items if item.recipe.parent is not None]
        try:
            self._run([item for item in bases if not item.ended])
            failed = {item.recipe.inputs for item in bases if item.state == "failed"}
            for item in networks:
                parent = item.recipe.parent
                if parent is not None and parent.inputs in failed and not item.ended:
                    item.error = BuildError(f"its base {parent.name} failed")
                    self._end(item, "failed")
            self._run([item for item in networks if not item.ended])
        except BaseException:
            self._stopped = True
            for process in list(self._processes):
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            raise

    def _run(self, items: list[Item]) -> None:
        """Build `items`, `jobs` at a time. The threads are daemons: an interrupted faceorch does not wait for them,
        and the engine ends the builds of a client that disconnects.
        """
        waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        for item in items:
            waiting.put(item)
        for _ in range(min(self.jobs, len(items))):
            threading.Thread(target=self._work, args=(waiting,), daemon=True).start()
        left = len(items)
        while left:
            item, changes = self._changes.get()
            for name, value in changes.items():
                setattr(item, name, value)
            self.on_change(item)
            left -= item.ended

    def _work(self, waiting: queue.SimpleQueue[Item]) -> None:
        while not self._stopped:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            begun_s = time.monotonic()
            self._say(item, begun_s=begun_s)
            result: dict[str, Any]
            try:
                result = self._one(item)
            except UserError as error:
                result = {"state": "failed", "error": error}
            except Exception as error:  # a bug: it must reach the main thread, which would otherwise wait forever
                message = f"{item.name}: {type(error).__name__}: {error}"
                result = {"state": "failed", "error": BuildError(message, f"please report it; log: {item.log}")}
            self._say(item, elapsed_s=time.monotonic() - begun_s, **result)

    def _say(self, item: Item, **changes: Any) -> None:
        self._changes.put((item, changes))

    def _one(self, item: Item) -> dict[str, Any]:
        """Build and push one image; return its final changes."""
        state, image, digest = "current", item.image, ""
        if not image:
            self._say(item, state="building")
            state = "built"
            image = build.build(
                item.recipe,
                self.options,
                log=item.log,
                on_step=lambda step: self._say(item, step=step),
                on_process=self._processes.add,
            )
        if self.push is not None and item.pushed:
            self._say(item, state="pushing")
            digest = self._push(item, image, self.push)
        return {"state": state, "image": image, "digest": digest}

    def _end(self, item: Item, state: str) -> None:
        item.state = state
        self.on_change(item)

    def _push(self, item: Item, image: str, registry: str) -> str:
        repository, tag = f"{registry.rstrip('/')}/{item.recipe.repository}", item.recipe.inputs[:12]
        item.log.parent.mkdir(parents=True, exist_ok=True)
        with new_client() as api, item.log.open("a", encoding="utf-8") as log:
            with asked():
                api.tag(image, repository, tag, force=True)
            return _pushed(api, repository, tag, log.write, lambda step: self._say(item, step=step))


def _pushed(
    api: APIClient, repository: str, tag: str, write: Callable[[str], Any], on_step: Callable[[str], None]
) -> str:
    """Push an image and return its digest in the registry."""
    import docker.errors

    digest, said = "", ""
    try:
        for entry in answers(lambda: api.push(repository, tag, stream=True, decode=True)):
            if "error" in entry:
                raise _push_error(repository, str(entry["error"]))
            said_more = entry.get("aux")
            digest = str((said_more if isinstance(said_more, dict) else {}).get("Digest") or digest)
            step = f"push {entry.get('id', '')} {entry.get('status', '')}".rstrip()
            if step != said:
                said = step
                write(step + "\n")
                on_step(step)
    except EngineError as error:
        if not isinstance(error.__cause__, docker.errors.APIError):
            raise
        raise _push_error(repository, str(error.__cause__.explanation)) from error
    return digest


def _push_error(repository: str, text: str) -> Failed:
    refused = any(sign in text for sign in ("denied", "unauthorized", "no basic auth", "authentication required"))
    host = repository.partition("/")[0]
    remedy = f"docker login {host}" if refused else f"check that a registry answers at {host}"
    return Failed(f"{repository} was not pushed: {' '.join(text.split())[:300]}", remedy, ())
