"""Export: nodes become sympy expressions of the same meaning, in the form that a person would write.

What an operation becomes stands in two tables: `_SCALAR` for scalar results, `_MATRIX` for matrices. What
has no plain form in sympy becomes a named function (`named`), which is taken in again as the same node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import sympy as sp
from sympy.codegen import cfunctions
from sympy.core.function import Application
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.kronecker import KroneckerProduct
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice

from symprop.declare import blocks
from symprop.declare.forms import Entrywise, Scalar
from symprop.functions.plain import ELEMENTARY_OF_SYMPY
from symprop.functions.special import POLYGAMMA
from symprop.functions.symbols import named
from symprop.graph import Node

__all__ = ["Export"]

# sympy's evaluating constructors look into their arguments: above this size of expression they are not used
_SHALLOW = 40
_FACTORS = 12  # of a product that is written without parentheses inside

Build = Callable[["Export", Node, Sequence[Any]], Any]


class Export:
    """Makes sympy expressions of nodes, each node once.

    `names` gives, by serial number, the symbol to write for a node instead of its expression; it is looked
    at when an expression is made, so that names may be added between calls.
    """

    def __init__(self, names: Mapping[int, sp.Basic] | None = None) -> None:
        self.names: Mapping[int, sp.Basic] = {} if names is None else names
        self._memo: dict[int, Any] = {}
        self._size: dict[
            int, int
        ] = {}  # how large each made expression is, capped, by the node's serial number

    def expression(self, node: Node) -> Any:
        """The sympy expression of a node: a scalar, a matrix, or a condition."""
        name = self.names.get(node.serial)
        return name if name is not None else self.definition(node)

    def definition(self, node: Node) -> Any:
        """The expression that defines a node: its own name is not used for it."""
        todo = [node]
        memo, names = self._memo, self.names
        while todo:
            current = todo[-1]
            if current.serial in memo:
                todo.pop()
                continue
            missing = [
                a
                for a in current.args
                if a.serial not in memo and a.serial not in names and not _is_matrix_condition(a)
            ]
            missing += [a for a in self._inner(current) if a.serial not in memo and a.serial not in names]
            if missing:
                todo.extend(reversed(missing))
                continue
            todo.pop()
            made = self._make(current)
            hash(made)  # of one level, as the parts have theirs: later no hash recurses into the depth
            _ = getattr(
                made, "is_commutative", None
            )  # likewise: products ask for it, functions ask their parts
            memo[current.serial] = made
        return memo[node.serial]

    def small(self, node: Node) -> bool:
        """True where sympy may evaluate and sort what is made of the arguments of a node."""
        return sum(self._size.get(a.serial, 1) for a in node.args) < _SHALLOW

    def _value(self, node: Node) -> Any:
        name = self.names.get(node.serial)
        return name if name is not None else self._memo[node.serial]

    def _inner(self, node: Node) -> list[Node]:
        """The values compared in the matrix conditions of a choice: they are made before it."""
        if not any(_is_matrix_condition(a) for a in node.args):
            return []
        return [n for a in node.args if _is_matrix_condition(a) for n in _compared(a)]

    def _make(self, node: Node) -> Any:
        self._size[node.serial] = min(
            1 + sum(1 if a.serial in self.names else self._size.get(a.serial, 1) for a in node.args), _SHALLOW
        )
        if node.op == "select" and node.shape:
            return self._choice(node)
        args = [self._value(a) for a in node.args]
        build = (_MATRIX if node.shape else _SCALAR).get(node.op)
        if build is not None:
            return build(self, node, args)
        return named(node.op, args, node.attrs)

    def _choice(self, node: Node) -> Any:
        """A choice between matrices: a scalar Piecewise applied entry by entry."""
        arguments: dict[int, tuple[sp.Dummy, Any]] = {}
        inner = Export({})

        def entry(operand: Node) -> Any:
            if not operand.shape:
                return self._value(operand)
            if operand.op == "broadcast" and not operand.args[0].shape and operand.serial not in self.names:
                return self._value(operand.args[0])
            if operand.serial not in arguments:
                arguments[operand.serial] = sp.Dummy(f"x{len(arguments)}"), self._value(operand)
            return arguments[operand.serial][0]

        for condition in (a for a in node.args if _is_matrix_condition(a)):
            for step in _conditions(condition):
                args = [
                    inner._memo[a.serial] if a.kind == "boolean" and a.shape else entry(a) for a in step.args
                ]
                inner._memo[step.serial] = _CONDITIONS[step.op](args)
        values = [inner._memo[a.serial] if _is_matrix_condition(a) else entry(a) for a in node.args]
        body = _piecewise(values)
        variables = tuple(v for v, _ in arguments.values())
        matrices = [m for _, m in arguments.values()]
        if not matrices:
            return _scaled(body, _ones(node))
        # sympy calls the function of a 1 x 1 matrix with the matrix itself, which cannot be compared
        if len(matrices) == 1 and matrices[0].shape != (1, 1):
            return ElementwiseApplyFunction(sp.Lambda(variables, body), matrices[0])
        return Entrywise(sp.Lambda(variables, body), *matrices)


def _is_matrix_condition(node: Node) -> bool:
    return node.kind == "boolean" and bool(node.shape)


def _conditions(root: Node) -> list[Node]:
    """The matrix conditions below one, in order."""
    found: dict[int, Node] = {}
    todo = [root]
    while todo:
        node = todo.pop()
        if _is_matrix_condition(node) and node.serial not in found:
            found[node.serial] = node
            todo.extend(node.args)
    return [found[serial] for serial in sorted(found)]


def _compared(root: Node) -> list[Node]:
    return [a for node in _conditions(root) for a in node.args if not _is_matrix_condition(a)]


# -- scalars ------------------------------------------------------------


def _unevaluated(kind: Any, args: Sequence[Any]) -> Any:
    """`kind(*args, evaluate=False)` past sympy's cache: that compares equal expressions by recursion into
    their depth.
    """
    make = Application.__new__ if issubclass(kind, Application) else kind.__new__
    return make.__wrapped__(kind, *args, evaluate=False)


def _sum(export: Export, node: Node, args: Sequence[Any]) -> Any:
    if export.small(node):
        total = sp.Add(*args)
        # sympy rounds where numbers that are floats meet: x + 0.1*x is not 1.1*x
        if len(sp.Add.make_args(total)) == len(args) or not any(a.has(sp.Float) for a in args):
            return total
    return _unevaluated(sp.Add, args)


def _product(export: Export, node: Node, args: Sequence[Any]) -> Any:
    evaluate = export.small(node) and not any(_is_tower(a) for a in args)
    return sp.Mul(*args) if evaluate else _unevaluated(sp.Mul, _flat(args))


def _flat(args: Sequence[Any]) -> list[Any]:
    """The factors of a product of a few products, numbers as one in front, equal ones as a power:
    (2*a*b)*(3*a) --> 6*a**2*b.
    """
    flat = [f for a in args for f in (a.args if type(a) is sp.Mul else (a,))]
    if len(flat) > _FACTORS:
        return list(args)
    numbers = [f for f in flat if f.is_Rational]
    number = sp.Mul(*numbers)
    counts = Counter(id(f) for f in flat)  # by identity: equality recurses into the depth
    distinct = {id(f): f for f in flat if not f.is_Rational}
    others = [
        f if counts[k] == 1 else _unevaluated(sp.Pow, (f, sp.Integer(counts[k]))) for k, f in distinct.items()
    ]
    return others if number == 1 and others else [number, *others]


def _pow(export: Export, node: Node, args: Sequence[Any]) -> Any:
    tower = _is_tower(args[0]) and not args[1].is_Integer
    return sp.Pow(*args) if export.small(node) and not tower else _unevaluated(sp.Pow, args)


def _is_tower(expression: Any) -> bool:
    """True for a root of a root: of more of them sympy asks exponentially many questions."""
    return bool(expression.is_Pow and expression.base.is_Pow)


def _function(kind: Any) -> Build:
    if isinstance(kind, type):
        return lambda export, node, args: _unevaluated(kind, args)
    return lambda export, node, args: kind(*args, evaluate=False)


def _piecewise(args: Sequence[Any]) -> Any:
    """A choice; built without sympy's constructor, which folds choices inside of conditions outwards."""
    condition, value, other = args
    pairs = [sp.Basic.__new__(ExprCondPair, value, condition)]
    if isinstance(other, sp.Piecewise):
        pairs += other.args
    elif other is not sp.nan:
        pairs.append(sp.Basic.__new__(ExprCondPair, other, sp.true))
    return sp.Basic.__new__(sp.Piecewise, *pairs)


def _extreme(kind: Any) -> Build:
    def build(export: Export, node: Node, args: Sequence[Any]) -> Any:
        if node.attrs == ("first",) and export.small(node):
            made = kind(*args, evaluate=False)
            if made.args == tuple(args):  # sympy sorts them: at a tie the first one counts
                return made
        return named(node.op, args, node.attrs)

    return build


def _relation(kind: Any, turned: Any = None) -> Callable[[Sequence[Any]], Any]:
    """A comparison, with a number on the right; `turned` is the same one from right to left."""

    def build(args: Sequence[Any]) -> Any:
        if turned is not None and args[0].is_Number and not args[1].is_Number:
            return turned(args[1], args[0], evaluate=False)
        return kind(*args, evaluate=False)

    return build


def _logic(kind: Any) -> Callable[[Sequence[Any]], Any]:
    """And, Or; built without sympy's constructor, which compares and sorts what is compared."""

    def build(args: Sequence[Any]) -> Any:
        flat = dict.fromkeys(p for a in args for p in (a.args if isinstance(a, kind) else (a,)))
        if len(flat) == 1:
            return args[0]
        made = sp.Basic.__new__(kind, *flat)
        made._argset = frozenset(flat)
        return made

    return build


_CONDITIONS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "less": _relation(sp.StrictLessThan, sp.StrictGreaterThan),
    "less_equal": _relation(sp.LessThan, sp.GreaterThan),
    "equal": _relation(sp.Eq, sp.Eq),
    "not_equal": _relation(sp.Ne, sp.Ne),
    "and": _logic(sp.And),
    "or": _logic(sp.Or),
    "not": lambda args: _unevaluated(sp.Not, args),
}


def _condition(op: str) -> Build:
    return lambda export, node, args: _CONDITIONS[op](args)


def _entry(export: Export, node: Node, args: Sequence[Any]) -> Any:
    return MatrixElement(args[0], *node.attrs[0])  # type: ignore[misc]


def _taken(export: Export, node: Node, args: Sequence[Any]) -> Any:
    matrix, *position = args
    line = node.args[0]
    if line.op == "slice" and line.shape[1] == 1 and line.serial not in export.names:  # a column of a matrix
        return MatrixElement(export.expression(line.args[0]), position[0], line.attrs[0][1][0])  # type: ignore[index]
    return MatrixElement(matrix, *position, *[0] * (2 - len(position)))


def _scalar_reshape(export: Export, node: Node, args: Sequence[Any]) -> Any:
    return Scalar(args[0]) if node.args[0].shape == (1, 1) else named("reshape", args, node.attrs)


def _total(export: Export, node: Node, args: Sequence[Any]) -> Any:
    """The sum of all entries in matrix form: `1.T*A*1`, of a product entry by entry `Trace(A.T*B)`."""
    (a,) = args
    if len(node.args[0].shape) != 2:
        return named("sum", args, node.attrs)
    coefficient, matrices = a.as_coeff_matrices() if isinstance(a, sp.MatMul) else (sp.S.One, [a])
    if len(matrices) == 1 and isinstance(matrices[0], sp.HadamardProduct):
        first, *rest = matrices[0].args
        kept = [m for m in matrices[0].args if not isinstance(m, sp.Identity)]
        if len(kept) < len(matrices[0].args) and kept:
            matrix = kept[0] if len(kept) == 1 else sp.HadamardProduct(*kept)
            total: Any = sp.Trace(matrix)
        else:
            other = rest[0] if len(rest) == 1 else sp.HadamardProduct(*rest)
            product = _matmul([sp.Transpose(first), other])
            total = Scalar(product) if 1 in node.args[0].shape[1:] else sp.Trace(product)
        return sp.Mul(coefficient, total, evaluate=export.small(node)) if coefficient != 1 else total
    rows, columns = node.args[0].shape
    left = [] if rows == 1 else [sp.OneMatrix(1, rows)]
    return Scalar(_matmul([*left, a, *([] if columns == 1 else [sp.OneMatrix(columns, 1)])]))


def _line_sums(export: Export, node: Node, args: Sequence[Any]) -> Any:
    """Sums of rows or columns as products with ones."""
    axes, keep = node.attrs
    if len(node.args[0].shape) != 2 or not keep or axes not in ((0,), (1,)):
        return named("sum", args, node.attrs)
    rows, columns = node.args[0].shape
    return _matmul([sp.OneMatrix(1, rows), args[0]] if axes == (0,) else [args[0], sp.OneMatrix(columns, 1)])


def _user(export: Export, node: Node, args: Sequence[Any]) -> Any:
    return node.attrs[0].function(*args)  # type: ignore[attr-defined]


def _leaf(export: Export, node: Node, args: Sequence[Any]) -> Any:
    return node.attrs[0]


def _log_determinant(export: Export, node: Node, args: Sequence[Any]) -> Any:
    inner = sp.Determinant(args[0])
    return sp.log(sp.Abs(inner, evaluate=False) if node.attrs else inner, evaluate=False)


def _log_determinants(export: Export, node: Node, args: Sequence[Any]) -> Any:
    powers = [
        sp.Pow(sp.Determinant(a), power, evaluate=False) if power != 1 else sp.Determinant(a)
        for a, power in zip(args, node.attrs, strict=True)
    ]
    return sp.log(sp.Mul(*powers, evaluate=False), evaluate=False)


_FUNCTIONS: dict[str, Any] = {
    **ELEMENTARY_OF_SYMPY,
    "gamma": sp.gamma,
    "loggamma": sp.loggamma,
    "beta": sp.beta,
    "rising": sp.RisingFactorial,
    "sinc": sp.sinc,
    "mod": sp.Mod,
    **{op: partial(sp.polygamma, order) for order, op in enumerate(POLYGAMMA)},
    "j0": partial(sp.besselj, 0),
    "j1": partial(sp.besselj, 1),
    "log2": cfunctions.log2,
    "log10": cfunctions.log10,
    "exp2": cfunctions.exp2,
    "hypot": cfunctions.hypot,
}

_SCALAR: dict[str, Build] = {
    "constant": _leaf,
    "symbol": _leaf,
    "add": _sum,
    "mul": _product,
    "pow": _pow,
    "sub": lambda export, node, args: sp.Add(args[0], sp.Mul(-1, args[1], evaluate=export.small(node))),
    "div": lambda export, node, args: sp.Mul(args[0], sp.Pow(args[1], -1, evaluate=export.small(node))),
    "neg": lambda export, node, args: sp.Mul(-1, args[0], evaluate=export.small(node)),
    "sqrt": lambda export, node, args: sp.Pow(args[0], sp.Rational(1, 2), evaluate=export.small(node)),
    **{op: _function(kind) for op, kind in _FUNCTIONS.items()},
    **{op: _condition(op) for op in _CONDITIONS},
    "select": lambda export, node, args: _piecewise(args),
    "maximum": _extreme(sp.Max),
    "minimum": _extreme(sp.Min),
    "index": _entry,
    "take": _taken,
    "trace": lambda export, node, args: sp.Trace(args[0]),
    "sum": _total,
    "determinant": lambda export, node, args: sp.Determinant(args[0]),
    "log_determinant": _log_determinant,
    "log_determinants": _log_determinants,
    "reshape": _scalar_reshape,
    "user": _user,
    "user_formula": _user,
}

# -- matrices ------------------------------------------------------------


def _ones(node: Node) -> Any:
    return sp.OneMatrix(*node.shape)


def _scaled(coefficient: Any, matrix: Any) -> Any:
    """A scalar times a matrix, the scalar in front."""
    if coefficient == 1:
        return matrix
    if coefficient == 0:
        return sp.ZeroMatrix(*matrix.shape)
    if isinstance(matrix, sp.MatMul):
        inner, factors = matrix.as_coeff_matrices()
        return _matmul([sp.Mul(coefficient, inner), *factors])
    return _matmul([coefficient, matrix])


def _matmul(factors: Sequence[Any]) -> Any:
    flat: list[Any] = []
    for factor in factors:
        flat.extend(factor.args if isinstance(factor, sp.MatMul) else [factor])
    scalars = [f for f in flat if not f.is_Matrix]
    matrices = _powers([f for f in flat if f.is_Matrix])
    if not scalars and len(matrices) == 1:
        return matrices[0]
    coefficient = scalars[0] if len(scalars) == 1 else sp.Mul(*scalars)
    return sp.MatMul(*([] if coefficient == 1 else [coefficient]), *matrices)


def _powers(factors: Sequence[Any]) -> list[Any]:
    """Equal factors side by side as a power."""
    runs: list[tuple[Any, Any]] = []
    for factor in factors:
        power = isinstance(factor, sp.MatPow | sp.Inverse) and factor.exp.is_Integer
        base, count = (factor.base, factor.exp) if power else (factor, sp.S.One)
        if runs and runs[-1][0] is base and runs[-1][1] * count > 0:
            runs[-1] = base, runs[-1][1] + count
        else:
            runs.append((base, count))
    forms = {sp.S.One: lambda base: base, sp.S.NegativeOne: sp.Inverse}
    return [forms[n](base) if n in forms else sp.MatPow(base, n) for base, n in runs]


def _matrix_sum(export: Export, node: Node, args: Sequence[Any]) -> Any:
    terms: list[Any] = []
    found = None if any(a.serial in export.names for a in node.args) else blocks.joined(node.args)
    if found is not None:
        grid, others = found
        inner = [export.expression(a.args[0]) if blocks.is_block(a) else None for a in node.args]
        whole = _block_matrix(grid, inner)
        if not others:
            return whole
        args = [*[args[k] for k in others], whole]
    for arg in args:
        term = arg if arg.is_Matrix else _scaled(arg, _ones(node))
        terms.extend(term.args if isinstance(term, sp.MatAdd) else [term])
    # sympy's order of terms, without its doit(), which would evaluate everything below
    return sp.MatAdd(*(sorted(terms, key=sp.default_sort_key) if export.small(node) else terms))


def _block_matrix(grid: blocks.Grid, inner: Sequence[Any]) -> Any:
    rows, columns, cells = grid
    lines = [
        [sp.ZeroMatrix(m, n) if cell is None else inner[cell] for n, cell in zip(columns, line, strict=True)]
        for m, line in zip(rows, cells, strict=True)
    ]
    return sp.BlockMatrix(lines)


def _pad(export: Export, node: Node, args: Sequence[Any]) -> Any:
    """A block among zeros."""
    grid = blocks.grid([node])
    return named("pad", args, node.attrs) if grid is None else _block_matrix(grid, args)


def _matrix_product(export: Export, node: Node, args: Sequence[Any]) -> Any:
    scalars = [a for a in args if not a.is_Matrix]
    matrices: list[Any] = []
    for arg in (a for a in args if a.is_Matrix):
        if isinstance(arg, sp.MatMul):  # the scalars of the factors go in front
            coefficient, factors = arg.as_coeff_matrices()
            scalars += [] if coefficient == 1 else [coefficient]
            arg = factors[0] if len(factors) == 1 else sp.MatMul(*factors)
        matrices.extend(arg.args if isinstance(arg, sp.HadamardProduct) else [arg])
    coefficient = _coefficient(scalars, export.small(node))
    if not matrices:
        return _scaled(coefficient, _ones(node))
    return _scaled(coefficient, matrices[0] if len(matrices) == 1 else sp.HadamardProduct(*matrices))


def _coefficient(scalars: Sequence[Any], evaluate: bool) -> Any:
    """The product of scalars, with one number in front."""
    if len(scalars) == 1 or evaluate:
        return scalars[0] if len(scalars) == 1 else sp.Mul(*scalars)
    flat = [f for s in scalars for f in (s.args if s.is_Mul else (s,))]
    number = sp.Mul(*[f for f in flat if f.is_Number])
    others = [f for f in flat if not f.is_Number]
    factors = others if number == 1 and others else [number, *others]
    return factors[0] if len(factors) == 1 else _unevaluated(sp.Mul, factors)


def _matrix_pow(export: Export, node: Node, args: Sequence[Any]) -> Any:
    return sp.HadamardPower(*args)


def _broadcast(export: Export, node: Node, args: Sequence[Any]) -> Any:
    (a,) = args
    if not a.is_Matrix:
        return _scaled(a, _ones(node))
    rows, columns = node.args[0].shape
    if columns == 1:
        a = _matmul([a, sp.OneMatrix(1, node.shape[1])]) if node.shape[1] != 1 else a
    return _matmul([sp.OneMatrix(node.shape[0], 1), a]) if rows == 1 and node.shape[0] != 1 else a


def _transpose(export: Export, node: Node, args: Sequence[Any]) -> Any:
    return args[0].T if isinstance(args[0], sp.MatrixBase) else sp.Transpose(args[0])


def _slice(export: Export, node: Node, args: Sequence[Any]) -> Any:
    rows, columns = ((start, stop, 1) for start, stop in node.attrs[0])  # type: ignore[attr-defined]
    return MatrixSlice(args[0], rows, columns)


def _dense(export: Export, node: Node, args: Sequence[Any]) -> Any:
    rows, columns = node.shape
    assert isinstance(rows, int) and isinstance(columns, int)
    entries = [[sp.S.Zero] * columns for _ in range(rows)]
    for (i, j), value in zip(node.attrs[1], args, strict=True):  # type: ignore[call-overload]
        entries[i][j] = value
    return sp.ImmutableDenseMatrix(entries)


def _matrix_reshape(export: Export, node: Node, args: Sequence[Any]) -> Any:
    if not args[0].is_Matrix:
        return sp.ImmutableDenseMatrix([[args[0]]])
    return named("reshape", args, node.attrs)


def _eye(export: Export, node: Node, args: Sequence[Any]) -> Any:
    rows, columns = node.shape
    return sp.Identity(rows) if rows == columns else DiagonalMatrix(_ones(node))


def _matrix_user(export: Export, node: Node, args: Sequence[Any]) -> Any:
    function = node.attrs[0].function  # type: ignore[attr-defined]
    variables = [sp.Dummy(f"x{k}") if a.is_Matrix else a for k, a in enumerate(args)]
    matrices = [a for a in args if a.is_Matrix]
    body = sp.Lambda(
        tuple(v for v, a in zip(variables, args, strict=True) if a.is_Matrix), function(*variables)
    )
    if len(matrices) == 1:
        return ElementwiseApplyFunction(body, matrices[0])
    return Entrywise(body, *matrices)


def _minus(a: Any) -> Any:
    return _scaled(sp.S.NegativeOne, a) if a.is_Matrix else -a


_MATRIX: dict[str, Build] = {
    "symbol": _leaf,
    "add": _matrix_sum,
    "mul": _matrix_product,
    "pow": _matrix_pow,
    "sub": lambda export, node, args: _matrix_sum(export, node, [args[0], _minus(args[1])]),
    "neg": lambda export, node, args: _minus(args[0]),
    "div": lambda export, node, args: _matrix_product(
        export, node, [args[0], sp.HadamardPower(args[1], -1) if args[1].is_Matrix else 1 / args[1]]
    ),
    "sqrt": lambda export, node, args: sp.HadamardPower(args[0], sp.Rational(1, 2)),
    "matmul": lambda export, node, args: _matmul(args),
    "sum": _line_sums,
    "inverse": lambda export, node, args: sp.Inverse(args[0]),
    "kronecker": lambda export, node, args: KroneckerProduct(*args),
    "broadcast": _broadcast,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "place": _dense,
    "reshape": _matrix_reshape,
    "eye": _eye,
    "diag": lambda export, node, args: DiagMatrix(args[0]),
    "diagonal": lambda export, node, args: DiagonalOf(args[0]),
    "user": _matrix_user,
    "user_formula": _matrix_user,
}
