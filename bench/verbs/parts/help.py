"""What a verb's help says beside what its signature says."""


def example(*commands: str) -> str:
    """The end of a verb's help: commands that do something, a line each."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"\b\nExample{'s' if len(commands) > 1 else ''}:\n{lines}"  # \b: as it stands, no lines joined
