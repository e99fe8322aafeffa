"""Errors, by whose fault they are and whether to try again."""

from dataclasses import dataclass


class GatewayError(Exception):
    """The root of every error we raise on purpose."""


class DeviceError(GatewayError):
    """A device or its link did not answer as it should: try again, with back-off and jitter."""


class DeviceRefused(DeviceError):
    """The device itself said no: trying blindly again is no use."""


class UplinkError(GatewayError):
    """The platform cannot be reached: carry on offline."""


class StoreError(GatewayError):
    """The store cannot be opened or written (RULES X1)."""


class MalformedError(GatewayError):
    """What came in makes no sense: counted and dropped, or answered with what was expected."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a site or profile: where, what was found, what was expected."""

    file: str
    key: str
    message: str
    line: int = 0
    rule: str = ""
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        where += f": {self.key}" if self.key else ""
        tail = f" (rule {self.rule})" if self.rule else ""
        kind = "warning: " if self.warning else ""
        return f"{where}: {kind}{self.message}{tail}"


class ConfigError(GatewayError):
    """The site cannot be used. Refuse to start, and say everything that is wrong."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
