"""How a command in progress is shown."""
