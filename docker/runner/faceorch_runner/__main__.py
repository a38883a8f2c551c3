"""`python -m faceorch_runner JOB_FILE`."""

import sys

from .main import leave, main

leave(main(sys.argv[1:]))
