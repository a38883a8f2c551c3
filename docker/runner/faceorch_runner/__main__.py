"""`python -m faceorch_runner JOB_FILE`."""

import os
import sys

from .main import main

code = main(sys.argv[1:])
sys.stderr.flush()
# Not sys.exit: native libraries that crash in their own exit handlers must not turn a finished job into a failure.
os._exit(code)
