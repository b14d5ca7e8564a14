"""What the page shows, as frozen dataclasses: one study a file, no HTML."""
