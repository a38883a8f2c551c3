"""The `faceorch` command: one file per subcommand, each with a click command called `command`."""
