"""Roles on a server: the documented grants suffice, and all privileges that a role lacks are named at once."""

import re
import uuid
from contextlib import contextmanager

import psycopg
import pytest

from results.engine.location import StoreError
from results.schema.tables import metadata
from results.store import Store
from results.tools import annotations, baselines
from results.tools.prune import prune
from tests.support.places import ROOT
from tests.support.stocked import PLAN, a_run, a_trial, stock

DOCS = (ROOT / "docs" / "database.md").read_text()
GRANTS = re.search(r"```postgresql\n(.*?)```", DOCS, re.DOTALL)[1]


@contextmanager
def roles(url: str):
    """A connection of the owner, and the names of two temporary roles, a reader and a writer."""
    names = {role: f"{role}_{uuid.uuid4().hex[:8]}" for role in ("reader", "writer")}
    with psycopg.connect(url, autocommit=True) as owner:
        for name in names.values():
            owner.execute(f"create role {name} login")
        try:
            yield owner, names
        finally:
            for name in names.values():
                owner.execute(f"drop owned by {name}")
                owner.execute(f"drop role {name}")


@pytest.fixture
def server(server_url):
    """A connection of the owner, the names of the roles, and a function that gives the URL of a role."""
    with Store.open(server_url, create=True) as store:
        stock(store)
    with roles(server_url) as (owner, names):

        def url_of(role: str) -> str:
            return server_url.replace("nodebench@", f"{names[role]}@")

        yield owner, names, url_of


def grant_as_documented(owner, names) -> None:
    for role, name in names.items():
        for line in GRANTS.splitlines():
            if line.endswith(f" to {role};"):
                owner.execute(line.replace(f" to {role};", f" to {name};"))


def test_a_table_that_other_tables_inherit_from_is_refused(server):
    owner, names, url_of = server
    grant_as_documented(owner, names)
    owner.execute("create table kid () inherits (metric)")
    with pytest.raises(StoreError, match="has tables that inherit from its table metric, and our tables"):
        Store.open(url_of("reader"))


def test_rows_that_are_hidden_from_a_role_are_an_error_and_not_left_out_silently(server):
    owner, names, url_of = server
    grant_as_documented(owner, names)
    owner.execute("alter table trial enable row level security")
    with Store.open(url_of("reader")) as reader:
        with pytest.raises(StoreError, match=r'policy for table "trial"\): it hides some rows from you'):
            reader.trials()
        assert not reader.runs().empty


def test_the_grants_of_the_documentation_suffice(server):
    owner, names, url_of = server
    grant_as_documented(owner, names)
    with Store.open(url_of("reader")) as reader:
        assert not reader.summary().empty
        assert not reader.samples().empty
    with pytest.raises(StoreError, match=r"cannot be written by reader_\w+, who lacks DELETE on .*; INSERT on "):
        Store.open(url_of("reader"), write=True)
    with Store.open(url_of("writer"), create=True) as writer:
        writer.begin(a_run("more", started_at=50.0), PLAN)
        writer.record("more", a_trial())
        writer.finish("more", state="complete")
        annotations.annotate(writer, "more", "by a writer")
        baselines.keep(writer, "the writer's")
        prune(writer)


def test_all_privileges_that_a_role_lacks_are_named_before_anything_is_written(server):
    owner, names, url_of = server
    grant_as_documented(owner, names)
    owner.execute(f"revoke insert on cell, trial from {names['writer']}")
    owner.execute(f"revoke usage on sequence trial_id_seq from {names['writer']}")
    with pytest.raises(StoreError) as refused:
        Store.open(url_of("writer"), create=True)
    said = str(refused.value)
    assert "who lacks INSERT on cell, trial; USAGE on the sequence of trial: ask the owner" in said
    owner.execute(f"revoke all on all tables in schema public from {names['reader']}")
    with pytest.raises(StoreError, match=r"cannot be read by reader_\w+, who lacks SELECT on") as refused:
        Store.open(url_of("reader"))
    assert all(table in str(refused.value) for table in metadata.tables)
