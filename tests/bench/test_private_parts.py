"""What we use of other packages' private parts: each behind one function, which these tests hold to what it is for."""

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
os.kill(fork_server(), 0)  # a process that there is
forkserver.stop()
print(forkserver.is_gone(fork_server()))
"""


def test_multiprocessing_has_the_places_from_which_we_learn_its_server_and_tell_it_its_folder(tmp_path):
    """Without them a killed server would be taken for a cell's crash, and sockets would lie in long paths."""
    folder = tmp_path / "sockets"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", SERVER, str(folder)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_the_methods_of_torchdiffeq_that_its_text_tells_are_those_that_it_has():
    """Without the name SOLVERS no plan would know what torchdiffeq can solve."""
    assert set(_installed()) == set(SOLVERS)
