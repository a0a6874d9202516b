"""What options may be: k, a seed, a time, a device; and the settings of a training, from a file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recs.arguments import LARGEST_SEED, MOST_ROWS
from recs.errors import BadInput

if TYPE_CHECKING:
    from recs.learning import TrainingConfig


class Moment(click.DateTime):
    """A time: ISO 8601, as `recs load` reads it; without a zone it is UTC."""

    def __init__(self) -> None:
        plain = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
        super().__init__([*plain, *(f"{one}%z" for one in plain[1:])])

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return it with a zone."""
        found: datetime = super().convert(value, param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


K = click.IntRange(1, MOST_ROWS)
SEED = click.IntRange(0, LARGEST_SEED)
MAY_BE_ZERO = {"smoothing"}
SHARES = {"validation_share"}


def read_config(path: Path | None, *, seed: int, device: str = "auto") -> TrainingConfig:
    """Return the defaults, with what a JSON file says otherwise.

    Raises:
        BadInput: no JSON object, a setting that does not exist, a value of the wrong kind.
    """
    from recs.learning import TrainingConfig

    parameters = {} if path is None else _read(path)
    known = {
        f.name: f.default
        for f in fields(TrainingConfig)
        if isinstance(f.default, int | float) and f.name != "seed"
    }
    for name, value in parameters.items():
        if name not in known:
            raise BadInput(
                f"{path} has {name!r}, which is no setting",
                hint=f"expected some of {sorted(known)}",
            )
        _check(f"{name} in {path}", value, whole=isinstance(known[name], int), name=name)
    values: dict[str, Any] = {name: type(known[name])(value) for name, value in parameters.items()}
    return TrainingConfig(**{**values, "seed": seed, "device": device})


def check_device(_context: click.Context | None, _option: click.Parameter | None, name: str) -> str:
    """Return the name of a device that is there.

    Raises:
        BadInput: it is not.
    """
    found = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", name)
    if found is None:
        raise BadInput(
            f"--device is {name!r}, expected auto, cpu, cuda or cuda:N",
            hint="leave it out: auto takes a GPU if there is one",
        )
    if not name.startswith("cuda"):
        return name
    import torch

    n_gpus = torch.cuda.device_count()
    if int(found[1] or 0) >= n_gpus:
        raise BadInput(
            f"--device is {name!r}, but torch sees {n_gpus} GPUs",
            hint="leave it out; or is it the CPU build of torch that is installed?",
        )
    return name


device_option = click.option(
    "--device",
    default="auto",
    metavar="[auto|cpu|cuda|cuda:N]",
    show_default=True,
    callback=check_device,
    help="Where to compute; auto is a GPU if there is one.",
)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}", hint="make one: recs tune") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path} has no JSON object", hint="make one: recs tune")
    return document


def _check(where: str, value: object, *, whole: bool, name: str) -> None:
    hint = f"correct it, or leave it out for the default: {name}"
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise BadInput(f"{where} is {value!r}, expected a number", hint=hint)
    if whole and value != int(value):
        raise BadInput(f"{where} is {value!r}, expected a whole number", hint=hint)
    if value < 0 or (value == 0 and name not in MAY_BE_ZERO):
        raise BadInput(f"{where} is {value!r}, expected a positive number", hint=hint)
    if name in SHARES and value >= 1:
        raise BadInput(f"{where} is {value!r}, expected less than 1", hint=hint)
