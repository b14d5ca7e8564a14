"""What each function of `node.torch_private` returns; the docstrings say what would break if torch changed it."""

import ast
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

import node
from node import torch_private

PACKAGE = Path(node.__file__).parent


def test_version_of_counts_the_writes_into_a_tensor() -> None:
    """A field that writes into its state is detected by this."""
    y = torch.zeros(2)
    before = y._version
    y.add_(1.0)
    assert y._version == before + 1


def test_base_of_a_view_is_the_tensor_that_it_views() -> None:
    """A derivative that is a view of a buffer of the field is detected by this."""
    buffer = torch.zeros(2, 3)
    assert buffer[0]._base is buffer
    assert buffer._base is None


def test_in_transform_and_is_wrapped_are_true_within_torch_func() -> None:
    """Within a transform a solve is refused or takes other products."""
    seen: list[bool] = []

    def f(x: Tensor) -> Tensor:
        seen.append(torch_private.in_transform())
        assert torch_private.is_wrapped(x)
        return x.sum()

    torch.func.grad(f)(torch.ones(2))
    assert seen == [True]
    assert not torch_private.in_transform()
    assert not torch_private.is_wrapped(torch.ones(2))


def test_in_dual_level_is_true_within_a_dual_level() -> None:
    """Modes without forward-mode derivatives refuse dual numbers."""
    with forward_ad.dual_level():
        assert torch_private.in_dual_level()
    assert not torch_private.in_dual_level()


def test_has_saved_tensors_hooks_is_true_within_such_hooks() -> None:
    """With such hooks the products of a Jacobian are taken by another method."""
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        assert torch_private.has_saved_tensors_hooks()
    assert not torch_private.has_saved_tensors_hooks()


def test_is_batched_is_true_within_vmap_also_within_a_derivative() -> None:
    """A solve within vmap is refused."""

    seen: list[bool] = []

    def f(x: Tensor) -> Tensor:
        seen.append(torch_private.is_batched(x))
        return x.sum()

    torch.func.vmap(f)(torch.ones(3, 2))
    torch.func.vmap(torch.func.grad(f))(torch.ones(3, 2))
    torch.func.grad(f)(torch.ones(2))
    assert seen == [True, True, False]


@pytest.mark.parametrize("vectorised", [True, False])
def test_is_batched_backwards_is_true_for_many_losses_at_once(vectorised: bool) -> None:
    """A backward pass of many losses at once is refused."""
    seen: list[bool] = []

    def see(bar: Tensor) -> None:
        seen.append(torch_private.is_batched_backwards(bar))

    x = torch.ones(2, requires_grad=True)
    y = 2 * x
    y.register_hook(see)
    torch.autograd.grad(y, x, torch.eye(2) if vectorised else torch.ones(2), is_grads_batched=vectorised)
    assert seen == [vectorised]


def test_number_of_a_later_node_is_larger() -> None:
    """Tensors computed outside of a field are recognised by the numbers of their nodes."""
    x = torch.ones(2, requires_grad=True)
    first, second = x * 2, x * 3
    assert torch_private.number_of(first.grad_fn) < torch_private.number_of(second.grad_fn)


def test_a_shared_hook_is_called_for_each_of_its_tensors() -> None:
    """The products of a backward pass are counted by one hook that all derivatives share."""
    seen: list[Tensor] = []
    hooks = {0: seen.append}
    x = torch.ones(2, requires_grad=True)
    y, z, own = x * 2, x * 3, x * 4
    own.register_hook(lambda bar: 2 * bar)
    for tensor in (y, z, own):
        torch_private.hook_with_shared(tensor, hooks)
    (y + z + own).sum().backward()
    assert len(seen) == 3
    assert torch.equal(x.grad, torch.full((2,), 13.0))  # the tensor's own hook is called too


def test_keeps_running_statistics_is_true_for_batch_norm_alone() -> None:
    """The adjoint calls such modules without a change of their statistics."""
    assert torch_private.keeps_running_statistics(nn.BatchNorm1d(2))
    assert not torch_private.keeps_running_statistics(nn.LayerNorm(2))


def test_a_module_keeps_its_parameters_buffers_and_children_under_these_names() -> None:
    """The backward pass works on a copy of the module, which is made from these."""
    module = nn.Sequential(nn.BatchNorm1d(2))
    batch_norm = vars(module)[torch_private.CHILDREN]["0"]
    assert list(vars(batch_norm)[torch_private.PARAMETERS]) == ["weight", "bias"]
    assert "running_mean" in vars(batch_norm)[torch_private.BUFFERS]
    assert {torch_private.PARAMETERS, torch_private.BUFFERS, torch_private.CHILDREN} <= torch_private.OF_MODULES


def test_is_compiled_is_true_for_compiled_modules() -> None:
    """A compiled module is not copied."""
    assert torch_private.is_compiled(type(torch.compile(nn.Linear(2, 2))))
    assert not torch_private.is_compiled(nn.Linear)


def test_a_dispatch_mode_sees_the_operands_of_a_call() -> None:
    """The tensors that a field reads are found by this."""

    seen: list[Tensor] = []

    class Seen(torch_private.TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            seen.extend(x for x in torch_private.tree_leaves((args, kwargs)) if isinstance(x, Tensor))
            return operation(*args, **(kwargs or {}))

    x, y = torch.ones(2), torch.ones(2)
    with Seen():
        assert torch_private.in_dispatch_mode()
        torch.stack([x, y])
    assert not torch_private.in_dispatch_mode()
    assert [id(tensor) for tensor in seen] == [id(x), id(y)]


def test_no_other_file_reads_a_private_part_of_torch_but_a_tensors_version_and_base() -> None:
    private = {"_backward_hooks", "_register_hook_dict", "_sequence_nr", "_current_level", "_C"}
    for path in PACKAGE.rglob("*.py"):
        if path.name == "torch_private.py":
            continue
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.Attribute) and not (isinstance(part.value, ast.Name) and part.value.id == "self"):
                assert part.attr not in private, f"{path}:{part.lineno}"
            if isinstance(part, ast.ImportFrom) and (part.module or "").startswith("torch"):
                names = [*part.module.split("."), *(alias.name for alias in part.names)]
                assert not any(name.startswith("_") for name in names), f"{path}:{part.lineno}"
