"""From a function to a command: tyro derives the options; here they get their names in the help.

Beside what tyro does: the choices of an option come from a registry (`choices.py`), an option that
may be left out shows the name of its value and no `None`, and the settings of a run are called on
the command line as they are in `config.json`.
"""

import dataclasses
import functools
import inspect
import operator
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

from senet_landmark.cli.choices import SETTINGS, Choices
from senet_landmark.config import Config

_SHORT_LIST = 24
"""Characters of choices that the name of a value shows; a longer list follows the sentence."""

METAVARS = {str: "TEXT", Path: "PATH", int: "INT", float: "FLOAT"}
"""Type -> what the help calls a value of it."""

_REQUIRED = object()
"""Default of an option that has none."""

_SECTIONS = {hint: name for name, hint in typing.get_type_hints(Config).items()}


@dataclass(frozen=True)
class Value:
    """In `Annotated`: what the help calls an option's value, as `DATASET=FOLDER`."""

    name: str


def run_command(
    command: Callable[..., Any],
    name: str,
    arguments: Sequence[str],
    short: Mapping[str, str] | None = None,
    unused: Sequence[str] = (),
) -> None:
    """Parses the arguments of one command and runs it.

    Args:
      command: its options are its parameters.
      name: of the command, as it is typed.
      arguments: what follows the name.
      short: setting of `config.json`, as `train.steps` -> a second name of its option.
      unused: settings that the command does not read, and so does not take.

    Raises:
      SystemExit: after `--help`, with 0; after wrong arguments, with 2.
    """
    registry = ConstructorRegistry()
    registry.struct_rule(_settings_rule(short or {}, frozenset(unused)))
    tyro.cli(
        _with_value_names(command),
        prog=f"senet-landmark {name}",
        args=list(arguments),
        registry=registry,
        config=(tyro.conf.DisallowNone,),
    )


def _with_value_names(command: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of the function whose annotations say what tyro shows."""
    assert isinstance(command, types.FunctionType)
    copy = types.FunctionType(
        command.__code__, command.__globals__, command.__name__, command.__defaults__,
        command.__closure__,
    )  # fmt: skip
    copy.__kwdefaults__, copy.__doc__ = command.__kwdefaults__, _joined_lines(command.__doc__)
    count = command.__code__.co_argcount
    names = command.__code__.co_varnames[:count]
    given = command.__defaults__ or ()
    defaults = dict(zip(names[count - len(given) :], given, strict=True))
    hints = typing.get_type_hints(command, include_extras=True)
    copy.__annotations__ = {
        key: _option(hint, defaults.get(key, _REQUIRED)) if key in names else hint
        for key, hint in hints.items()
    }
    return copy


def _settings_rule(
    short: Mapping[str, str], unused: frozenset[str]
) -> Callable[[StructTypeInfo], StructConstructorSpec | None]:
    """The rule for dataclasses, which are sections of `config.json` or groups of options."""
    at_work: set[Any] = set()

    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not dataclasses.is_dataclass(info.type) or info.type in at_work:
            return None
        at_work.add(info.type)  # tyro's own rule is asked below
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            at_work.remove(info.type)
        if not isinstance(spec, StructConstructorSpec):
            return None
        section = _SECTIONS.get(info.type, "")
        fields = []
        for field in spec.fields:
            setting = f"{section}.{field.name}"
            names = tuple(SETTINGS[setting].names()) if setting in SETTINGS else ()
            hint = _option(field.type, field.default, short.get(setting), names)
            if setting in unused:
                hint = Annotated[hint, tyro.conf.Suppress]
            text = functools.partial(_one_line, field.helptext)
            fields.append(dataclasses.replace(field, type=hint, helptext=text))
        return dataclasses.replace(spec, fields=tuple(fields))

    return rule


def _option(hint: Any, default: Any, short: str | None = None, names: Sequence[str] = ()) -> Any:
    """The annotation with what tyro needs to show the option well.

    Args:
      hint: the annotation.
      default: None, `()` and an empty text are not shown: the option's sentence says what is done
        without it.
      short: a second name of the option.
      names: values to show, where the annotation does not have them.
    """
    plain = _plain(hint)
    value = _value_name(hint)
    if value is None:  # a group of options, or a switch
        return plain
    if names:
        value = "NAME"
    names = names or _choices(hint)
    listed = f"One of {', '.join(names)}." if names else ""
    # After a sentence of an option that must be given, tyro has room for no more.
    if names and (default is _REQUIRED or len(",".join(names)) <= _SHORT_LIST):
        listed, value = "", value.replace("NAME", "{" + ",".join(names) + "}")

    def hint_text(shown: str) -> str:
        shown = "" if default in (_REQUIRED, None, (), "") else f"(default: {shown})"
        return f"{listed} {shown}".strip()

    aliases = (short,) if short else None
    return Annotated[
        plain, tyro.conf.arg(metavar=value, help_behavior_hint=hint_text, aliases=aliases)
    ]


def _plain(hint: Any) -> Any:
    """The annotation with the choices as a `Literal`, without what only this module reads."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner, *marks = arguments
        for mark in marks:
            if isinstance(mark, Choices):
                return Literal[tuple(mark.names())]
        kept = tuple(mark for mark in marks if not isinstance(mark, Value))
        return functools.reduce(lambda whole, mark: Annotated[whole, mark], kept, _plain(inner))
    if origin in (types.UnionType, typing.Union):
        return functools.reduce(operator.or_, map(_plain, arguments))
    if origin is tuple:
        plain = tuple(a if a is Ellipsis else _plain(a) for a in arguments)
        return types.GenericAlias(tuple, plain)
    return hint


def _value_name(hint: Any) -> str | None:
    """What the help calls a value of this type; None: tyro names it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        for mark in arguments[1:]:
            if isinstance(mark, Value):
                return mark.name
            if isinstance(mark, Choices):
                return "NAME"
        return _value_name(arguments[0])
    if origin is Literal:
        return "NAME"
    if origin in (types.UnionType, typing.Union):
        return _value_name(next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        names = [_value_name(a) or "" for a in arguments if a is not Ellipsis]
        return f"{names[0]} [{names[0]} ...]" if Ellipsis in arguments else " ".join(names)
    return METAVARS.get(hint)


def _choices(hint: Any) -> tuple[str, ...]:
    """The values that an option takes, of a `Literal` or of `Choices`; () where any will do."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    for argument in typing.get_args(hint):
        if isinstance(argument, Choices):
            return tuple(argument.names())
        if found := _choices(argument):
            return found
    return ()


def _joined_lines(docstring: str | None) -> str | None:
    """A docstring whose parameters have a line each, so that the help breaks none where we did."""
    if docstring is None:
        return None
    text, args, parameters = inspect.cleandoc(docstring).partition("\nArgs:\n")
    return text + args + re.sub(r"\n {3,}(?=\S)", " ", parameters)


def _one_line(text: str | Callable[[], str | None] | None) -> str | None:
    """The sentence of a setting as it stands in `config.py`, which may break it."""
    text = text() if callable(text) else text
    return text if text is None else " ".join(text.split())
