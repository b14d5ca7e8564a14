"""What breaks when a private part of torch goes: a test for each of `node.torch_private`, named by what needs it."""

import ast
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

import node
from node import torch_private

PACKAGE = Path(node.__file__).parent


def test_a_field_that_writes_into_its_state_is_seen_by_the_tensors_version() -> None:
    y = torch.zeros(2)
    before = y._version
    y.add_(1.0)
    assert y._version == before + 1


def test_a_slope_that_is_a_view_of_the_fields_own_buffer_is_seen_by_its_base() -> None:
    buffer = torch.zeros(2, 3)
    assert buffer[0]._base is buffer
    assert buffer._base is None


def test_a_solve_within_a_transform_of_torch_func_is_refused_or_takes_its_products() -> None:
    seen: list[bool] = []

    def f(x: Tensor) -> Tensor:
        seen.append(torch_private.in_transform())
        assert torch_private.is_wrapped(x)
        return x.sum()

    torch.func.grad(f)(torch.ones(2))
    assert seen == [True]
    assert not torch_private.in_transform()
    assert not torch_private.is_wrapped(torch.ones(2))


def test_a_mode_without_tangents_refuses_dual_numbers() -> None:
    with forward_ad.dual_level():
        assert torch_private.in_dual_level()
    assert not torch_private.in_dual_level()


def test_products_of_a_jacobian_are_taken_by_another_way_where_saved_tensors_have_hooks() -> None:
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        assert torch_private.has_saved_tensors_hooks()
    assert not torch_private.has_saved_tensors_hooks()


def test_vmap_over_a_solve_is_refused_also_beneath_a_derivative() -> None:
    seen: list[bool] = []

    def f(x: Tensor) -> Tensor:
        seen.append(torch_private.is_batched(x))
        return x.sum()

    torch.func.vmap(f)(torch.ones(3, 2))
    torch.func.vmap(torch.func.grad(f))(torch.ones(3, 2))
    torch.func.grad(f)(torch.ones(2))
    assert seen == [True, True, False]


@pytest.mark.parametrize("vectorised", [True, False])
def test_a_backward_pass_of_many_losses_at_once_is_refused(vectorised: bool) -> None:
    seen: list[bool] = []

    def see(bar: Tensor) -> None:
        seen.append(torch_private.is_batched_backwards(bar))

    x = torch.ones(2, requires_grad=True)
    y = 2 * x
    y.register_hook(see)
    torch.autograd.grad(y, x, torch.eye(2) if vectorised else torch.ones(2), is_grads_batched=vectorised)
    assert seen == [vectorised]


def test_what_was_computed_outside_of_a_field_is_known_by_the_numbers_of_nodes() -> None:
    x = torch.ones(2, requires_grad=True)
    first, second = x * 2, x * 3
    assert torch_private.number_of(first.grad_fn) < torch_private.number_of(second.grad_fn)


def test_products_are_counted_by_one_hook_that_many_slopes_share() -> None:
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


def test_running_statistics_are_spared_in_modules_that_write_to_them() -> None:
    assert torch_private.keeps_running_statistics(nn.BatchNorm1d(2))
    assert not torch_private.keeps_running_statistics(nn.LayerNorm(2))


def test_a_copy_of_a_module_has_its_parameters_buffers_and_children() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2))
    batch_norm = vars(module)[torch_private.CHILDREN]["0"]
    assert list(vars(batch_norm)[torch_private.PARAMETERS]) == ["weight", "bias"]
    assert "running_mean" in vars(batch_norm)[torch_private.BUFFERS]
    assert {torch_private.PARAMETERS, torch_private.BUFFERS, torch_private.CHILDREN} <= torch_private.OF_MODULES


def test_a_compiled_module_is_not_copied() -> None:
    assert torch_private.is_compiled(type(torch.compile(nn.Linear(2, 2))))
    assert not torch_private.is_compiled(nn.Linear)


def test_the_operands_of_a_call_are_seen_by_a_dispatch_mode() -> None:
    seen: list[Tensor] = []

    class Seen(torch_private.TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            seen.extend(x for x in torch_private.tree_leaves((args, kwargs)) if isinstance(x, Tensor))
            return operation(*args, **(kwargs or {}))

    x, y = torch.ones(2), torch.ones(2)
    with Seen():
        torch.stack([x, y])
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
