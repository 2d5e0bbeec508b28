"""Writes tests/data/optim_golden.npz: twenty steps of each optimizer of torch, in float64.

    python tests/tools/make_optim_golden.py

needs torch 2.13.0, which symprop itself does not. The network is tanh(W1*x + b1), W2*h + b2, with half the
sum of squares as loss, mean over 7 samples. For every case: all parameters after each of the steps in
`KEPT`, one after the other in one row, and the loss before each step.
"""

from pathlib import Path

import numpy as np
import torch

STEPS, KEPT = 20, (1, 2, 10, 20)
SHAPES = {"W1": (5, 3), "b1": (5, 1), "W2": (2, 5), "b2": (2, 1)}

optim = torch.optim
CASES = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD default": lambda p: optim.SGD(p),
    "SGD momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    "SGD nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True),
    "SGD dampening": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "SGD maximize": lambda p: optim.SGD(p, lr=0.001, weight_decay=0.1, maximize=True),
    "Adam": lambda p: optim.Adam(p),
    "Adam decay": lambda p: optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "Adam amsgrad": lambda p: optim.Adam(p, lr=0.1, betas=(0.5, 0.6), amsgrad=True),
    "Adam maximize": lambda p: optim.Adam(p, lr=0.01, maximize=True, weight_decay=0.1),
    "AdamW": lambda p: optim.AdamW(p),
    "AdamW decay": lambda p: optim.AdamW(p, lr=0.02, weight_decay=0.3, amsgrad=True),
    "RMSprop": lambda p: optim.RMSprop(p),
    "RMSprop momentum": lambda p: optim.RMSprop(p, lr=0.003, alpha=0.9, momentum=0.7, weight_decay=0.1),
    "RMSprop centered": lambda p: optim.RMSprop(p, lr=0.003, alpha=0.8, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p),
    "Adagrad decay": lambda p: optim.Adagrad(
        p, lr=0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.3
    ),
}
SCHEDULES = {
    "steps": lambda o: optim.lr_scheduler.StepLR(o, 6, 0.5),
    "exponential": lambda o: optim.lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 25, eta_min=0.01),
    "linear": lambda o: optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 12),
    "sequence": lambda o: optim.lr_scheduler.SequentialLR(
        o,
        [optim.lr_scheduler.ConstantLR(o, 0.5, 8), optim.lr_scheduler.ExponentialLR(o, 0.8)],
        [8],
    ),
}
CLIPPED = {
    "clip norm": lambda p: torch.nn.utils.clip_grad_norm_(p, 0.4),
    "clip value": lambda p: torch.nn.utils.clip_grad_value_(p, 0.05),
}


def run(start, x, y, make, schedule=None, change=None):
    """Parameters after the kept steps and the losses."""
    params = [torch.tensor(v, requires_grad=True) for v in start.values()]
    w1, b1, w2, b2 = params
    optimizer = make(params)
    scheduler = schedule(optimizer) if schedule else None
    kept, losses = [], []
    for k in range(1, STEPS + 1):
        optimizer.zero_grad()
        z = torch.tanh(x @ w1.T + b1[:, 0]) @ w2.T + b2[:, 0]
        loss = ((z - y) ** 2).sum(1).mean() / 2
        loss.backward()
        if change:
            change(params)
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.item())
        if k in KEPT:
            kept.append(np.concatenate([p.detach().numpy().ravel() for p in params]))
    return np.array(kept), np.array(losses)


def main() -> None:
    """Run every case and write."""
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(5)
    start = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    data = {"X": rng.normal(size=(7, 3)), "Y": rng.normal(size=(7, 2))}
    x, y = torch.tensor(data["X"]), torch.tensor(data["Y"])
    arrays = {**start, **data}

    def keep(name, *args):
        arrays[f"{name}/params"], arrays[f"{name}/loss"] = run(start, x, y, *args)

    for name, make in CASES.items():
        keep(name, make)
    for name, schedule in SCHEDULES.items():
        keep(name, lambda p: optim.SGD(p, lr=0.1), schedule)
    for name, change in CLIPPED.items():
        keep(name, lambda p: optim.SGD(p, lr=0.1, momentum=0.5), None, change)
    target = Path(__file__).parents[1] / "data" / "optim_golden.npz"
    np.savez_compressed(target, **arrays)
    print(f"{target}: {target.stat().st_size} bytes, {len(arrays)} arrays, torch {torch.__version__}")


if __name__ == "__main__":
    main()
