"""What a run is on disk: its record, its folder, their JSON Schemas."""
