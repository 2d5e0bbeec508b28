"""The sympy side of the operations: named functions of sympy expressions.

`named("relu", [x])` is `relu(x)`: a `sympy.Function` where the result is a scalar, a `MatrixExpr` with a
shape where it is a matrix. It is opaque: building it evaluates nothing and costs the same at any depth.
`.doit()` and `.rewrite(sp.Max)` give its formula in plain sympy, `.fdiff(k)` the local derivative of a scalar
function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import mpmath as mp
import sympy as sp
from sympy.core.function import ArgumentIndexError
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.tensor.array.expressions.arrayexpr_derivatives import array_derive

from symprop.errors import ShapeError, UnsupportedExpressionError
from symprop.functions.plain import ELEMENTARY_OF_SYMPY
from symprop.functions.structure import is_integer_symbol
from symprop.graph import OPERATIONS, Dim, Node, NodeTable, Shape, topological

__all__ = [
    "MatrixFunction",
    "NamedFunction",
    "ScalarFunction",
    "Static",
    "define_formula",
    "formula_of",
    "named",
    "printed_arguments",
    "shape_of",
]

Attrs = tuple[Hashable, ...]
Formula = Callable[..., sp.Basic]


class Static(sp.Atom):  # type: ignore[misc]
    """A static attribute among the arguments of a named function: a number, a text, None, or a tuple.

    It keeps sympy's rule that an expression is its function applied to its arguments.

    >>> Static("mean"), Static(None), Static("mean") == Static("mean")
    ('mean', None, True)
    """

    __slots__ = ("text", "value")
    value: Hashable
    text: str

    def __new__(cls, value: Hashable) -> Static:
        """The attribute `value`."""
        obj: Static = super().__new__(cls)
        obj.value, obj.text = value, _text(value)
        return obj

    def _hashable_content(self) -> tuple[str]:
        return (self.text,)

    def __getnewargs__(self) -> tuple[Hashable]:
        return (self.value,)

    def _sympystr(self, printer: Any) -> str:
        return printer._print(self.value) if isinstance(self.value, sp.Basic) else repr(self.value)

    _sympyrepr = _sympystr

    def _latex(self, printer: Any) -> str:
        if isinstance(self.value, sp.Basic):
            return str(printer._print(self.value))
        return rf"\text{{{self.value}}}".replace("_", r"\_")


def _text(value: Hashable) -> str:
    """A text that is equal for equal attributes and differs for 1, 1.0 and True."""
    if isinstance(value, sp.Basic):
        return str(sp.srepr(value))
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_text, value)) + ")"
    return repr(value)


class NamedFunction:
    """An operation applied to sympy expressions; either flavour has these attributes.

    `operation` is its name, `operands` are the expressions, `attrs` the static attributes of the node.
    """

    operation: str
    args: tuple[sp.Basic, ...]

    @property
    def operands(self) -> tuple[sp.Basic, ...]:
        """The arguments without the static attributes."""
        return tuple(a for a in self.args if not isinstance(a, Static))

    @property
    def attrs(self) -> Attrs:
        """The static attributes, as the node has them."""
        return tuple(a.value for a in self.args if isinstance(a, Static))

    # -- the formula ------------------------------------------------------------------------------

    def formula(self) -> sp.Basic:
        """The definition over plain sympy; the object itself where none is known."""
        return _formula(self, self.operands)

    def doit(self, **hints: Any) -> sp.Basic:
        """The definition over plain sympy, of the arguments too unless `deep=False`.

        sympy's matrix operators call `doit` on their operands; there the function stays as it is.
        """
        if not _asked_for_doit():
            return self
        operands = self.operands
        if hints.get("deep", True):
            operands = tuple(a.doit(**hints) for a in operands)
        return _formula(self, operands)

    def _eval_rewrite(self, rule: Any, args: Sequence[sp.Basic], **hints: Any) -> sp.Basic:
        result = _formula(self, [a for a in args if not isinstance(a, Static)])
        return result if isinstance(result, NamedFunction) else result.rewrite(rule)

    def sort_key(self, order: Any = None) -> Any:
        """sympy's key for sorting arguments; of a nest too deep for it, by operation and hash."""
        try:
            return super().sort_key(order)  # type: ignore[misc]
        except RecursionError:
            return (9, 0, self.operation), (1, (str(hash(self)),)), sp.S.One.sort_key(), sp.S.One

    # -- printing ---------------------------------------------------------------------------------

    def _shown(self) -> list[tuple[str, sp.Basic]]:
        """(prefix, argument) of what is printed: attributes and last operands at their default are not."""
        operands = self.operands
        scalars = not any(a.is_Matrix for a in operands)
        wide = any(a.is_Matrix and 1 not in a.shape for a in operands)
        count, attrs = printed_arguments(self.operation, operands, self.attrs, scalars, wide)
        prefixed = [(f"{name}=" if name else "", Static(value)) for name, value in attrs]
        return [*(("", a) for a in operands[:count]), *prefixed]

    def _sympystr(self, printer: Any) -> str:
        return f"{self.operation}({', '.join(prefix + printer._print(a) for prefix, a in self._shown())})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        shown = self._shown()
        args = [
            rf"\text{{{p}}}".replace("_", r"\_") + printer._print(a) if p else printer._print(a)
            for p, a in shown
        ]
        pattern = OPERATIONS[self.operation].latex if self.operation in OPERATIONS else ""
        if pattern and all("{" + str(k) + "}" in pattern for k in range(len(args))):
            text = pattern
            for k, arg in enumerate(args):
                text = text.replace("{" + str(k) + "}", arg)
        else:
            text = latex_name(self.operation) + rf"\left({', '.join(args)}\right)"
        return text if exp is None else rf"{{{text}}}^{{{exp}}}"

    def _pretty(self, printer: Any) -> Any:
        args = [sp.Symbol(f"{prefix}{a}") if prefix else a for prefix, a in self._shown()]
        return printer._helper_print_function(self.__class__, args, func_name=self.operation)

    def _code(self, printer: Any) -> str:
        if any(a.is_Matrix for a in self.operands) or self.operation not in _FORMULAS:
            raise UnsupportedExpressionError(
                f"sympy's code printers have no {self.operation} of matrices: use symprop.compile"
            )
        return str(printer._print(self.formula()))

    _numpycode = _scipycode = _pythoncode = _mpmathcode = _ccode = _cxxcode = _code

    # -- identity ---------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return named, (self.operation, self.operands, self.attrs)


class ScalarFunction(NamedFunction, sp.Function):  # type: ignore[misc]
    """A named function with a scalar result; its operands may be matrices."""

    is_commutative = True
    is_real = True
    _number: bool

    def __new__(cls, *args: Any, **options: Any) -> sp.Basic:
        """The function at these operands and `Static` attributes, as `named` makes it."""
        return _rebuild(cls.operation, args)

    @property
    def is_number(self) -> bool:
        """True where every operand is a number (as written: expressions are not searched)."""
        return self._number

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """The local derivative with respect to an operand, counted from 1, all operands being scalars."""
        operands = self.operands
        if not 1 <= argindex <= len(operands):
            raise ArgumentIndexError(self, argindex)
        return _local_derivative(self, operands, argindex - 1)

    def _eval_derivative(self, symbol: sp.Basic) -> sp.Expr:
        if any(a.is_Matrix for a in self.operands):
            raise UnsupportedExpressionError(
                f"{self.operation} has a matrix among its arguments: "
                f"sympy's derivative does not apply, use symprop.grad(expression, {symbol})"
            )
        terms = []
        for k, operand in enumerate(self.operands):
            inner = sp.Derivative(operand, symbol, evaluate=True)
            if inner != 0:
                terms.append(self.fdiff(k + 1) * inner)
        return sp.Add(*terms)

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        operands = [
            a._eval_evalf(prec) if not a.is_Number else a for a in self.operands if isinstance(a, sp.Expr)
        ]
        exact = OPERATIONS[self.operation].exact
        if exact is None or not OPERATIONS[self.operation].elementwise:
            formula = self.doit()
            return None if formula is self else formula.evalf(sp.Float("1", precision=prec)._prec * 0.301)
        if not all(a is not None and (a.is_Number or a is sp.nan) for a in operands):
            return None
        with mp.workprec(prec + 5):
            value = exact(self.attrs, *[a._to_mpmath(prec + 5) for a in operands])
            return (
                sp.Float._new(mp.mpf(value)._mpf_, prec) if mp.isfinite(value) else sp.sympify(float(value))
            )


class MatrixFunction(NamedFunction, sp.MatrixExpr):  # type: ignore[misc]
    """A named function with a matrix result."""

    _shape: tuple[sp.Expr, sp.Expr]

    def __new__(cls, *args: Any, **options: Any) -> sp.Basic:
        """The function at these operands and `Static` attributes, as `named` makes it."""
        return _rebuild(cls.operation, args)

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        """(rows, columns), from the shape rule of the operation."""
        return self._shape

    def _entry(self, i: Any, j: Any, **hints: Any) -> sp.Expr:
        return MatrixElement(self, i, j)  # kept whole: the entries of the operands stay unexpanded

    def _eval_derivative(self, symbol: sp.Basic) -> sp.Basic:
        raise UnsupportedExpressionError(
            f"sympy's derivative does not apply to the matrix function {self.operation}: use symprop.jacobian"
        )


def _no_array_derivative(function: Any, symbol: Any) -> Any:
    """Without this rule sympy takes the derivative with respect to a matrix to be zero."""
    raise UnsupportedExpressionError(
        f"sympy's derivative does not apply to {function.operation}: use symprop.grad(expression, {symbol})"
    )


array_derive.register(ScalarFunction)(_no_array_derivative)
array_derive.register(MatrixFunction)(_no_array_derivative)

# -- making them ---------------------------------------------------------------------------------


def named(op_name: str, operands: Iterable[Any], attrs: Attrs = ()) -> sp.Basic:
    """The sympy object of an operation: a `ScalarFunction`, or a `MatrixFunction` if the result is a matrix.

    Raises `ShapeError` if the operands do not fit, `UnsupportedExpressionError` if one is no expression.

    >>> x = sp.MatrixSymbol("x", 3, 1)
    >>> named("tanh", [2 * x]), named("tanh", [2 * x]).shape, named("tanh", [sp.Symbol("a")])
    (tanh(2*x), (3, 1), tanh(a))
    """
    given = tuple(expression(a, op_name) for a in operands)
    declared = OPERATIONS[op_name]
    try:
        shape, kind = declared.infer([_stand_in(a) for a in given], attrs)
    except ShapeError as error:
        raise ShapeError(f"{error}; in {op_name} of {', '.join(describe(a) for a in given)}") from None
    if kind == "boolean" or len(shape) not in (0, 2):
        raise UnsupportedExpressionError(f"{op_name} of these operands is neither a scalar nor a matrix")
    made = sp.Expr.__new__(_class(op_name, bool(shape)), *given, *map(Static, attrs))
    if shape:
        made._shape = tuple(sp.sympify(d) for d in shape)
    else:
        made._number = all(a.is_Number or getattr(a, "_number", False) for a in given)
    with suppress(RecursionError):
        hash(made)  # of one level, as the operands have theirs: later no hash recurses into the depth
    return made


def _asked_for_doit() -> bool:
    """Whether the caller's caller wants definitions: false inside `A*B`, `A + B`, `trace(A)` ... of sympy.

    These build their result with a deep `doit`, which would replace every named function in a network by its
    formula. The outermost of sympy's frames tells what was called from outside: `doit`, and not with
    `deep=False`, or something else.
    """
    outermost, frame = None, sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("sympy."):
        outermost, frame = frame, frame.f_back  # type: ignore[assignment]
    if outermost is None:
        return True
    hints = outermost.f_locals.get("hints", {})
    return outermost.f_code.co_name == "doit" and bool(hints.get("deep", True))


def _rebuild(op_name: str, args: Sequence[Any]) -> sp.Basic:
    return named(
        op_name,
        [a for a in args if not isinstance(a, Static)],
        tuple(a.value for a in args if isinstance(a, Static)),
    )


@cache
def _class(op_name: str, matrix: bool) -> Any:
    """The class of an operation, one per flavour; pickle finds it by its qualified name (`__getattr__`)."""
    base = MatrixFunction if matrix else ScalarFunction
    body = {
        "operation": op_name,
        "__module__": __name__,
        "__qualname__": f"{'matrix' if matrix else 'scalar'}_{op_name}",
        "__doc__": OPERATIONS[op_name].summary or None,
    }
    metaclass: Any = type(base)
    return metaclass(op_name, (base,), body)


def __getattr__(name: str) -> Any:
    flavour, _, op_name = name.partition("_")
    if flavour in ("matrix", "scalar") and op_name in OPERATIONS:
        return _class(op_name, flavour == "matrix")
    raise AttributeError(f"module {__name__} has no attribute {name}")


def expression(value: Any, where: str = "symprop.nn") -> sp.Basic:
    """The immutable sympy expression of an operand: an expression, an explicit matrix, or a number."""
    if isinstance(value, sp.MatrixBase):
        return value.as_immutable()
    try:
        result = sp.sympify(value, strict=True)
    except (sp.SympifyError, TypeError, ValueError):
        result = None
    if not isinstance(result, sp.Expr | sp.MatrixBase):
        raise UnsupportedExpressionError(
            f"{where} takes sympy expressions, matrices and numbers, found {type(value).__name__}: "
            f"{str(value)[:60]!r}"
        )
    return result


def shape_of(value: Any) -> Shape:
    """The shape of a node of that expression: () of a scalar, (rows, columns) of a matrix."""
    if not getattr(value, "is_Matrix", False):
        return ()
    return tuple(_dimension(d) for d in value.shape)


def _dimension(size: Any) -> Dim:
    return int(size) if isinstance(size, int) or size.is_Integer else size


def _stand_in(operand: Any) -> Node:
    """A node outside any table that has the shape and kind of an expression, for the shape rules."""
    node = Node()
    node.args, node.serial, node.shape = (), -1, shape_of(operand)
    if isinstance(operand, sp.Number):
        node.op, node.attrs, node.kind = "constant", (operand,), "real"
    else:
        node.op, node.attrs = "symbol", (operand,)
        node.kind = "integer" if _is_index(operand) else "real"
    return node


def _is_index(operand: Any) -> bool:
    """True for an integer symbol, and for short sums and products of such symbols and whole numbers."""
    todo, seen = [operand], 0
    while todo:
        part = todo.pop()
        seen += 1
        if part.is_Add or part.is_Mul:
            todo.extend(part.args)
        elif not (part.is_Integer or (part.is_Symbol and is_integer_symbol(part))) or seen > 50:
            return False
    return not operand.is_Integer


def describe(operand: Any) -> str:
    """A short text for messages: the name or the kind of an expression, and its shape."""
    name = str(operand) if not operand.args or operand.is_Number else ""
    if not name and isinstance(operand, sp.MatrixSymbol):
        name = operand.name
    if not name:
        name = f"an expression {getattr(operand, 'operation', type(operand).__name__)}(...)"
    shape = shape_of(operand)
    return f"{name} of shape ({', '.join(map(str, shape))})" if shape else f"the scalar {name}"


# -- what is printed and given as a formula ------------------------------------------------------

_UNSET = object()


@dataclass(frozen=True)
class _Style:
    """How an operation is printed: values of last operands, and (name, default) of each attribute."""

    operands: Mapping[int, tuple[sp.Basic, ...]] = field(default_factory=dict)
    attrs: tuple[tuple[str, Hashable], ...] = ()


_FORMULAS: dict[str, Formula] = {}
_STYLES: dict[str, _Style] = {}


def define_formula(
    op_name: str,
    formula: Formula | None,
    defaults: Mapping[int, Any] | None = None,
    attrs: Sequence[tuple[str, Hashable]] = (),
) -> None:
    """Declare the formula of an operation over plain sympy, and what of its arguments is not printed.

    `formula(*operands, *attrs)` takes scalars for an elementwise operation (of matrices it acts entry by
    entry) and the operands themselves for any other. `defaults` maps the position of an operand to the number
    that need not be shown when nothing after it is; `attrs` names the attributes, with their defaults.
    """
    if formula is not None:
        _FORMULAS[op_name] = formula
    if defaults or attrs:
        hidden = {k: (sp.sympify(v), sp.Float(float(v))) for k, v in (defaults or {}).items()}
        _STYLES[op_name] = _Style(hidden, tuple(attrs))


def formula_of(op_name: str) -> Formula:
    """The formula of an operation over plain sympy."""
    return _FORMULAS[op_name]


def printed_arguments(
    op_name: str, operands: Sequence[sp.Basic | None], attrs: Attrs, scalars: bool, wide: bool = False
) -> tuple[int, list[tuple[str, Hashable]]]:
    """What of the arguments of an operation is printed: how many operands, and (name, value) of attributes.

    Those at their defaults are left out, the last operands (numbers; None stands for any expression) where no
    attribute follows; of `scalars` every reduction is the same. Of a `wide` matrix, of several rows and
    columns, a reduction over all entries is written as such.
    """
    style = _STYLES.get(op_name, _Style())
    shown: list[tuple[str, Hashable]] = []
    for k, value in enumerate(attrs):
        name, default = style.attrs[k] if k < len(style.attrs) else ("", _UNSET)
        if wide and name == "dim" and value is None:
            shown.append((name, (0, 1)))
        elif value != default and not (scalars and name == "reduction"):
            shown.append((name, value))
    count = len(operands)
    while not shown and count > 1 and operands[count - 1] in style.operands.get(count - 1, ()):
        count -= 1
    return count, shown


def _formula(function: NamedFunction, operands: Sequence[Any]) -> Any:
    """The formula of a named function at other operands."""
    op_name, attrs = function.operation, function.attrs
    formula = _FORMULAS.get(op_name)
    if formula is None:
        same = all(a is b for a, b in zip(operands, function.operands, strict=True))
        return function if same else named(op_name, operands, attrs)
    matrices = [k for k, a in enumerate(operands) if a.is_Matrix]
    if not matrices or not OPERATIONS[op_name].elementwise:
        return formula(*operands, *attrs)
    return entrywise(lambda *values: formula(*values, *attrs), operands)


def entrywise(function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """A scalar formula of scalars and matrices of one shape, entry by entry."""
    matrices = [k for k, a in enumerate(operands) if a.is_Matrix]
    first = operands[matrices[0]]
    if len(matrices) == 1:
        entry = sp.Dummy("x")
        body = function(*[entry if a.is_Matrix else a for a in operands])
        return first.applyfunc(sp.Lambda(entry, body))

    def at(i: Any, j: Any) -> Any:
        return function(*[a[i, j] if a.is_Matrix else a for a in operands])

    rows, columns = shape_of(first)
    if isinstance(rows, int) and isinstance(columns, int):
        return sp.ImmutableDenseMatrix(rows, columns, lambda i, j: at(i, j))
    i, j = sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
    return sp.FunctionMatrix(rows, columns, sp.Lambda((i, j), at(i, j)))


def latex_name(op_name: str) -> str:
    """The name of an operation as a LaTeX operator."""
    if op_name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"):
        return f"\\{op_name}"
    return rf"\operatorname{{{op_name}}}".replace("_", r"\_")


# -- plain sympy for scalars ---------------------------------------------------------------------

PLAIN: dict[str, Callable[..., Any]] = {
    "add": sp.Add,
    "mul": sp.Mul,
    "pow": sp.Pow,
    "less": sp.StrictLessThan,
    "less_equal": sp.LessThan,
    "equal": sp.Eq,
    "not_equal": sp.Ne,
    "and": sp.And,
    "or": sp.Or,
    "not": sp.Not,
    "select": lambda c, a, b: sp.Piecewise((a, c), (b, True)),
    **ELEMENTARY_OF_SYMPY,
    "expm1": lambda x: sp.exp(x) - 1,
    "log1p": lambda x: sp.log(1 + x),
    "cbrt": lambda x: sp.sign(x) * sp.cbrt(sp.Abs(x)),
}
for _name, _plain in PLAIN.items():
    if (
        _name not in ("add", "mul", "pow", "select", "and", "or", "not")
        and "equal" not in _name
        and _name != "less"
    ):
        define_formula(_name, _plain)


def scalar_expression(root: Node, names: Mapping[int, sp.Basic]) -> sp.Basic:
    """The sympy expression of a scalar node; `names` gives (by serial number) what stands for the leaves."""
    done: dict[int, sp.Basic] = {}
    for node in topological([root]):
        if node.serial in names:
            done[node.serial] = names[node.serial]
            continue
        args = [done[a.serial] for a in node.args]
        if node.op in ("constant", "symbol"):
            done[node.serial] = node.attrs[0]
        elif node.op in PLAIN:
            done[node.serial] = PLAIN[node.op](*args)
        else:
            done[node.serial] = named(node.op, args, node.attrs)
    return done[root.serial]


def _local_derivative(function: NamedFunction, operands: Sequence[Any], position: int) -> Any:
    """The partial derivative of a scalar function of scalars, as its operation declares it."""
    declared = OPERATIONS[function.operation]
    if any(a.is_Matrix for a in operands) or declared.partials is None:
        raise UnsupportedExpressionError(
            f"{function.operation} has no local derivative as a scalar function: use symprop.grad"
        )
    table = NodeTable()
    inputs = [table.symbol(sp.Dummy(f"a{k}")) for k in range(len(operands))]
    node = table.make(function.operation, inputs, function.attrs)
    partial = declared.partials(table, node)[position]
    if partial is None:
        return sp.S.Zero
    names: dict[int, Any] = {a.serial: operand for a, operand in zip(inputs, operands, strict=True)}
    names[node.serial] = function
    return scalar_expression(partial, names)
