"""Croissant 1.1 with its fields of responsible AI: the card for machines, beside the card for people.

`url` and `datePublished` stand in no file of an export: where it was put, and when, is not of the data. Whoever
publishes it adds both.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from flows.publishing.card import citation, content_of
from flows.publishing.exports import Config
from flows.publishing.facts import CardFacts
from flows.publishing.fields import Field, is_image
from flows.publishing.head import tags
from flows.publishing.licences import licence
from pipeline.amounts import counted

VERSION = "http://mlcommons.org/croissant/1.1"
_RAI = "http://mlcommons.org/croissant/RAI/1.0"
_PARQUET = "application/x-parquet"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification: names of its terms, which readers compare."""


def croissant(facts: CardFacts) -> bytes:
    """Return the description as JSON-LD; what it says is what the card says."""
    languages = sorted(language for language in facts.languages if language is not None)
    made: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.name,
        "conformsTo": [VERSION, _RAI],
        "description": _description(facts),
        "license": sorted({one.link for said in facts.licences if (one := licence(said)) is not None}),
        "keywords": tags(facts),
        **({"inLanguage": languages} if languages else {}),
        "citeAs": citation(facts),
        "version": f"1.0.0+{content_of(facts)}",
        **_responsible(facts),
        "distribution": [entry for config in facts.configs for entry in _files(config)],
        "recordSet": [_records(config, facts.fields[config.shard]) for config in facts.configs],
    }
    return (json.dumps(made, indent=2, ensure_ascii=False) + "\n").encode()


def _description(facts: CardFacts) -> str:
    parts = []
    if facts.rows.get("sft"):
        parts.append(
            f"{counted(facts.rows['sft'], 'executed and graded transcript')} of tool use for supervised fine-tuning"
        )
    if facts.rows.get("rl"):
        parts.append(f"{counted(facts.rows['rl'], 'question')} for reinforcement learning with tools")
    return f"{' and '.join(parts)}, for {facts.student.revision}. README.md says how they were made."


def _responsible(facts: CardFacts) -> dict[str, Any]:
    models = [f"{model.part}: {model.name}" for model in facts.models if model.part != "long_cot"]
    stages = [f"{row[0]} ({row[1]}): {row[2]} in, {row[3]} kept" for row in facts.funnel.rows]
    personal = [f"{kind} in {n} rows" for kind, n in sorted(facts.personal.items())]
    judged = " or by votes of a judge" if any(model.part == "judge" for model in facts.models) else ""
    return {
        "rai:dataCollection": (
            "Questions of the sources below, answered by models whose tool calls were executed; chosen by how often a "
            "base model is right without and with tools."
        ),
        "rai:dataCollectionType": ["Secondary Data analysis", "Software Collection"],
        "rai:dataCollectionRawData": "; ".join(f"{name}: {terms}" for name, terms in sorted(facts.sources.items())),
        "rai:dataPreprocessingProtocol": stages,
        "rai:dataAnnotationProtocol": [
            f"Answers are those of the sources; those of models are graded against them by rule{judged}."
        ],
        "rai:machineAnnotationTools": models,
        "rai:dataBiases": [
            "Rows were chosen because one base model fails at them at one image size.",
            "Thoughts and code are in the style of the teachers.",
            *(
                f"{shard}: {n} of {facts.rows[shard]} rows are {category} of {source}"
                for shard, asked in facts.asked.items()
                for (category, source), n in sorted(asked.categories.items())
            ),
        ],
        "rai:dataLimitations": [
            "Not measured: support, necessity and defect rate of the rows.",
            "A right answer does not make every step of a transcript right.",
        ],
        "rai:dataUseCases": [
            "Supervised fine-tuning of multimodal models that use tools.",
            "Reinforcement learning with tools.",
            "Not for evaluation, nor for identifying people.",
        ],
        "rai:dataSocialImpact": "What should not be here is taken down by id, and leaves the next release.",
        "rai:personalSensitiveInformation": personal
        or ["None was found by patterns and checksums; names and faces are not looked for."],
        "rai:dataReleaseMaintenancePlan": "Releases are commits of one repository; names of files tell their content.",
    }


def _files(config: Config) -> list[dict[str, Any]]:
    """Return the files of a configuration, and what joins them; files of a part are listed with the whole."""
    files = [file for files in config.splits.values() for file in files]
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "contentSize": f"{file.nbytes} B",
            "encodingFormat": _PARQUET,
            "sha256": file.sha256,
        }
        for file in files
        if config.licence is None
    ]
    joined = {
        "@type": "cr:FileSet",
        "@id": _set_of(config),
        "name": _set_of(config),
        "encodingFormat": _PARQUET,
        "includes": [file.path for file in files],
    }
    return [*objects, joined]


def _set_of(config: Config) -> str:
    return f"files-of-{config.name}"


def _records(config: Config, fields: tuple[Field, ...]) -> dict[str, Any]:
    split = {
        "@type": "cr:Field",
        "@id": f"{config.name}/split",
        "name": f"{config.name}/split",
        "description": f"Which part of the set it is for: {', '.join(config.splits)}.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": _set_of(config)},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": "(?:.*/)?([^/-]+)-[^/]*"},
        },
    }
    return {
        "@type": "cr:RecordSet",
        "@id": config.name,
        "name": config.name,
        "description": f"{config.rows:,} rows" + (f" under {config.licence}." if config.licence is not None else "."),
        "key": {"@id": f"{config.name}/id"},
        "field": [split, *(_field(config, field) for field in fields)],
    }


def _field(config: Config, field: Field) -> dict[str, Any]:
    name = f"{config.name}/{field.name}"
    kind = field.arrow.value_type if pa.types.is_list(field.arrow) else field.arrow
    made: dict[str, Any] = {
        "@type": "cr:Field", "@id": name, "name": name, "description": field.meaning or field.name,
        **({"repeated": True} if kind is not field.arrow else {}),
    }  # fmt: skip
    if pa.types.is_struct(kind) and not is_image(kind):
        parts = [_leaf(config, f"{name}/{part.name}", field.name, part.type, part.name) for part in kind]
        return {**made, "subField": parts}
    return {**made, **_source(config, field.name, kind, "bytes" if is_image(kind) else None)}


def _leaf(config: Config, name: str, column: str, kind: pa.DataType, part: str) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": name, "name": name, **_source(config, column, kind, part)}


def _source(config: Config, column: str, kind: pa.DataType, part: str | None) -> dict[str, Any]:
    """Return type and place of a value: a column, or a part of what each cell of it holds."""
    source: dict[str, Any] = {"fileSet": {"@id": _set_of(config)}, "extract": {"column": column}}
    if part is not None:
        source["transform"] = {"jsonPath": part}
    return {"dataType": _type(kind), "source": source}


def _type(kind: pa.DataType) -> str:
    if is_image(kind):
        return "sc:ImageObject"
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
