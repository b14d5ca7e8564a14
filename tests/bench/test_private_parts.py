"""Private parts of other packages that we use: each is behind one function, and these tests check these functions."""

import subprocess
import sys

from torchdiffeq._impl.odeint import SOLVERS

from bench.backends.torchdiffeq import _installed

SERVER = """
import multiprocessing.util, os, sys
from bench.machine.descendants import fork_server
from bench.worker import forkserver
forkserver.have_sockets_in(sys.argv[1])
assert multiprocessing.util.get_temp_dir() == sys.argv[1], "multiprocessing makes its sockets elsewhere"
assert fork_server() is None
forkserver.start()
os.kill(fork_server(), 0)  # raises if there is no such process
forkserver.stop()
print(forkserver.is_gone(fork_server()))
"""


def test_multiprocessing_has_the_attributes_for_its_forkserver_and_its_socket_folder(tmp_path):
    """Without them a killed server would be taken for a cell's crash, and sockets would lie in long paths."""
    folder = tmp_path / "sockets"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", SERVER, str(folder)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_the_methods_read_from_the_source_of_torchdiffeq_are_those_that_it_has():
    """Without the name SOLVERS in its source, a plan would not know the methods of torchdiffeq."""
    assert set(_installed()) == set(SOLVERS)
