from __future__ import annotations

import pytest
import yaml

from flows.publishing.licences import hub_ids, licence, of_all
from pipeline.manifests import manifests_dir

# What sources say, and the hub's id; None: nobody may publish under it.
SAID = {
    "Apache-2.0": "apache-2.0",
    "apache-2.0": "apache-2.0",
    "MIT (airportsdata)": "mit",
    "CC-BY-3.0 (GeoNames, by bokeh-sampledata)": "cc-by-3.0",
    "CC0-1.0": "cc0-1.0",
    "ODbL-1.0": "odbl",
    "GPL-3.0-or-later": "gpl-3.0",
    "public domain (US government)": "other",
    "no known restrictions (scikit-image)": "other",
    "unknown": None,
    "other": None,
    "": None,
    " (noted)": None,
    "of each page": None,
    "CC-BY-9.0": None,
}


@pytest.mark.parametrize(("said", "hub"), SAID.items())
def test_a_licence_is_told_in_the_words_of_the_hub_or_is_not_known(said: str, hub: str | None) -> None:
    found = licence(said)
    assert (None if found is None else found.hub) == hub
    assert found is None or found.link.startswith("https://")


def test_what_stands_for_a_licence_is_on_the_list_of_the_hub() -> None:
    known = yaml.safe_load((manifests_dir() / "hub" / "licences.yaml").read_text())
    assert set(known["spdx"].values()) <= hub_ids()
    assert {hub for hub in SAID.values() if hub is not None} <= hub_ids()


def test_rows_under_several_licences_are_other_and_equal_ones_with_other_notes_are_one() -> None:
    assert of_all(["MIT (a)", "MIT (b)"]) == "mit"
    assert of_all(["MIT", "Apache-2.0"]) == "other"
    assert of_all(["nothing known"]) == "other"
