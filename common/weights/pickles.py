"""A machine for the few pickle instructions that plain data needs. It imports and calls nothing."""

import pickletools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

MOST_INSTRUCTIONS = 2**20
"""A checkpoint needs about forty for each tensor."""

# Instructions that push their own argument, a constant, or an empty container.
_ARGUMENTS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    )
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = frozenset({"PROTO", "FRAME"})
_STORE = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCH = frozenset({"GET", "BINGET", "LONG_BINGET"})

Known = Mapping[tuple[str, str], Any]


class Placeholder(dict[str, Any]):
    """Stands for a class of another library, or for an object of it: its attributes by name."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


class RefusedError(Exception):
    """What a pickle asks for beyond plain data, and what to do about it."""

    def __init__(self, reason: str):
        super().__init__(f"{reason}; convert it to safetensors on a machine where you trust it")


def unpickle(
    program: bytes,
    known: Known,
    persistent: Callable[[Any], Any],
    libraries: Sequence[str] = (),
) -> Any:
    """Run a pickle.

    Args:
      program: The pickle.
      known: What stands for the globals that it may name, by module and name. Values that can
        be called are called with the arguments that it gives.
      persistent: Gives the object that a persistent id stands for.
      libraries: Modules whose names may stand in it, and of those below them. A `Placeholder` is
        put for every class, function and object of theirs.

    Raises:
      RefusedError: It asks for anything else.
      Exception: Of any kind where it is damaged.
    """
    machine = _Machine(known, persistent, libraries)
    for number, (instruction, argument, _) in enumerate(pickletools.genops(program)):
        if number >= MOST_INSTRUCTIONS:
            raise RefusedError(f"has more than {MOST_INSTRUCTIONS} pickle instructions")
        machine.run(instruction.name, argument)
    return machine.result()


class _Machine:
    def __init__(self, known: Known, persistent: Callable[[Any], Any], libraries: Sequence[str]):
        self._known = known
        self._libraries = libraries
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        push = self._stack.append
        if name in _ARGUMENTS:
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _EMPTY:
            push(_EMPTY[name]())
        elif name in _SHORT_TUPLES:
            push(tuple(self._top(_SHORT_TUPLES[name])))
        elif name in _STORE:
            self._memo[int(argument)] = self._stack[-1]
        elif name in _FETCH:
            push(self._memo[int(argument)])
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _NOTHING:
            raise RefusedError(f"asks for the pickle instruction {name}, which no tensor needs")

    def result(self) -> Any:
        """Return what the pickle left."""
        (value,) = self._stack
        return value

    def _top(self, count: int) -> list[Any]:
        """Take `count` values off the stack."""
        start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise IndexError("the stack of the pickle is empty")
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _marked(self, _: Any = None) -> list[Any]:
        """Take the values above the last mark."""
        values = self._top(len(self._stack) - self._marks[-1])
        self._marks.pop()
        return values

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._named(module, name)

    def _stack_global(self, _: Any) -> None:
        self._named(*self._top(2))

    def _named(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("the name of a global is not text")
        if (module, name) in self._known:
            self._stack.append(self._known[module, name])
        elif any(f"{module}.".startswith(f"{library}.") for library in self._libraries):
            self._stack.append(Placeholder(f"{module}.{name}"))
        else:
            raise RefusedError(f"asks for {module:.60}.{name:.60}, which is not a tensor")

    def _reduce(self, _: Any) -> None:
        function, arguments = self._top(2)
        if isinstance(function, Placeholder):
            self._stack.append(Placeholder(function.name))
            return
        if not callable(function) or not isinstance(arguments, tuple):
            raise RefusedError("calls what is not a tensor")
        self._stack.append(function(*arguments))

    def _new(self, _: Any) -> None:
        kind, _ = self._top(2)
        if not isinstance(kind, Placeholder):
            raise RefusedError("asks for the pickle instruction NEWOBJ, which no tensor needs")
        self._stack.append(Placeholder(kind.name))

    def _build(self, _: Any) -> None:
        # State dicts carry the versions of their modules so; nothing here needs them.
        target, state = self._top(2)
        if not isinstance(target, dict):
            raise RefusedError("sets attributes of what is not a state dict")
        if isinstance(target, Placeholder) and isinstance(state, dict):
            target.update(as_dict(state.items()))
        self._stack.append(target)

    def _load(self, _: Any) -> None:
        self._stack.append(self._persistent(*self._top(1)))

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _set_items(self, items: list[Any]) -> None:
        target = self._container(dict)
        target.update(as_dict(zip(items[::2], items[1::2], strict=True)))

    def _append(self, items: list[Any]) -> None:
        self._container(list).extend(items)

    def _container(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"the pickle changes what is not a {kind.__name__}")
        return self._stack[-1]


def as_dict(pairs: Any) -> dict[Any, Any]:
    """Return pairs as a dict; nested keys could take for ever to compare.

    Raises:
      RefusedError: A key is neither text nor a number.
    """
    result = {}
    for key, value in pairs:
        if isinstance(key, Placeholder):  # Lightning names its callbacks so.
            key = key.name
        elif isinstance(key, np.ndarray):  # As do optimizers the moments of a weight.
            key = f"tensor {len(result)}"
        if not isinstance(key, str | int | float | bytes | None):
            raise RefusedError(f"has a key of the kind {type(key).__name__}")
        result[key] = value
    return result


_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "MARK": lambda self, _: self._marks.append(len(self._stack)),
    "STOP": lambda self, _: None,
    "TUPLE": lambda self, _: self._stack.append(tuple(self._marked())),
    "LIST": lambda self, _: self._stack.append(self._marked()),
    "APPEND": lambda self, _: self._append(self._top(1)),
    "APPENDS": lambda self, _: self._append(self._marked()),
    "SETITEM": lambda self, _: self._set_items(self._top(2)),
    "SETITEMS": lambda self, _: self._set_items(self._marked()),
    "MEMOIZE": _Machine._memoize,
    "GLOBAL": _Machine._global,
    "INST": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._new,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._load,
}
