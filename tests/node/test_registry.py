"""Registries: their entries, registration, entry points of installed packages, and errors for unknown names."""

import subprocess
import sys

import pytest

from node import ADJOINTS, MODELS, SOLVERS
from node.registry import BUILT_IN, Origin, Registry, RegistryError, registering_from


class Thing:
    """A thing that can be registered.

    More of it.
    """

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def things() -> Registry[Thing]:
    return Registry("thing", Thing)


@pytest.mark.parametrize("registry", [SOLVERS, ADJOINTS, MODELS], ids=lambda registry: registry.kind)
def test_every_shipped_entry_is_built_in_and_has_a_line_of_documentation(registry: Registry[object]) -> None:
    assert len(registry) >= 6
    for name in registry:
        assert registry.origin(name) == BUILT_IN
        assert 10 < len(registry.doc(name)) < 200


def test_a_value_is_registered_by_a_call_and_keeps_its_origin(things: Registry[Thing]) -> None:
    with registering_from(Origin("file", "mine.py")):
        one = things.register(Thing("one"))
    assert things["one"] is one
    assert str(things.origin("one")) == "file mine.py"
    assert things.doc("one") == "A thing that can be registered."
    assert list(things) == ["one"]


def test_a_class_is_registered_by_a_decorator_under_another_name() -> None:
    classes: Registry[type] = Registry("class", type)

    @classes.register(name="other", doc="A line.")
    class Mine:
        pass

    assert classes["other"] is Mine
    assert classes.doc("other") == "A line."


def test_a_second_value_under_one_name_is_refused_with_both_origins(things: Registry[Thing]) -> None:
    with registering_from(Origin("file", "a.py")):
        things.register(things.register(Thing("one")))  # registering the same value again changes nothing
    with (
        registering_from(Origin("file", "b.py")),
        pytest.raises(RegistryError, match=r"two of the name 'one' .*: one by file a.py, one by file b.py: give one"),
    ):
        things.register(Thing("one"))


def test_a_value_of_another_kind_or_without_a_name_is_refused(things: Registry[Thing]) -> None:
    with pytest.raises(RegistryError, match="a thing is Thing, and this is 3"):
        things.register(3)
    with pytest.raises(RegistryError, match="this thing has no name"):
        things.register(Thing(""))


def test_named_takes_a_name_or_a_value_and_nothing_else(things: Registry[Thing]) -> None:
    one = things.register(Thing("one"))
    assert things.named("one") is one
    assert things.named(one) is one
    with pytest.raises(ValueError, match=r"unknown thing 'on'\. Did you mean 'one'\? Known: one"):
        things.named("on")
    with pytest.raises(TypeError, match="thing is 3: pass a name or Thing"):
        things.named(3)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="unknown thing 'on'"):
        things["on"]


DISTRIBUTION = """
[nodebench.things]
lazy = lazy_thing:LAZY
broken = lazy_thing_that_is_missing:X
idle = lazy_thing:sys
"""

ENTRY = """
import sys
sys.path.insert(0, sys.argv[1])
from node.registry import Registry
class Thing:
    name = "lazy"
sys.modules["things"] = sys.modules["__main__"]
things = Registry("thing", Thing, entry_points="nodebench.things")
assert "lazy" in things and list(things) == [] and things.installed() == ["lazy", "broken", "idle"]
assert "lazy_thing" not in sys.modules
print(things.unknown("lasy"))
assert things["lazy"].name == "lazy" and "lazy_thing" in sys.modules
print(things.origin("lazy"), things.installed())
for name in ("broken", "idle"):
    try:
        things[name]
    except ValueError as error:
        print(error)
print("torch" in sys.modules)
"""


def test_an_entry_point_is_imported_when_its_name_is_looked_up(tmp_path) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(DISTRIBUTION)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (tmp_path / "lazy_thing.py").write_text("import sys\nfrom things import Thing\nLAZY = Thing()\n")
    done = subprocess.run([sys.executable, "-c", ENTRY, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "unknown thing 'lasy'. Did you mean 'lazy'? Known: lazy, broken, idle",
        "entry point mine ['broken', 'idle']",
        "thing 'broken' of mine cannot be loaded: ModuleNotFoundError: No module named 'lazy_thing_that_is_missing'",
        "the entry point 'idle' of mine registers no thing of this name",
        "False",
    ]
