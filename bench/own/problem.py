"""The claims on a problem."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context

import torch
from torch import Tensor

from bench.extensions import load_in_worker, loaded
from bench.measures.truth import Truth
from bench.own.finding import Check, NotTried
from bench.problems import PROBLEMS, Instance, Problem
from bench.workload import Workload
from results.records import Cell

_EXACT = 1e-8  # relative: of the stated exact solution against one computed at a tolerance of 1e-12
_ROUNDING = 1e-4  # relative: of float32's instance against float64's


def problem_claims(name: str) -> dict[str, Check]:
    """The claims on a problem, each with a function that says what is wrong."""
    problem = PROBLEMS[name]
    claims: dict[str, Check] = {
        "the same from the same seed": partial(_deterministic, problem),
        "the same in another process": partial(_deterministic_everywhere, problem),
        "the batch is as large as asked for": partial(_batch, problem),
        "dtype is followed": partial(_dtype, problem),
        "the device is followed": partial(_device, problem),
        "the field answers in the state's shape": partial(_shape, problem),
        "the loss is a finite number": partial(_loss, problem),
        "gradients reach every parameter": partial(_gradients, problem),
        "options at their defaults change nothing": partial(_defaults, problem),
    }
    if problem.exact is not None:
        claims["the exact solution is that of the field"] = partial(_exact, problem)
    if problem.recipe is not None:
        claims["training has the same batches in each call"] = partial(_batches, problem)
        claims["a training step can be taken and judged"] = partial(_step, problem)
    return claims


def cell_of(problem: Problem, **changes: object) -> Cell:
    """A cell of the problem, solved by node with backprop."""
    fields = {"horizon": problem.horizon, "n_outputs": problem.n_outputs, "dtype": "float64", **changes}
    return Cell(problem=problem.name, backend="node", solver="dopri5", gradient="backprop", **fields)  # type: ignore[arg-type]


def _most(problem: Problem) -> int:
    return dict(problem.most).get("batch_size", 3)


def _tensors(instance: Instance) -> list[Tensor]:
    """The tensors that identify an instance: its start, its times, its parameters and buffers, a value of its field."""
    with torch.no_grad():
        answers = [instance.field(instance.t[0], instance.y0)]
    return [instance.y0, instance.t, *instance.field.parameters(), *instance.field.buffers(), *answers]


def _same(one: Instance, other: Instance, *, tolerance: float = 0.0) -> bool:
    pairs = zip(_tensors(one), _tensors(other), strict=True)
    return all(
        a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance) for a, b in pairs
    )


def _deterministic(problem: Problem) -> str:
    cell = cell_of(problem, batch_size=min(3, _most(problem)), seed=7)
    if _same(problem.instance(cell), problem.instance(cell)):
        return ""
    return "two instances of one seed differ: draw with the generators of torch, NumPy or random, which are seeded"


def _deterministic_everywhere(problem: Problem) -> str:
    """Each trial has its own process, which imports the file again."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        there = processes.submit(fingerprint, problem.name, loaded()).result()
    if there == fingerprint(problem.name):
        return ""
    return "another process makes another instance: draw nothing at import, and order no set by its hashes"


def fingerprint(name: str, use: Sequence[str] = ()) -> str:
    """A hash of an instance's tensors; `use`: the files and modules that are loaded first."""
    load_in_worker(use)
    problem = PROBLEMS[name]
    instance = problem.instance(cell_of(problem, batch_size=min(3, _most(problem)), seed=7))
    found = sha256()
    for tensor in _tensors(instance):
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _batch(problem: Problem) -> str:
    for size in (1, min(3, _most(problem))):
        found = len(problem.instance(cell_of(problem, batch_size=size)).y0)
        if found != size:
            return f"y0 has {found} samples where {size} are asked for: take cell.batch_size"
    return ""


def _dtype(problem: Problem) -> str:
    instances = [problem.instance(cell_of(problem, dtype=dtype)) for dtype in ("float32", "float64")]
    for instance, dtype in zip(instances, (torch.float32, torch.float64), strict=True):
        if odd := [tuple(x.shape) for x in (instance.y0, *instance.field.parameters()) if x.dtype != dtype]:
            return f"a tensor {odd[0]} is not {dtype}: return it as a parameter, a buffer or y0"
        answer = instance.field(instance.t[0].to(dtype), instance.y0)
        if answer.dtype != dtype:
            return f"the field answers in {answer.dtype} where the state is {dtype}: hold constants as buffers"
    return (
        ""
        if _same(instances[0], instances[1], tolerance=_ROUNDING)
        else "float32 and float64 are other numbers: draw in float32 in both"
    )


def _device(problem: Problem) -> str:
    if not torch.cuda.is_available():
        raise NotTried("there is no CUDA device here")
    instance = problem.instance(cell_of(problem, device="cuda"))
    answer = instance.field(instance.t[0], instance.y0)
    return "" if answer.is_cuda and instance.loss(instance.y0.unsqueeze(0)).is_cuda else "its answer is on the CPU"


def _shape(problem: Problem) -> str:
    instance = problem.instance(cell_of(problem, batch_size=min(3, _most(problem))))
    answer = instance.field(instance.t[0], instance.y0)
    if not isinstance(answer, Tensor):
        return f"f(t, y) is a {type(answer).__name__}: return dy/dt as one tensor"
    if answer.shape == instance.y0.shape:
        again = instance.field(instance.t[0], instance.y0)
        return "" if torch.equal(answer, again) else "f(t, y) is another one in each call: draw nothing, keep no state"
    return f"f(t, y) is {tuple(answer.shape)}, and y {tuple(instance.y0.shape)}: they must be equal"


def _workload(problem: Problem) -> Workload:
    from bench.backends import BACKENDS

    return BACKENDS["node"].prepare(cell_of(problem, rtol=1e-4, atol=1e-4), problem)


def _loss(problem: Problem) -> str:
    loss = _workload(problem).loss()
    if loss.dim():
        return f"it has shape {tuple(loss.shape)}: return one number, such as its mean"
    return "" if torch.isfinite(loss) else f"it is {loss.item()}"


def _gradients(problem: Problem) -> str:
    workload = _workload(problem)
    named = dict(workload.instance.field.named_parameters())
    if not named:
        return "the field has no parameters: hold its constants as nn.Parameter, so that there is a gradient to measure"
    torch.autograd.backward(workload.loss())
    gradients = {name: parameter.grad for name, parameter in named.items()}
    lost = [name for name, gradient in gradients.items() if gradient is None]
    if lost:
        return f"{', '.join(lost[:3])} gets none: is it used in forward, without .detach() or .item()?"
    odd = [name for name, g in gradients.items() if g is not None and not bool(torch.isfinite(g).all())]
    return f"that of {', '.join(odd[:3])} is infinite or NaN: is a root or a quotient taken at 0?" if odd else ""


def _defaults(problem: Problem) -> str:
    torch.manual_seed(0)
    bare = problem.make(cell_of(problem))
    torch.manual_seed(0)
    defaults = {option.name.partition(".")[2]: option.default for option in problem.options}
    stated = problem.make(cell_of(problem), **defaults)
    return "" if _same(bare, stated) else "with the defaults stated it is another instance"


def _exact(problem: Problem) -> str:
    cell = cell_of(problem)
    stated = problem.exact_at(cell, problem.instance(cell).t)
    if stated is None:
        raise NotTried("it has options that `exact` does not take")
    computed = Truth(cell, problem).computed_solution()[:, 0]
    distance = ((stated - computed).abs().max() / computed.abs().max().clamp(min=1.0)).item()
    return "" if distance < _EXACT else f"they differ by {distance:.2g}: of the first sample's start, in float64?"


def _batches(problem: Problem) -> str:
    training = problem.instance(cell_of(problem, iterations=2)).training
    if training is None:
        return "there is an optimiser, and the instance has no training=Training(batches=..., loss=...)"
    first, again = (list(islice(training.batches(), 2)) for _ in range(2))
    if all(torch.equal(a.y0, b.y0) for a, b in zip(first, again, strict=True)):
        return ""
    return "two calls of `batches` differ: seed a torch.Generator in it"


def _step(problem: Problem) -> str:
    from bench.measures.training import train

    cell = cell_of(problem, iterations=2, rtol=1e-3, atol=1e-3)
    from bench.backends import BACKENDS

    metrics, _ = train(cell, BACKENDS["node"].prepare(cell, problem))
    return "" if metrics["final_loss"] < float("inf") else "the judgement is infinite"
