"""A wrong query of the store is an error of the package that names the nearest valid value."""

import pytest

from results import StoreError, Where


@pytest.mark.parametrize("frame", ["metrics", "samples", "noise_floors"])
def test_an_unknown_metric_is_answered_with_the_nearest(three, frame):
    with pytest.raises(
        StoreError, match=r"^name='erorr': no metric has such a name\. Did you mean 'error'\? There are:"
    ):
        getattr(three, frame)(Where(name=["forward_s", "erorr"]))
    assert three.curves(Where(name="erorr")).empty  # a curve may have any name


def test_every_error_is_a_store_error_and_a_wrong_value_is_a_value_error_too(three):
    for wrong in (lambda: Where(status="fine"), lambda: three.cells(Where(kind="timing")), lambda: Where(seed=2**70)):
        with pytest.raises(StoreError) as caught:
            wrong()
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("asked", [{"seed": "one"}, {"solver": 3}, {"options": "a=1"}, {"options": {"a": {}}}], ids=str)
def test_a_value_of_a_wrong_type_is_a_type_error_too(asked):
    with pytest.raises(TypeError) as caught:
        Where(**asked)
    assert isinstance(caught.value, StoreError)
