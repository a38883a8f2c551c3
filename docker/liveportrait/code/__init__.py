"""JoyVASA hears and moves, LivePortrait paints."""
