"""`accuracy="fast"` reaches the emitted code of every mode, and its results stay within its bound."""

import numpy as np
import pytest
import sympy as sp

import symprop
from symprop import nn
from symprop.emit.math import ELEMENTARY, FAST

X = np.concatenate([np.linspace(-30, 30, 501), [0.0, -745.0, 700.0]])
FUNCTIONS = {
    "sigmoid": nn.sigmoid,
    "tanh": nn.tanh,
    "softplus": nn.softplus,
    "erf": sp.erf,
    "erfc": sp.erfc,
    "exp": sp.exp,
    "sinh": sp.sinh,
}


def test_fast_functions_are_among_the_elementary_ones():
    assert set(FAST) <= set(ELEMENTARY)
    assert all(FAST[name] is not ELEMENTARY[name] for name in FAST)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_compiled_function_takes_the_fast_code(name, dtype):
    x = sp.Symbol("x")
    precise, fast = (
        symprop.compile(FUNCTIONS[name](x), args=[x], batch=[x], wrt=[], dtype=dtype, accuracy=accuracy)
        for accuracy in ("precise", "fast")
    )
    # with AVX-512 the precise exponential is the quicker one, and the error function
    same = name in ("exp", "erf", "erfc") and fast.llvm_ir == precise.llvm_ir
    assert same or len(fast.llvm_ir) < len(precise.llvm_ir)
    values = X.astype(dtype)
    a, b = precise(values), fast(values)
    # 4 ULP of one and an ULP of the other
    with np.errstate(invalid="ignore"):
        wrong = ~((np.abs(a - b) <= 5 * np.spacing(np.abs(a))) | (a == b))
    assert not wrong.any(), values[wrong]


def test_loops_take_the_fast_code():
    wide = sp.MatrixSymbol("v", 300, 200)
    precise, fast = (
        symprop.compile(nn.tanh(wide), args=[wide], wrt=[], accuracy=a) for a in ("precise", "fast")
    )
    assert len(fast.llvm_ir) < len(precise.llvm_ir)
    values = np.linspace(-3, 3, 60000).reshape(300, 200)
    np.testing.assert_allclose(fast(values), np.tanh(values), rtol=1e-15)


def test_training_steps_take_the_fast_code():
    w, x = sp.MatrixSymbol("w", 3, 1), sp.MatrixSymbol("x", 3, 1)
    loss = nn.softplus(symprop.scalar(w.T * x))
    samples = np.random.default_rng(0).normal(size=(40, 3))
    found = []
    for accuracy in ("precise", "fast"):
        step = symprop.compile_step(loss, args=[w, x], params=[w], batch=[x], accuracy=accuracy)
        state = step.init({w: np.array([0.5, -1.0, 2.0])})
        found.append(np.array([step(state, samples) for _ in range(20)]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-13)
    assert (found[0] != found[1]).any()  # not the same code
