"""A recurrent network of two layers over a sequence of characters (ADBench lstm)."""

import pytest
import sympy as sp
from golden import check, golden

import symprop
from symprop import nn


def recurrent(steps, layers, b):
    main, extra = sp.MatrixSymbol("main", 2 * layers, 4 * b), sp.MatrixSymbol("extra", 3, b)
    state, seq = sp.MatrixSymbol("state", 2 * layers, b), sp.MatrixSymbol("seq", steps, b)
    equations = []

    def name(text, expression):
        symbol = sp.MatrixSymbol(text, 1, b)
        equations.append((symbol, expression))
        return symbol

    hidden = [state[2 * i, :] for i in range(layers)]
    cells = [state[2 * i + 1, :] for i in range(layers)]
    total = []
    for t in range(steps - 1):
        x = name(f"x{t}", sp.HadamardProduct(seq[t, :], extra[0, :]))
        for i in range(layers):
            weight, bias = main[2 * i, :], main[2 * i + 1, :]

            def gate(k, value, weight=weight, bias=bias):
                return (
                    sp.HadamardProduct(value, weight[:, k * b : (k + 1) * b]) + bias[:, k * b : (k + 1) * b]
                )

            forget, ingate = nn.sigmoid(gate(0, x)), nn.sigmoid(gate(1, hidden[i]))
            outgate, change = nn.sigmoid(gate(2, x)), nn.tanh(gate(3, hidden[i]))
            update = sp.HadamardProduct(cells[i], forget) + sp.HadamardProduct(ingate, change)
            cells[i] = name(f"c{i}_{t}", update)
            hidden[i] = x = name(f"h{i}_{t}", sp.HadamardProduct(outgate, nn.tanh(cells[i])))
        y = name(f"y{t}", sp.HadamardProduct(x, extra[1, :]) + extra[2, :])
        ones = sp.OneMatrix(b, 1)
        log_sum = sp.Symbol(f"lse{t}")
        equations.append((log_sum, sp.log(2 + symprop.scalar(y.applyfunc(sp.exp) * ones))))
        total.append(symprop.scalar(seq[t + 1, :] * y.T) - log_sum * symprop.scalar(seq[t + 1, :] * ones))
    equations.append((sp.Symbol("loss"), -sp.Add(*total) / (b * (steps - 1))))
    return symprop.Graph(equations), [main, extra, state], seq


@pytest.mark.parametrize("name", ["lstm_l2_c4", "lstm_l2_c16"])
def test_value_and_gradient(name):
    case = golden(name)
    steps, b = case["in_seq"].shape
    graph, params, seq = recurrent(steps, len(case["in_state"]) // 2, b)
    f = symprop.compile(graph, args=[*params, seq], wrt=params)
    arrays = [case[f"in_{n}"] for n in ("main", "extra", "state", "seq")]
    value, grads = f.value_and_grad(*arrays)
    check(value, case["value"])
    for gradient, wanted in zip(grads, ("grad_main", "grad_extra", "grad_state"), strict=True):
        check(gradient, case[wanted])
