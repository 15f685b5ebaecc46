"""Search in a corpus on disk: no network, the same hits every time."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from pipeline.errors import InfrastructureError, UsageError
from pipeline.identity import digest
from pipeline.images import HASH_RECIPE, decode, put_image
from pipeline.sources.kinds.lines import read_objects
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import timed
from pipeline.tools.search import index
from pipeline.tools.search.features import features
from pipeline.tools.search.hits import Answer, ImageHit, Picture, TextHit
from pipeline.tools.search.nearest import Gallery

ALGORITHM = 2
"""Version of ranking, snippets and features; part of the revision."""


class LocalSearch:
    """Both kinds of provider, over a directory with `pages.jsonl`, `gallery.jsonl` and the pictures it names.

    Safe to call from many threads. Opens files of the corpus only, never what a model wrote.
    """

    needs_url = False

    def __init__(self, corpus: Path, blobs: BlobStore, indexes: Path) -> None:
        """Open the index of `corpus` in the directory `indexes`, making it if it is not there.

        Raises:
            UsageError: a file of the corpus is missing or wrong.
        """
        self.revision = _revision(corpus)
        self._corpus = corpus
        self._blobs = blobs
        self._index = indexes / f"{self.revision}.sqlite"
        index.build_index(corpus, self._index)
        self._gallery = Gallery(index.read_features(self._index))

    async def text(self, query: str, results: int) -> Answer[TextHit]:
        """Return `find_pages`, found in a thread.

        Raises:
            InfrastructureError: the index cannot be read.
        """
        return Answer(*await asyncio.to_thread(timed, lambda: self.find_pages(query, results)))

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:
        """Return `find_pictures`, found in a thread.

        Raises:
            RowError, InfrastructureError: as there.
        """
        return Answer(*await asyncio.to_thread(timed, lambda: self.find_pictures(picture.content, results)))

    def holds(self, text: str) -> bool:
        """Return whether a text stands on a page, word by word.

        Raises:
            InfrastructureError: the index cannot be read.
        """
        return index.holds(self._index, text)

    def find_pages(self, query: str, results: int) -> tuple[TextHit, ...]:
        """Return the pages with the best words of `query`; every word counts, none has to occur.

        Raises:
            InfrastructureError: the index cannot be read.
        """
        return index.find_pages(self._index, query, results)

    def find_pictures(self, content: bytes, results: int) -> tuple[ImageHit, ...]:
        """Return the pictures most like the encoded image `content`.

        Raises:
            RowError: it does not decode.
            InfrastructureError: a picture of the corpus is gone.
        """
        places = self._gallery.nearest(features(decode(content)), results)
        return tuple(self._hit(index.read_picture(self._index, place)) for place in places)

    def _hit(self, picture: index.Picture) -> ImageHit:
        try:
            content = (self._corpus / picture.path).read_bytes()
        except OSError as error:
            raise InfrastructureError(f"{self._corpus / picture.path} cannot be read: {error.strerror}") from error
        return ImageHit(title=picture.title, url=picture.url, thumbnail=put_image(self._blobs, content))


def _revision(corpus: Path) -> str:
    """Return the digest of all that is searched, and of how.

    Raises:
        UsageError: a file is missing.
    """
    names = [
        index.PAGES,
        index.GALLERY,
        *(str(entry.get("image")) for _, entry in read_objects(corpus / index.GALLERY)),
    ]
    try:
        hashes = {name: hashlib.sha256((corpus / name).read_bytes()).hexdigest() for name in names}
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be read ({error.strerror}); search.corpus needs {index.PAGES}, "
            f"{index.GALLERY} and the pictures it names"
        ) from error
    return digest({"algorithm": ALGORITHM, "features": HASH_RECIPE, "files": hashes})
