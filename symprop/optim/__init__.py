"""Optimizers as equations: what a training step does to every parameter, written as on paper.

An optimizer is a list of update equations for one entry of a parameter: `p` is the parameter, `g` the
gradient of the loss, `step` (printed `t`) the number of the step, 1 in the first, `norm` the norm of all
gradients together; every other symbol is a state that lasts from step to step, a hyper-parameter, or a name
for a value in between. The equations are assignments, in order: after `m <- ...` the symbol `m` is the new
value.

>>> import sympy as sp
>>> from symprop import optim
>>> print(optim.SGD(lr=0.1, momentum=0.9))
SGD: lr = 0.1, momentum = 0.9
b <- b*momentum + g
p <- -b*lr + p

An optimizer of one's own is a few equations:

>>> m, lr, beta = sp.symbols("m lr beta")
>>> sign_of_mean = optim.Optimizer(
...     [(m, beta * m + (1 - beta) * optim.g), (optim.p, optim.p - lr * sp.sign(m))],
...     state=[m],
...     hyper={lr: optim.cosine(1e-3, steps=1000), beta: 0.9},
... )

`symprop.compile_step` compiles it with the network. A hyper-parameter may be any expression of `step`; the
schedules here make such expressions. `chain` puts clipping and penalties in front:
`optim.chain(optim.clip_norm(1.0), optim.Adam())`.
"""

from symprop.optim.equations import Equations, Optimizer, Transformation, chain, g, norm, p, step
from symprop.optim.methods import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from symprop.optim.schedules import constant, cosine, exponential, linear, sequence, steps, warmup
from symprop.optim.transformations import clip_norm, clip_value, l1, l2
from symprop.optim.updates import starts, updates

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Equations",
    "Lion",
    "Optimizer",
    "RMSprop",
    "Transformation",
    "chain",
    "clip_norm",
    "clip_value",
    "constant",
    "cosine",
    "exponential",
    "g",
    "l1",
    "l2",
    "linear",
    "norm",
    "p",
    "sequence",
    "starts",
    "step",
    "steps",
    "updates",
    "warmup",
]
