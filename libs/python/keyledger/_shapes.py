"""Checks at run time that a value of JSON has the shape that its type describes."""

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

Check = Callable[[object], bool]


def conforms(value: object, shape: Any) -> bool:
    """Fields that the shape does not know are no mistake: the server may be a later version."""
    return _check_of(shape)(value)


@cache
def _check_of(shape: Any) -> Check:
    if is_typeddict(shape):
        return _check_of_fields(shape)
    origin, args = get_origin(shape), get_args(shape)
    if origin is UnionType or origin is Union:
        members = [_check_of(member) for member in args]
        return lambda value: any(check(value) for check in members)
    if origin is Literal:
        return lambda value: isinstance(value, str | bool) and value in args
    if origin is list:
        item = _check_of(args[0])
        return lambda value: isinstance(value, list) and all(item(each) for each in value)
    if origin is dict:
        item = _check_of(args[1])
        return lambda value: isinstance(value, dict) and all(item(each) for each in value.values())
    # Not `isinstance`, for which True is an int.
    return lambda value: type(value) is shape


def _check_of_fields(shape: Any) -> Check:
    required: dict[str, Check] = {}
    optional: dict[str, Check] = {}
    for name, hint in get_type_hints(shape, include_extras=True).items():
        if get_origin(hint) is NotRequired:
            optional[name] = _check_of(get_args(hint)[0])
        else:
            required[name] = _check_of(hint)

    def check(value: object) -> bool:
        return (
            isinstance(value, dict)
            and all(name in value and is_good(value[name]) for name, is_good in required.items())
            and all(name not in value or is_good(value[name]) for name, is_good in optional.items())
        )

    return check
