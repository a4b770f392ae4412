"""Where the source, the target and the mappings are: one set of settings, read from the environment and from files.

The first of these that names a setting decides: an option of the command, the environment, `.env`, `migrator.toml`,
`[tool.migrator]` in `pyproject.toml`; the files are those of the working directory. `profile`, `region` and
`endpoint_url` of a file give way to the AWS SDK's own variables, so that these mean here what they mean to `aws`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, SettingsConfigDict

from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

DOTENV = Path(".env")
FILES: tuple[tuple[Path, tuple[str, ...]], ...] = (
    (Path("migrator.toml"), ()),
    (Path("pyproject.toml"), ("tool", "migrator")),
)
"""The files that may hold settings, the deciding one first, each with the table inside it that does."""

SDK_VARIABLES = {
    "profile": ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint_url": ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"),
}
"""The variables of the AWS SDK before which the same setting in a file gives way."""


class FileSettings(BaseModel):
    """What a file may set, under these names."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr | None = None
    """The source, as SQLAlchemy and libpq write it; without it, libpq's own variables (`PGHOST`, ...) are followed."""
    mappings: Annotated[tuple[str, ...], NoDecode] = ()
    """Python modules that define `MODEL`; in a variable, separated by commas."""
    profile: str | None = None
    """The profile of the AWS configuration; None leaves it to the SDK."""
    region: str | None = None
    """The AWS region; None leaves it to the SDK."""
    endpoint_url: str | None = None
    """Where DynamoDB answers; None leaves it to the SDK."""

    request_seconds: Annotated[float, Field(gt=0)] = 10.0
    """How long after its snapshot of the source a request that carries a change may be sent."""

    page_seconds: Annotated[float, Field(gt=0)] = 300.0
    """How long after its rows were read a page of a copy may be sent."""

    signature_seconds: Annotated[float, Field(ge=0)] = 900.0
    """How long DynamoDB takes a request after it was signed."""

    clock_skew_seconds: Annotated[float, Field(ge=0)] = 300.0
    """How far the clocks of this machine, of PostgreSQL and of DynamoDB may be apart."""

    lease_seconds: Annotated[float, Field(gt=0)] = 5.0
    """For how many seconds applications go by the phase that they have read: the longest lease of any of them."""

    marks_bytes: Annotated[int, Field(gt=0)] = 10 * 2**30
    """Bytes of the source's disk that waiting changes may take; above, there is an alarm, and live copies wait."""

    gate_age_hours: Annotated[float, Field(gt=0)] = 24.0
    """How long ago the verification that lets reads move may have begun."""

    gate_lag_seconds: Annotated[float, Field(gt=0)] = 60.0
    """For how many seconds a change may wait when reads move."""

    gate_marks: Annotated[int, Field(ge=0)] = 1_000
    """How many changes may wait when reads move."""

    history_days: Annotated[int, Field(gt=0)] = 90
    """Days after which past verifications, and divergences that were closed, are forgotten."""

    webhook_url: SecretStr | None = None
    """Is told of differences, failures and recoveries that verifications come upon."""

    read_dollars_per_million: Annotated[float, Field(ge=0)] = 0.125
    """US dollars for a million read units on demand: in us-east-1, by AWS's price list, as of September 2026."""

    work_dir: Path | None = None
    """Where verifications keep how far they are; None: `.migrator/verify` in the working directory."""

    @field_validator("mappings", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


class _Layers(BaseSettings):
    """What names a setting, the deciding one first: the environment, `.env`, the files."""

    @classmethod
    def of_file(cls, path: Path, table: tuple[str, ...]) -> dict[str, Any]:
        """What a file sets, as far as no variable of the AWS SDK decides it."""
        return _defaults(read_file(path, table))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = (InitSettingsSource(settings_cls, cls.of_file(path, table)) for path, table in FILES)
        return env_settings, dotenv_settings, *files


class Settings(FileSettings, _Layers):
    """The settings of one run."""

    model_config = SettingsConfigDict(
        env_prefix="MIGRATOR_", env_file=DOTENV, env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")

    @property
    def source_url(self) -> str | None:
        """The source's URL, with its password; None: libpq's own variables say where it is."""
        return None if self.database_url is None else self.database_url.get_secret_value()


class _Webhook(_Layers):
    """The one setting by which it can be told that the others cannot be used."""

    model_config = Settings.model_config

    webhook_url: SecretStr | None = None

    @classmethod
    def of_file(cls, path: Path, table: tuple[str, ...]) -> dict[str, Any]:
        """The webhook, whatever else is in the file."""
        return _webhook_of(path, table)


def load_webhook() -> SecretStr | None:
    """Read where failures are told, as far as that can be read, whatever else is wrong with the settings."""
    try:
        return _Webhook().webhook_url
    except (OSError, UnicodeDecodeError):
        # It is `.env` that cannot be read.
        url = os.environ.get("MIGRATOR_WEBHOOK_URL")
        return SecretStr(url) if url else None


def _webhook_of(path: Path, table: tuple[str, ...]) -> dict[str, Any]:
    """The webhook in a file that may be wrong in all else."""
    try:
        content: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    for name in table:
        content = content.get(name, {}) if isinstance(content, dict) else {}
    found = content.get("webhook_url") if isinstance(content, dict) else None
    return {"webhook_url": found} if isinstance(found, str) else {}


def _defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Keep what no variable of the AWS SDK decides, under the names that `Settings` reads."""
    decided = {name for name, variables in SDK_VARIABLES.items() if any(os.environ.get(each) for each in variables)}
    return {
        "DATABASE_URL" if name == "database_url" else name: value
        for name, value in values.items()
        if name not in decided
    }


def read_file(path: Path, table: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read the settings in one TOML file; a file or table that is not there sets nothing.

    Raises:
        ConfigurationError: the file cannot be read or parsed, or holds a key or value that means nothing.
    """
    try:
        content: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.", next_step=f"Correct {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    for name in table:
        content = content.get(name, {}) if isinstance(content, dict) else {}
    try:
        return FileSettings.model_validate(content).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise _refused(error, where=f"{path}, table [{'.'.join(table)}]" if table else str(path)) from error


def load_settings(**options: Any) -> Settings:  # noqa: ANN401  (each is validated as the setting of its name)
    """Read the settings of the working directory; `options` are those given with the command.

    Raises:
        ConfigurationError: a file or a variable holds what cannot be used.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise _refused(error, where="the environment or .env") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{DOTENV} cannot be read: {error}.") from error
    return settings.model_copy(update={name: value for name, value in options.items() if value})


def _refused(error: ValidationError, *, where: str) -> ConfigurationError:
    """Name each setting that cannot be used, never its value: it may be a secret."""
    reasons = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(str(part) for part in problem["loc"]) or "the table"
        unknown = problem["type"] == "extra_forbidden"
        reasons.append(f"`{name}` is not a setting" if unknown else f"`{name}`: {problem['msg']}")
    return ConfigurationError(
        f"Settings in {where} cannot be used: {'; '.join(reasons)}.",
        next_step=f"The settings are {', '.join(f'`{name}`' for name in FileSettings.model_fields)}.",
    )
