"""Finished videos judged: by the judge's own environment, in the sandbox and with the limits of every other task."""

from faceorch.judging.choose import Chosen, choose
from faceorch.judging.folder import judge_folder
from faceorch.judging.sitting import Sitting, sit

__all__ = ["Chosen", "Sitting", "choose", "judge_folder", "sit"]
