"""The recipe's section `search`: where the tools look, what is recorded, and what of it may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from filters.dedup.leaks import Day, LeakSettings, Site
from pipeline.errors import UsageError
from pipeline.identity import Identity, Place
from pipeline.manifests import manifests_dir, parse_yaml
from pipeline.tools.search.asked import Mode
from pipeline.tools.search.lens import KEY as LENS_KEY
from pipeline.tools.search.web import PROVIDERS, Locale, ProviderName
from pipeline.tools.search.web import Place as Address


class ProviderUse(Identity):
    """A provider on the web, whatever it finds."""

    language: str = "en"
    """Of the results, as the provider names it."""
    base_url: Place[str | None] = None
    """None: the provider's own. Of a SearXNG, which everybody runs for themselves, it has to be given."""
    api_key_env: Place[str | None] = None
    """Name of the environment variable with the key, never the key; None: the provider's usual one."""
    timeout_seconds: Place[float] = Field(default=30.0, gt=0)
    """For one try of one search."""
    patience_seconds: Place[float] = Field(default=300.0, ge=0)
    """How long a provider may be down, or a search keep failing, before the run stops."""
    in_flight: Place[int] = Field(default=16, ge=1)
    """Searches open at once."""
    rpm: Place[int | None] = Field(default=None, ge=1)
    """Searches per minute that the account allows."""

    @property
    def address(self) -> Address:
        """Return where and how often it is asked."""
        return Address(
            base_url=self.base_url,
            key_variable=self.api_key_env,
            timeout_seconds=self.timeout_seconds,
            patience_seconds=self.patience_seconds,
            in_flight=self.in_flight,
            rpm=self.rpm,
        )

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError(f"{url}: write the address as http://HOST:PORT")
        return url


class TextUse(ProviderUse):
    """Who is asked for pages."""

    provider: ProviderName
    country: str = "us"
    """Whose results Serper gives."""
    engines: tuple[str, ...] = ()
    """Which engines a SearXNG asks; empty: those of its settings. One that does not answer is a failure."""

    @property
    def locale(self) -> Locale:
        """Return whose results are asked for."""
        return Locale(self.language, self.country, self.engines)

    @property
    def key_variable(self) -> str | None:
        """Return the name of the variable with the key, None where none is needed."""
        return self.api_key_env or PROVIDERS[self.provider].key.variable

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.base_url is None and not PROVIDERS[self.provider].base_url:
            raise ValueError(f"{self.provider} has no address of its own; give base_url, such as http://127.0.0.1:8080")
        return self


class ImageUse(ProviderUse):
    """Who is asked for pictures: Google Lens, which is sent the addresses of pictures that are public."""

    provider: Literal["lens"]
    country: str = "us"

    @property
    def locale(self) -> Locale:
        """Return whose results are asked for."""
        return Locale(self.language, self.country)

    @property
    def key_variable(self) -> str | None:
        """Return the name of the variable with the key."""
        return self.api_key_env or LENS_KEY.variable


class SearchUse(Identity):
    """Where the search tools look."""

    corpus: str | None = None
    """A source whose directory holds `pages.jsonl` and `gallery.jsonl`: the key of one of `sources`, or a name or
    path as there. Searched for whatever no provider is named for."""
    text: TextUse | None = None
    image: ImageUse | None = None
    mode: Place[Mode] = "replay"
    """What of a search is read from the store, and who is asked; see docs/search.md."""
    recording: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$")
    """Name of a recording that `mode: record` began; empty: the one that the store has by itself."""
    as_of: Day | None = None
    """Hits that are younger are not shown; a row's own `as_of` goes before it."""
    leaks: LeakSettings = LeakSettings()

    @field_validator("as_of", mode="before")
    @classmethod
    def _day_as_text(cls, value: Any) -> Any:
        """YAML makes a date of it."""
        return value.isoformat() if type(value) is date else value

    @model_validator(mode="after")
    def _somebody_looks(self) -> Self:
        missing = [name for name in ("text", "image") if getattr(self, name) is None]
        if self.corpus is None and missing:
            raise ValueError(
                f"nobody answers searches for {missing[0]}: name a corpus (its {missing[0]} part may be empty), or "
                f"give search.{missing[0]} a provider"
            )
        if self.mode == "record" and not self.recording:
            raise ValueError("mode: record needs a name for what it begins; give search.recording, such as 2026-12")
        return self

    @property
    def web(self) -> tuple[str, ...]:
        """Return the names of the providers on the web."""
        return tuple(use.provider for use in (self.text, self.image) if use is not None)

    @property
    def uses_corpus(self) -> bool:
        """Return whether the corpus answers anything."""
        return self.text is None or self.image is None


class _Lists(Identity):
    """What `manifests/search/leaks.yaml` holds."""

    deny: tuple[Site, ...]
    copies: tuple[Site, ...]


def leak_rules(settings: LeakSettings) -> LeakSettings:
    """Return the recipe's rules with the sites that ship.

    Raises:
        UsageError: the list that ships is damaged.
    """
    file = manifests_dir() / "search" / "leaks.yaml"
    try:
        content: Mapping[str, Any] = parse_yaml(file.read_text(encoding="utf-8"))
        lists = _Lists.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{file} cannot be used: {error}") from error
    return settings.model_copy(
        update={"deny": (*lists.deny, *settings.deny), "copies": (*lists.copies, *settings.copies)}
    )
