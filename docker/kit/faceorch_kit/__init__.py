"""What networks share, in parts."""
