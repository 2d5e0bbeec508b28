"""LLVM IR: the builder, vector mathematics, loop nests, matrix products, targets."""
