"""Options in groups: a command that takes a dataclass has each of its fields as an option.

Commands that share options then share a class that also knows what they come to. Where the class
has a ``panel``, its options stand under that heading in the help.
"""

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_type_hints

from typer.models import OptionInfo


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose parameters of dataclass types are replaced by their fields."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)
    }
    found: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            found += _parameters(groups[name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY  # as the fields are, so that both may alternate
            found.append(parameter.replace(annotation=hints[name], kind=kind))

    @functools.wraps(command)
    def ungrouped(**options: Any) -> None:
        values: dict[str, Any] = {
            name: kind(**{one.name: options.pop(one.name) for one in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        command(**options, **values)

    del ungrouped.__dict__["__wrapped__"]  # else the signature would be looked for there
    ungrouped.__dict__["__signature__"] = inspect.Signature(found)
    ungrouped.__annotations__ = {one.name: one.annotation for one in found}
    return ungrouped


def _parameters(kind: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    panel = getattr(kind, "panel", None)
    for one in dataclasses.fields(kind):
        yield inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(one),
            annotation=_under(panel, hints[one.name]),
        )


def _under(panel: str | None, hint: Any) -> Any:
    """Put an option under a heading; arguments have one of their own."""
    infos = [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, OptionInfo)]
    if not infos:
        return hint
    info = copy.copy(infos[0])  # several commands may share it
    info.rich_help_panel = info.rich_help_panel or panel
    if hint.__origin__ is bool and info.metavar is None:
        info.metavar = ""  # a flag takes no value, so that there is no type to name
    return Annotated[hint.__origin__, info]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
