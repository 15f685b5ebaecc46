from __future__ import annotations

import hashlib
import re
from pathlib import Path

import flows.report.viewer.write as viewer

LIBRARIES = Path(str(viewer.__file__)).parent / "third_party"
PAGES = Path(str(viewer.__file__)).parent / "pages"


def test_every_library_is_the_one_that_the_list_names_and_has_its_licence() -> None:
    text = (LIBRARIES / "README.md").read_text()
    listed = dict(re.findall(r"^\| `([\w.-]+)` \|.*`([0-9a-f]{64})` \|$", text, re.MULTILINE))
    files = {path.name: path for path in LIBRARIES.iterdir()}
    licences = {name for name in files if name.endswith("-LICENSE")}
    assert set(files) == {"README.md", *listed, *licences}
    assert {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in listed} == listed
    assert licences == set(re.findall(r"`([\w-]+-LICENSE)`", (LIBRARIES / "README.md").read_text()))


def test_a_page_loads_only_files_that_lie_beside_it_under_a_policy_that_allows_no_other() -> None:
    for page in sorted(PAGES.glob("*.html")):
        text = page.read_text()
        loaded = re.findall(r'(?:src|href)="([^"#]+\.(?:js|css))"', text)
        assert loaded
        assert [name for name in loaded if not (PAGES / name).is_file() and not (PAGES.parent / name).is_file()] == []
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        # Nothing stands in the page that the policy would have to allow.
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", text)


def test_no_script_of_ours_makes_markup_of_text() -> None:
    words = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "setHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "Function(",
    )
    sinks = re.compile("|".join(map(re.escape, words)))
    assert [path.name for path in PAGES.glob("*.js") if sinks.search(path.read_text())] == []
