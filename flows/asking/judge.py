"""A judge model: asked whether an answer says what is stored, or whether a question is sound; n votes each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filters.answers.stated import MAX_ANSWER
from filters.answers.votes import (
    REFUSED,
    UNREADABLE_VOTE,
    Asked,
    JudgeSettings,
    answer_schema,
    read_vote,
    tally,
)
from flows.recipe.recipe import Recipe
from pipeline.errors import RowError, UsageError
from pipeline.identity import Identity, Revision
from pipeline.models.chat import ChatModel, ChatRequest, Image, Message, Sampling, Text
from pipeline.models.samples import sample_once
from pipeline.models.views import Views
from pipeline.prompts.judge_prompts import AnswerPrompts, JudgePrompt, JudgePrompts, load_judge_prompts
from pipeline.records import IMAGE_MARK, JudgeVotes, Question
from pipeline.store.calls import CallCache
from pipeline.students.family import ViewRule


class AnswerAsk(Identity):
    """How a judge is asked about answers: all that decides its votes on them."""

    model: str
    """Revision."""
    asked: Revision[Mapping[str, Any]]
    """Identity of the role; what a hosted model takes decides which votes are refusals."""
    sampling: Sampling
    context_length: int | None = None
    """In tokens, of the judge's server; None: not stated."""
    seed: int
    """Vote `i` runs under `seed + i`."""
    prompts: AnswerPrompts
    settings: JudgeSettings

    @classmethod
    def of(cls, recipe: Recipe, model: str) -> AnswerAsk | None:
        """Return the part of `JudgeAsk.of` that is about answers.

        Raises:
            UsageError: as there.
        """
        ask = JudgeAsk.of(recipe, model)
        if ask is None:
            return None
        return AnswerAsk(
            model=ask.model,
            asked=ask.asked,
            sampling=ask.sampling,
            context_length=ask.context_length,
            seed=ask.seed,
            prompts=ask.prompts.answers,
            settings=ask.settings,
        )


class JudgeAsk(AnswerAsk):
    """How a judge is asked about answers and questions."""

    prompts: JudgePrompts
    view: ViewRule
    """Of a question's pictures."""

    @classmethod
    def of(cls, recipe: Recipe, model: str) -> JudgeAsk | None:
        """Return how the judge of a recipe is asked, None where it names none; `model` is its revision.

        Raises:
            UsageError: its prompts or its sampling are wrong.
        """
        role, settings = recipe.models.judge, recipe.judge
        if role is None:
            return None
        if role.sampling.temperature == 0 and settings.votes > 1:
            raise UsageError(
                f"models.judge.sampling.temperature is 0: its {settings.votes} votes would be one vote that is "
                "paid several times; set judge.votes: 1, or a temperature above 0"
            )
        return cls(
            model=model,
            asked=role.identity(),
            sampling=role.sampling,
            context_length=role.context_length,
            seed=recipe.seed,
            prompts=load_judge_prompts(search=recipe.search is not None),
            view=recipe.student.view_rule,
            settings=settings,
        )


@dataclass(frozen=True)
class AnswerJudge:
    """A model that gives verdicts on answers. It takes no place among conversations in flight: who asks holds one."""

    ask: AnswerAsk
    model: ChatModel
    calls: CallCache

    async def answer(self, question: Question, said: str, record_id: str) -> JudgeVotes:
        """Ask whether `said` is one of the stored answers; for what the deterministic grader left undecided only.

        Neither the reasoning nor a picture is shown. An answer that no reward would read (300 characters) is not
        shown either: it gets no vote, so that it stays unknown.

        Args:
            question: What was asked, with its stored answers.
            said: The final answer alone.
            record_id: Of the trajectory that gave it.

        Raises:
            InfrastructureError: the judge could not be asked; it may be asked again.
        """
        if len(said) >= MAX_ANSWER:
            return self._votes("answer", record_id, question, ())
        text = self.ask.prompts.answer_text(question, said)
        return self._votes("answer", record_id, question, await self._ask("answer", (Text(text=text),)))

    async def _ask(self, asked: Asked, parts: tuple[Text | Image, ...]) -> tuple[str, ...]:
        request = ChatRequest(
            model=self.ask.model,
            messages=(
                Message(role="system", parts=(Text(text=self._prompt(asked).system),)),
                Message(role="user", parts=parts),
            ),
            sampling=self.ask.sampling,
            answer_schema=answer_schema(asked),
            context_length=self.ask.context_length,
            seed=self.ask.seed,
        )
        try:
            async with asyncio.TaskGroup() as group:
                votes = [
                    group.create_task(self._vote(request, asked, sample)) for sample in range(self.ask.settings.votes)
                ]
        except ExceptionGroup as failed:
            # Callers tell failures apart by their class, and know no groups.
            raise failed.exceptions[0] from failed
        return tuple(vote.result() for vote in votes)

    async def _vote(self, request: ChatRequest, asked: Asked, sample: int) -> str:
        try:
            response, _ = await sample_once(self.calls, self.model, request, sample)
        except RowError:
            return REFUSED
        match response.finish:
            case "stop":
                return read_vote(response.text, asked)
            case "length":
                return UNREADABLE_VOTE
            case "refused":
                return REFUSED

    def _votes(self, asked: Asked, record_id: str, question: Question, votes: tuple[str, ...]) -> JudgeVotes:
        return JudgeVotes(
            record_id=record_id,
            question_id=question.id,
            asked=asked,
            model=self.ask.model,
            prompt=self._prompt(asked).hash,
            votes=votes,
            verdict=tally(votes, self.ask.settings),
        )

    def _prompt(self, asked: Asked) -> JudgePrompt:
        """Return what the judge is told about one kind of record."""
        if asked != "answer":
            raise ValueError(f"this judge is asked about answers, not about a {asked}")
        return self.ask.prompts.answer


@dataclass(frozen=True)
class Judge(AnswerJudge):
    """A model that gives verdicts on answers and on questions."""

    ask: JudgeAsk
    views: Views

    async def question(self, question: Question) -> JudgeVotes:
        """Ask whether a question is sound, with its pictures as `views` shows them and without its answers.

        Raises:
            InfrastructureError: the judge could not be asked; it may be asked again.
            RowError: the rule of the views refuses a picture.
        """
        parts: list[Text | Image] = []
        pieces = self.ask.prompts.question_text(question).split(IMAGE_MARK)
        views = [await self.views.of(image, self.ask.view) for image in question.images]
        for piece, view in zip(pieces[:-1], views, strict=True):
            parts += [Text(text=piece), Image(view=view)]
        parts.append(Text(text=pieces[-1]))
        shown = tuple(part for part in parts if isinstance(part, Image) or part.text)
        return self._votes("question", question.id, question, await self._ask("question", shown))

    def _prompt(self, asked: Asked) -> JudgePrompt:
        return self.ask.prompts.answer if asked == "answer" else self.ask.prompts.question
