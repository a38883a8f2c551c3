"""`python -m faceorch`."""

from faceorch.cli.main import main

main()
