"""The content of the page as frozen dataclasses, without HTML."""
