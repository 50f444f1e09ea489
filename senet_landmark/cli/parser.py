"""From a function to a command: tyro derives the options, this module their names in the help.

It adds to tyro: the choices of an option come from a registry (`choices.py`); an optional option
shows the name of its value and no `None`; and the settings of a run have the same names on the
command line as in `config.json`.
"""

import contextlib
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
"""Largest length of the choices in the name of a value; longer ones follow the sentence."""

METAVARS = {str: "TEXT", Path: "PATH", int: "INT", float: "FLOAT"}
"""Type -> the name of its values in the help."""

_REQUIRED = object()
"""Marks an option without a default."""

_SECTIONS = {hint: name for name, hint in typing.get_type_hints(Config).items()}


@dataclass(frozen=True)
class Value:
    """For `Annotated`: the name of an option's value in the help, such as `DATASET=FOLDER`."""

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
      command: the function; its parameters are the options.
      name: name of the command on the command line.
      arguments: the arguments after the name.
      short: setting of `config.json`, such as `train.steps` -> a second name of its option.
      unused: settings that the command does not read; they are no options of it.

    Raises:
      SystemExit: with 0 after `--help`, with 2 after wrong arguments.
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


def write_script(
    commands: Mapping[str, Callable[..., Any]], arguments: Sequence[str], short: Mapping[str, str]
) -> None:
    """Lets tyro print what it prints of a whole program: the script of its tab completion.

    Args:
      commands: name of a command -> its function.
      arguments: those of tyro.
      short: as of `run_command`.
    """
    registry = ConstructorRegistry()
    registry.struct_rule(_settings_rule(short, frozenset()))
    with contextlib.suppress(SystemExit):
        tyro.extras.subcommand_cli_from_dict(
            {name: _with_value_names(command) for name, command in commands.items()},
            prog="senet-landmark",
            args=list(arguments),
            registry=registry,
            config=(tyro.conf.DisallowNone,),
        )


def _with_value_names(command: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of the function; its annotations hold what tyro shows in the help."""
    assert isinstance(command, types.FunctionType)
    copy = types.FunctionType(
        command.__code__, command.__globals__, command.__name__, command.__defaults__,
        command.__closure__,
    )  # fmt: skip
    copy.__kwdefaults__, copy.__doc__ = command.__kwdefaults__, _joined_lines(command.__doc__)
    count = command.__code__.co_argcount
    names = command.__code__.co_varnames[:count]
    values = command.__defaults__ or ()
    defaults = dict(zip(names[count - len(values) :], values, strict=True))
    hints = typing.get_type_hints(command, include_extras=True)
    copy.__annotations__ = {
        key: _option(hint, defaults.get(key, _REQUIRED)) if key in names else hint
        for key, hint in hints.items()
    }
    return copy


def _settings_rule(
    short: Mapping[str, str], unused: frozenset[str]
) -> Callable[[StructTypeInfo], StructConstructorSpec | None]:
    """tyro's rule for dataclasses: they are sections of `config.json`, or groups of options."""
    in_progress: set[Any] = set()

    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not dataclasses.is_dataclass(info.type) or info.type in in_progress:
            return None
        in_progress.add(info.type)  # the call below must reach tyro's own rule
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            in_progress.remove(info.type)
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
    """The annotation with the texts that tyro shows for the option.

    Args:
      hint: the annotation.
      default: the default value; None, `()` and an empty text are not shown, because the option's
        sentence says what happens without it.
      short: a second name of the option.
      names: choices to show, if the annotation does not have them.
    """
    plain = _plain(hint)
    value = _value_name(hint)
    if value is None:  # a group of options, or a flag
        return plain
    if names:
        value = value.replace(METAVARS[str], "NAME")
    names = names or _choices(hint)
    listed = f"One of {', '.join(names)}." if names else ""
    # After the sentence of a required option tyro shows no more text.
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
    """The annotation with the choices as a `Literal`, without the marks for this module."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner, *marks = arguments
        for mark in marks:
            if isinstance(mark, Choices):
                return Literal[tuple(mark.names())]
        others = tuple(mark for mark in marks if not isinstance(mark, Value))
        return functools.reduce(lambda whole, mark: Annotated[whole, mark], others, _plain(inner))
    if origin in (types.UnionType, typing.Union):
        return functools.reduce(operator.or_, map(_plain, arguments))
    if origin is tuple:
        plain = tuple(a if a is Ellipsis else _plain(a) for a in arguments)
        return types.GenericAlias(tuple, plain)
    return hint


def _value_name(hint: Any) -> str | None:
    """The name of a value of this type in the help; None: tyro names it."""
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
    """The values that an option takes, from a `Literal` or `Choices`; () if it takes any value."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    for argument in typing.get_args(hint):
        if isinstance(argument, Choices):
            return tuple(argument.names())
        if names := _choices(argument):
            return names
    return ()


def _joined_lines(docstring: str | None) -> str | None:
    """A docstring with one line for each parameter: the help must not keep our line breaks."""
    if docstring is None:
        return None
    text, args, parameters = inspect.cleandoc(docstring).partition("\nArgs:\n")
    return text + args + re.sub(r"\n {3,}(?=\S)", " ", parameters)


def _one_line(text: str | Callable[[], str | None] | None) -> str | None:
    """The sentence of a setting in one line; `config.py` may break it into several."""
    text = text() if callable(text) else text
    return text if text is None else " ".join(text.split())
