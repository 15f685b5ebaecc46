"""Read the manifests that are named, each with the store beside it, and print what became of each as a line of JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from pipeline.errors import ColdforgeError
from pipeline.sources import open_source, read_source
from pipeline.sources.questions import to_question
from pipeline.sources.revisions import hub_commit
from pipeline.store.blobs import BlobStore


def read(manifest: Path) -> dict[str, object]:
    store = manifest.parent / "store"
    try:
        if not manifest.exists():  # the name of a data set instead: at which commit does it stand?
            return {"commit": hub_commit("/".join(manifest.parts[-2:]))}
        source = open_source(str(manifest), store)
        rows = list(read_source(source))
        blobs = BlobStore(store / "blobs")
        questions = [to_question(row, source.directory, blobs, source.others) for row in rows]
    except ColdforgeError as error:
        return {"error": type(error).__name__, "says": str(error)}
    return {
        "rows": [{"key": row.source_row, "payload": json.loads(row.payload)} for row in rows],
        "images": [[hashlib.sha256(blobs.get(image.sha256)).hexdigest() for image in q.images] for q in questions],
    }


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(json.dumps({Path(name).stem: read(Path(name))}) + "\n")
