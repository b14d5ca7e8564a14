"""Take the page's JavaScript libraries from npm into reports/static/vendor, as its manifest says.

    python docs/examples/vendor

The manifest, vendor.toml, names each library with its version, its file, and the file's SHA-256. `npm pack` downloads a
package; the file and its licence are taken out of it, and nothing of it is run. Exit code 1 if a file has another hash.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

VENDOR = Path(__file__).parents[3] / "reports" / "static" / "vendor"


def taken(name: str, version: str, folder: Path) -> tarfile.TarFile:
    """The package from npm, as an opened archive."""
    subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob(f"{name}-{version}.tgz")
    return tarfile.open(archive)


def text_of(archive: tarfile.TarFile, member: str) -> bytes:
    """The bytes of a file of the package."""
    found = archive.extractfile(f"package/{member}")
    if found is None:
        raise FileNotFoundError(f"{archive.name} has no {member}")
    return found.read()


def main() -> int:
    """Take every library of the manifest; the exit code."""
    wrong = []
    for library in tomllib.loads((VENDOR / "vendor.toml").read_text())["library"]:
        with (
            tempfile.TemporaryDirectory() as folder,
            taken(library["name"], library["version"], Path(folder)) as archive,
        ):
            code = text_of(archive, library["file"])
            licence = text_of(archive, "LICENSE")
        if (found := hashlib.sha256(code).hexdigest()) != library["sha256"]:
            wrong.append(f"{library['name']} {library['version']}: its SHA-256 is {found}")
            continue
        (VENDOR / Path(library["file"]).name).write_bytes(code)
        (VENDOR / f"{library['name']}.LICENSE").write_bytes(licence)
    print(*(wrong or [f"{VENDOR}: as the manifest says"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
