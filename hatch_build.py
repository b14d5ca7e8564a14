"""What an sdist must not hold: files that git does not know."""

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TrackedOnly(BuildHookInterface[Any]):
    """Refuses an sdist while there are untracked files among what it would hold. Outside a checkout all are its own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Look before anything is built."""
        if not (Path(self.root) / ".git").exists():
            return
        listed = [
            "git",
            "ls-files",
            "--others",
            "--exclude-standard",
            "--",
            *self.build_config.target_config["only-include"],
        ]
        untracked = subprocess.run(listed, cwd=self.root, capture_output=True, text=True, check=True).stdout.split("\n")
        if named := ", ".join(filter(None, untracked)):
            self.app.abort(f"sdist: git does not know {named}: add them, ignore them or move them away")
