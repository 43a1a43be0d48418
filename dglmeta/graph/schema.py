"""Node and edge types of a heterogeneous graph, and the meta-paths that run over them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from dglmeta.errors import SchemaError

__all__ = ["EdgeType", "MetaPath", "Schema", "Step"]

EdgeType = tuple[str, str, str]
"""A canonical edge type ``(source node type, relation, destination node type)``."""


@dataclass(frozen=True)
class Schema:
    """The node types and canonical edge types of a heterograph, in a fixed order.

    Parameters
    ----------
    node_types : tuple of str
        Distinct, non-empty names. Their order fixes the order of homogeneous node ids.
    edge_types : tuple of (str, str, str)
        Distinct triples ``(source type, relation, destination type)``.

    Raises
    ------
    SchemaError
        If a name is repeated or empty, or an edge type names an unknown node type.

    Examples
    --------
    >>> schema = Schema(("user", "item"), (("user", "rated", "item"),))
    >>> schema.between("item", "user")
    (Step(edge_type=('user', 'rated', 'item'), forward=False),)
    """

    node_types: tuple[str, ...]
    edge_types: tuple[EdgeType, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "node_types", tuple(self.node_types))
        object.__setattr__(self, "edge_types", tuple(_triple(e) for e in self.edge_types))
        for name in (*self.node_types, *(n for triple in self.edge_types for n in triple)):
            if not isinstance(name, str) or not name:
                raise SchemaError(
                    f"Schema: expected names to be text that is not empty, got {name!r}. Rename it."
                )
        for what, names in (("node type", self.node_types), ("edge type", self.edge_types)):
            repeated = [n for n, times in Counter(names).items() if times > 1]
            if repeated:
                raise SchemaError(
                    f"Schema: expected distinct {what}s, got {repeated} more than once. "
                    f"Give each {what} once."
                )
        for triple in self.edge_types:
            for name in (triple[0], triple[2]):
                if name not in self.node_types:
                    raise SchemaError(
                        f"Schema: edge type {triple} names node type {name!r}, which is not among "
                        f"{list(self.node_types)}. Add it to node_types."
                    )

    def between(self, source: str, target: str) -> tuple[Step, ...]:
        """Every single step from node type ``source`` to ``target``, along or against an edge."""
        along = [Step(e, True) for e in self.edge_types if (e[0], e[2]) == (source, target)]
        against = [Step(e, False) for e in self.edge_types if (e[2], e[0]) == (source, target)]
        return tuple(along + against)

    def edge_type(self, name: str | EdgeType) -> EdgeType:
        """The canonical triple meant by ``name``: a triple, or a relation name that is unique.

        Raises
        ------
        SchemaError
            If there is no such edge type, or the relation name belongs to several.
        """
        if isinstance(name, str):
            found = [e for e in self.edge_types if e[1] == name]
        else:
            found = [e for e in self.edge_types if e == tuple(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise SchemaError(
                f"Schema: relation {name!r} is ambiguous, it occurs as {found}. Give the triple."
            )
        raise SchemaError(f"Schema: no edge type {name!r}. There are: {_listing(self.edge_types)}.")


class Step(NamedTuple):
    """One hop of a meta-path: an edge type, walked along (``forward``) or against its direction."""

    edge_type: EdgeType
    forward: bool = True

    @property
    def source(self) -> str:
        """Node type the hop starts from."""
        return self.edge_type[0] if self.forward else self.edge_type[2]

    @property
    def target(self) -> str:
        """Node type the hop arrives at."""
        return self.edge_type[2] if self.forward else self.edge_type[0]

    @property
    def text(self) -> str:
        """The relation as a meta-path writes it: ``~`` in front where it is walked against."""
        return self.edge_type[1] if self.forward else f"~{self.edge_type[1]}"

    def reversed(self) -> Step:
        """The same edge type walked the other way."""
        return Step(self.edge_type, not self.forward)


@dataclass(frozen=True)
class MetaPath:
    """A composition of relations, each walked along or against its direction.

    The text form is ``user-item-user`` where one edge type joins the two node types, or
    ``user-[rated]-item-[~rated]-user`` with relations named; ``~`` walks against the edge.

    Parameters
    ----------
    steps : tuple of Step
        At least one; each starts at the node type where the one before arrives.

    Raises
    ------
    SchemaError
        If there is no step, or two neighbouring steps do not meet.

    Examples
    --------
    >>> schema = Schema(("user", "item"), (("user", "rated", "item"),))
    >>> path = MetaPath.parse("user-item-user", schema)
    >>> str(path)
    'user-[rated]-item-[~rated]-user'
    >>> path.reverse() == path, path.node_types
    (True, ('user', 'item', 'user'))
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        steps = tuple(Step((s[0][0], s[0][1], s[0][2]), bool(s[1])) for s in self.steps)
        object.__setattr__(self, "steps", steps)
        if not steps:
            raise SchemaError("MetaPath: expected at least one step, got none. Name two types.")
        for here, there in zip(steps, steps[1:], strict=False):
            if here.target != there.source:
                raise SchemaError(
                    f"MetaPath: step {here} arrives at {here.target!r} but the next, {there}, "
                    f"starts at {there.source!r}. Neighbouring steps must share a node type."
                )

    @classmethod
    def parse(cls, text: str, schema: Schema) -> MetaPath:
        """Read the text form against a schema.

        Raises
        ------
        SchemaError
            If a node type or relation is unknown, runs the other way, or is ambiguous; the
            message lists what exists.
        """
        nodes, relations = _tokenise(text, schema)
        return cls(
            tuple(
                _resolve(text, schema, nodes[k], relation, nodes[k + 1])
                for k, relation in enumerate(relations)
            )
        )

    @classmethod
    def enumerate(
        cls,
        schema: Schema,
        max_length: int,
        *,
        source: str | None = None,
        target: str | None = None,
    ) -> Iterator[MetaPath]:
        """Every meta-path of at most ``max_length`` steps, shortest first.

        Parameters
        ----------
        schema : Schema
        max_length : int
            Longest number of steps, >= 1.
        source, target : str, optional
            Keep only paths that start or end at this node type.

        Raises
        ------
        SchemaError
            If ``source`` or ``target`` is not a node type of the schema.
        """
        for name in (source, target):
            if name is not None and name not in schema.node_types:
                raise _unknown_node_type(str(name), schema)
        starts = [source] if source is not None else list(schema.node_types)
        hops = {
            t: [s for other in schema.node_types for s in schema.between(t, other)]
            for t in schema.node_types
        }
        level: list[tuple[Step, ...]] = [(s,) for t in starts for s in hops[t]]
        for _ in range(max_length):
            yield from (cls(p) for p in level if target is None or p[-1].target == target)
            level = [(*p, s) for p in level for s in hops[p[-1].target]]

    @property
    def source(self) -> str:
        """Node type the path starts from."""
        return self.steps[0].source

    @property
    def target(self) -> str:
        """Node type the path ends at."""
        return self.steps[-1].target

    @property
    def node_types(self) -> tuple[str, ...]:
        """Node types visited, one more than there are steps."""
        return (self.source, *(s.target for s in self.steps))

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the path reads the same backwards, so that its product is symmetric."""
        return self.reverse() == self

    def reverse(self) -> MetaPath:
        """The path walked from its end to its start."""
        return MetaPath(tuple(s.reversed() for s in reversed(self.steps)))

    def validate(self, schema: Schema) -> MetaPath:
        """Return the path itself if every edge type it uses is in ``schema``.

        Raises
        ------
        SchemaError
            Naming the first edge type that is missing.
        """
        for step in self.steps:
            schema.edge_type(step.edge_type)
        return self

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return self.source + "".join(f"-[{step.text}]-{step.target}" for step in self.steps)


def _tokenise(text: str, schema: Schema) -> tuple[list[str], list[str | None]]:
    """Split a text form into node types and the relations written between them."""
    # Longest names first, so that a type that is a prefix of another does not win.
    names = "|".join(re.escape(n) for n in sorted(schema.node_types, key=len, reverse=True))
    node = re.compile(rf"({names})(?=-|$)")
    hop = re.compile(r"-(?:\[(.+?)\]-|(?!\[))")
    nodes: list[str] = []
    relations: list[str | None] = []
    at = 0
    while True:
        match = node.match(text, at)
        if match is None:
            rest = re.split(r"-(?=\[|\w)|$", text[at:])[0]
            raise _unknown_node_type(rest, schema, where=f"MetaPath({text!r})")
        nodes.append(match[1])
        at = match.end()
        if at == len(text):
            break
        between = hop.match(text, at)
        if between is None or between.end() == len(text):
            raise SchemaError(
                f"MetaPath({text!r}): expected '-type' or '-[relation]-type' after {text[:at]!r}, "
                f"got {text[at:]!r}. Write for example {_example(schema)!r}."
            )
        relations.append(between[1])
        at = between.end()
    if not relations:
        raise SchemaError(
            f"MetaPath({text!r}): expected at least two node types, got one. "
            f"Write for example {_example(schema)!r}."
        )
    return nodes, relations


def _resolve(text: str, schema: Schema, source: str, relation: str | None, target: str) -> Step:
    """The one step between two node types that ``relation`` (or its absence) means."""
    candidates = schema.between(source, target)
    if relation is not None:
        found = [s for s in candidates if s.text == relation]
    elif source == target:
        found = [s for s in candidates if s.forward]
    else:
        found = list(candidates)
    if len(found) == 1:
        return found[0]
    here = f"MetaPath({text!r})"
    if found:
        choices = _listing(f"{source}-[{s.text}]-{target}" for s in found)
        raise SchemaError(
            f"{here}: {source}-{target} is ambiguous, {len(found)} edge types join them. "
            f"Name one: {choices}."
        )
    if relation is None:
        raise SchemaError(
            f"{here}: no edge type joins {source!r} and {target!r}. "
            f"There are: {_listing(schema.edge_types)}."
        )
    missing = f"{here}: no edge type {(source, relation.removeprefix('~'), target)}."
    for step in candidates:
        if step.reversed().text == relation:
            start, name, end = step.edge_type
            raise SchemaError(
                f"{missing} {name!r} runs from {start} to {end}; write {step.text!r}."
            )
    raise SchemaError(f"{missing} There are: {_listing(schema.edge_types)}.")


def _triple(edge_type: EdgeType) -> EdgeType:
    if isinstance(edge_type, str) or len(edge_type) != 3:
        raise SchemaError(
            f"Schema: expected edge types as (source type, relation, destination type), got "
            f"{edge_type!r}. Give all three."
        )
    source, relation, target = edge_type
    return source, relation, target


def _unknown_node_type(name: str, schema: Schema, where: str = "MetaPath") -> SchemaError:
    return SchemaError(
        f"{where}: unknown node type {name!r}. There are: {_listing(schema.node_types)}."
    )


def _listing(names: Iterable[object], most: int = 12) -> str:
    """Up to ``most`` names, and how many more there are."""
    items = [str(n) for n in names]
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _example(schema: Schema) -> str:
    for s, r, d in schema.edge_types:
        return f"{s}-[{r}]-{d}"
    return "source-[relation]-target"
