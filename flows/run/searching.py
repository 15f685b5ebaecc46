"""Opening where a run searches: its corpus, providers on the web, what is recorded, and what may be shown."""

from __future__ import annotations

from flows.asking.leaks import HitRules, public_url
from flows.recipe.inputs import Inputs
from flows.recipe.searching import SearchUse, leak_rules
from pipeline.engine.executor import Executor
from pipeline.errors import UsageError
from pipeline.models.traffic import Traffic
from pipeline.store import Store
from pipeline.tools.search.asked import Search, open_recording
from pipeline.tools.search.hits import ImageProvider, TextProvider
from pipeline.tools.search.local import LocalSearch


def open_search(
    use: SearchUse | None, inputs: Inputs, store: Store, executor: Executor, traffic: Traffic
) -> Search | None:
    """Return where a run searches, None where there is nothing to search. Nothing is sent yet.

    What is asked of the web and fails is counted in `traffic`.

    Raises:
        UsageError: a provider's key is missing, or nobody began the recording that is to be read.
    """
    if use is None:
        return None
    corpus = None
    if inputs.search is not None:
        corpus = LocalSearch(inputs.search.directory, store.blobs, store.directory / "search")
    rules = HitRules(leak_rules(use.leaks), use.as_of)
    rights = {source.key: source.redistributable for source in inputs.sources}
    search = Search(
        text=_text_provider(use, executor, traffic) or _required(corpus),
        image=_image_provider(use, store, executor, traffic) or _required(corpus),
        mode=use.mode,
        recording=use.recording,
        decide=rules.decide,
        rules=rules.identity,
        public_url=lambda question: public_url(question, rights),
    )
    executor.wait(open_recording(store.calls, search))
    return search


def _text_provider(use: SearchUse, executor: Executor, traffic: Traffic) -> TextProvider | None:
    if use.text is None:
        return None
    # Late, as below: most runs search a corpus, and need no client.
    from pipeline.tools.search.web import open_text

    provider = open_text(use.text.provider, use.text.locale, use.text.address, traffic)
    executor.close_on_exit(provider.client.aclose)
    if use.mode != "strict":
        provider.client.require_key()
    return provider


def _image_provider(use: SearchUse, store: Store, executor: Executor, traffic: Traffic) -> ImageProvider | None:
    if use.image is None:
        return None
    from pipeline.tools.search.lens import open_lens
    from pipeline.tools.search.thumbnails import Thumbnails

    thumbnails = Thumbnails()
    provider = open_lens(use.image.locale, use.image.address, store.blobs, thumbnails, traffic)
    executor.close_on_exit(provider.client.aclose)
    executor.close_on_exit(thumbnails.aclose)
    if use.mode != "strict":
        provider.client.require_key()
    return provider


def _required(corpus: LocalSearch | None) -> LocalSearch:
    if corpus is None:
        raise UsageError("search.corpus: nobody answers one of the two searches; name a corpus")
    return corpus
