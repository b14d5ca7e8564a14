"""Databases on the PostgreSQL server that the tests may use."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def server_database() -> Iterator[str]:
    """The URL of a new database, which is dropped afterwards."""
    server = os.environ.get("NODEBENCH_TEST_POSTGRES")
    if not server:
        pytest.skip("needs a PostgreSQL server: NODEBENCH_TEST_POSTGRES=$(.ci/postgres start FOLDER)")
    import psycopg

    name = f"nodebench_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")
