"""Copies a small part of the torch reference data into tests/data/torch_golden.npz.

    python tests/tools/make_torch_golden.py <folder with torch_reference.npz>

The full file holds values and gradients that torch 2.13 computed in float64. The part keeps, for every
function that symprop has, every seventh of the common points, and the losses named below, so that each case
always runs.
"""

import sys
from pathlib import Path

import numpy as np

ACTIVATIONS = """
sigmoid tanh leaky_relu_0.01 prelu_0.25 elu_1 selu celu_2 silu gelu_none gelu_tanh hardtanh_-2_3 softsign
relu6 hardshrink softshrink exp log1p_abs erf erfc abs square lgamma sinc
"""
JOINED = (
    *("act/glu", "act/maxout", "act/softmax", "act/log_softmax", "act/logsumexp"),
    *("act/normalize_l2", "act/linear", "act/mlp_tanh_ce", "act/lstm_cell"),
)
LOSSES = """
mse_mean l1_mean l1_none huber_d0.5_sum smooth_l1_b1_mean smooth_l1_b0.3_mean cross_entropy_ls0.0_none
cross_entropy_extreme_ls0.0_sum cross_entropy_extreme_ls0.1_none cross_entropy_ls0.5_none
cross_entropy_soft_none cross_entropy_weight_none cross_entropy_ignore_mean nll_none bce_edge_sum
bce_logits_none bce_logits_posw_none kl_div_mean hinge_none
poisson_nll_nolog_full_sum poisson_nll_log_none kl_div_logtarget_none squared_hinge_mean soft_margin_mean
hinge_embedding_none margin_ranking_sum cosine_embedding_none triplet_none multi_margin_none focal_g2_none
nll_mean cross_entropy_ls0.1_mean
"""


def main() -> None:
    """Select and write."""
    source = np.load(Path(sys.argv[1]) / "torch_reference.npz")
    keep = np.unique(np.r_[np.arange(0, source["x"].size, 7), 0:2, 17:24, 78:81])
    part = {"x": source["x"][keep]}
    for name in ACTIVATIONS.split():
        for what in ("y", "dy", "d2y"):
            part[f"act/{name}/{what}"] = source[f"act/{name}/{what}"][keep]
    for key in source.files:
        if key.startswith(JOINED) or (key.startswith("loss/") and key.split("/")[1] in LOSSES.split()):
            part[key] = source[key]
    target = Path(__file__).parents[1] / "data" / "torch_golden.npz"
    np.savez_compressed(target, **part)
    print(f"{target}: {target.stat().st_size} bytes, {len(part)} arrays")


if __name__ == "__main__":
    main()
