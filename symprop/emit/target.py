"""The machine that code is generated for."""

from __future__ import annotations

from functools import lru_cache

import llvmlite.binding as llvm

from symprop.emit.builder import Target

__all__ = ["from_features", "host", "machine"]


def from_features(triple: str, cpu: str, features: str) -> Target:
    """A target from LLVM's names; the vector width is that of the widest registers that the features
    allow.
    """
    has = {name[1:] for name in features.split(",") if name.startswith("+")}
    if triple.startswith("x86_64"):
        bits = (
            512 if {"avx512f", "avx512dq", "avx512vl", "avx512bw"} <= has else 256 if "avx2" in has else 128
        )
        return Target(triple, cpu, features, bits, 32 if bits == 512 else 16, "fma" in has)
    return Target(triple, cpu, features, 128, 32, True)  # AArch64: NEON, with fused multiply-add


@lru_cache(maxsize=1)
def host() -> Target:
    """This machine. Tuning hints are left out of the features: they do not change which code is right."""
    features = llvm.get_host_cpu_features()
    tuning = ("prefer-", "fast-", "slow-", "tuning")
    kept = ",".join(
        ("+" if on else "-") + name for name, on in sorted(features.items()) if not name.startswith(tuning)
    )
    return from_features(llvm.get_process_triple(), llvm.get_host_cpu_name(), kept)


@lru_cache(maxsize=1)
def _initialise() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@lru_cache(maxsize=8)
def machine(target: Target, level: int) -> llvm.TargetMachine:
    """LLVM's code generator for a target, at a level from 0 to 3."""
    _initialise()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=level, jit=True, codemodel="small", reloc="pic"
    )
