"""The part of a verb's help that does not follow from its signature."""


def example(*commands: str) -> str:
    """The end of a verb's help: example commands, a line each."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"\b\nExample{'s' if len(commands) > 1 else ''}:\n{lines}"  # \b keeps the lines apart
