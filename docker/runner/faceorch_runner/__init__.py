"""The contract between faceorch and a network: job file in, events and a video out (docs/reference/runner-contract.md).

Standard library only, Python 3.10 and later: it runs inside every network's environment.
"""

from .errors import BadInput, ErrorKind, MissingWeight, NoFace, RunnerError, UnsupportedGpu
from .events import Event, EventKind, EventParser
from .jobs import SCHEMA, Feed, Job, JobFile
from .judging import Judge, Judged
from .network import Network, Progress
from .tasks import Conversion, Convert, Synthetic, Task, TaskFile
from .video import VideoWriter

__version__ = "1.0.0"

__all__ = [
    "SCHEMA",
    "BadInput",
    "Conversion",
    "Convert",
    "ErrorKind",
    "Event",
    "EventKind",
    "EventParser",
    "Feed",
    "Job",
    "JobFile",
    "Judge",
    "Judged",
    "MissingWeight",
    "Network",
    "NoFace",
    "Progress",
    "RunnerError",
    "Synthetic",
    "Task",
    "TaskFile",
    "UnsupportedGpu",
    "VideoWriter",
]
