"""Loss functions as short expressions: written, read, compiled, enumerated, checked and named."""

from dglmeta.tasks.expression.compiled import (
    OPERATORS,
    TERMINALS,
    Expression,
    compile_expressions,
    expression_loss,
    expression_values,
)
from dglmeta.tasks.expression.form import canonical
from dglmeta.tasks.expression.grammar import LossGrammar
from dglmeta.tasks.expression.many_losses import ManyLosses
from dglmeta.tasks.expression.named import NAMED_LOSSES, PUBLISHED_FOR, named_loss
from dglmeta.tasks.expression.parse import parse_expression

__all__ = [
    "NAMED_LOSSES",
    "OPERATORS",
    "PUBLISHED_FOR",
    "TERMINALS",
    "Expression",
    "LossGrammar",
    "ManyLosses",
    "canonical",
    "compile_expressions",
    "expression_loss",
    "expression_values",
    "named_loss",
    "parse_expression",
]
