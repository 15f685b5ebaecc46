"""A browser that opens pages from disk; it is there in the environment that `make test-viewer` sets up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

Opened = Callable[..., AbstractContextManager[Any]]
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs a browser: `make test-viewer` installs it")
    found = [path for name in NAMES if (path := shutil.which(name))]
    with api.sync_playwright() as playwright:
        # Nothing that a page shows is ours alone, but in a container the browser's own sandbox may not start.
        own = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield own
        own.close()


@pytest.fixture(scope="session")
def axe() -> str:
    return Path(os.environ["COLDFORGE_AXE"]).read_text("utf-8")


@pytest.fixture(scope="session")
def opened(browser: Any) -> Opened:
    """Return what opens a page of a folder; on leaving, nothing may have been refused, failed, or asked of others."""

    @contextmanager
    def open_page(
        folder: Path, name: str = "viewer.html", *, width: int = 1280, theme: str = "light", scale: int = 1
    ) -> Iterator[Any]:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, device_scale_factor=scale
        )
        page = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))

        def dismissed(dialog: Any) -> None:
            said.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("dialog", dismissed)
        page.goto(f"{folder.as_uri()}/{name}")
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        yield page
        assert [url for url in asked if not url.startswith("file:///")] == []
        assert [text for text in said if "ERR_FILE_NOT_FOUND" not in text] == []
        context.close()

    return open_page
