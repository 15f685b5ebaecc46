"""What a recipe says of money: prices of its models and limits of a run. Never part of an identity."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipeline.models.samples import Budget, Price


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PriceUse(_Part):
    """Of a model, per million tokens, in whatever currency `runtime.budget.max_cost` is in."""

    prompt: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Of the prompt's tokens that the provider had in its cache; None: as the others."""
    completion: float = Field(ge=0)
    batch_discount: float = Field(default=0.5, ge=0, lt=1)
    """Share that calls in a provider's batches are cheaper by: half, at all three that have them."""

    def price(self, *, batch: bool) -> Price:
        """Return the price of a model that is asked in batches, or one by one."""
        share = 1.0 - self.batch_discount if batch else 1.0
        cached = self.prompt if self.cached is None else self.cached
        return Price(self.prompt * share, cached * share, self.completion * share)


class BudgetUse(_Part):
    """Limits of a run, over all its invocations; at each, the calls in flight are still paid for."""

    max_cost: float | None = Field(default=None, gt=0)
    """Needs the `price` of every model that is not embedded."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Of prompts and completions together, those from a provider's cache included."""
    max_calls: int | None = Field(default=None, ge=1)
    """Model calls that are paid for; what the store answers is none."""

    @property
    def budget(self) -> Budget:
        """Return the limits for `pipeline.models.samples`."""
        return Budget(self.max_cost, self.max_tokens, self.max_calls)
