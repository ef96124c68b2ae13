"""Stands in for the hub: small data in the form that each of mteb's loaders expects."""

import json
import sys
from functools import cache
from pathlib import Path

import datasets
import mteb
from datasets import ClassLabel, Dataset, Features
from mteb.abstasks import AbsTaskRetrieval, retrieval_dataset_loaders
from mteb.get_tasks import TASK_LIST

N = 4  # rows of each table
TEXTS = [
    "text", "title", "question", "context", "query", "content", "abstract", "summary", "lead",
    "article", "doc", "answer", "passage", "language", "flores_passage", "link", "instruction",
    "description", "evidence_extract", "claim", "diff", "commit", "doc_content", "sum",
    "Question", "url", "uuid", "Source", "Target", "TargetAdv1", "TargetAdv2", "TargetAdv3",
    "TargetAdv4", "title_en", "abstract_en", "claims_text", "description_en",
    "description_text", "code", "category", "lang", "prompt", "headline",
]  # fmt: skip
IDS = [
    "_id", "id", "query-id", "corpus-id", "qid", "did", "doc_id", "query_id", "q_id", "p_id",
    "relevant_id", "Article",
]  # fmt: skip


def text_retrieval_tasks():
    """Return the classes of mteb's retrieval tasks in text."""
    return [
        task
        for task in TASK_LIST
        if issubclass(task, AbsTaskRetrieval) and list(task.metadata.modalities) == ["text"]
    ]


@cache
def candidate_statistics(name):
    """Return mteb's own counts of a task's candidates and documents, if its data has candidates."""
    root = Path(mteb.__file__).parent / "descriptive_stats"
    path = next(root.rglob(f"{name}.json"), None)
    if path is None:
        return None
    entry = next(iter(json.loads(path.read_text()).values()))
    entry = next(iter(entry.get("hf_subset_descriptive_stats", {}).values()), entry)
    return entry.get("top_ranked_statistics")


@cache
def universal(n=N, without=()):
    """Return a table with every column that one of mteb's loaders reads."""
    rows = []
    for i in range(n):
        row = {column: f"{column} of row {i}" for column in TEXTS}
        row |= dict.fromkeys(IDS, f"x{i}")
        row |= {
            "score": 1, "label": 0, "context_length": 256, "partition": "test",
            "relevance_score": 1.0, "domain_rel": "IN" if i % 2 else "OUT",
            "answers": {"text": ["an answer"]}, "meta": {"task_id": f"x{i}"},
            "parsed": [{"title": "a", "content": f"b{i}"}], "gold_ids": [f"x{i}"],
            "gold_ids_long": [f"x{i}"], "excluded_ids": ["N/A"], "relevant_doc_ids": [f"x{i}"],
            "corpusid": i, "corpusids": [i],
        }  # fmt: skip
        rows.append({key: value for key, value in row.items() if key not in without})
    table = Dataset.from_list(rows)
    features = Features({**table.features, "label": ClassLabel(names=["Supported", "Refuted"])})
    return table.cast(features)


def with_column(name, values):
    """Return the universal table with other values in one column."""
    return universal(len(values), (name,)).add_column(name, values)


class Splits(dict):
    """A data set with one split that is listed, and every other one that somebody asks for."""

    def __init__(self, table, split="test"):
        super().__init__({split: table})
        self.table = table

    def __missing__(self, split):
        return self.table

    def __delitem__(self, split):
        self.pop(split, None)

    def __deepcopy__(self, memo):
        return self

    def rename_column(self, old, new):
        return Splits(self.table.remove_columns([new]).rename_column(old, new))


def special_table(path):
    """Return the table of a data set, whose columns may have another form."""
    name = path.lower()
    if "narrativeqa" in name and "lemb" not in name:
        table = with_column("question", [{"text": f"why {i}?"} for i in range(N)])
        return table.add_column("document", [{"id": f"x{i}", "text": f"so {i}"} for i in range(N)])
    if "turhistquad" in name or "tquad" in name:
        return with_column("answers", [{"text": f"an answer {i}"} for i in range(N)])
    if "nordjylland" in name:
        return universal(2050)
    if "syntec" in name:
        return universal(N, ("text",))
    if "nq" in name and "table" in name:
        return universal(N, ("id",))
    if "statcan" in name:
        return with_column("query", [json.dumps([{"role": "user", "content": "a"}])] * N)
    return universal()


def load_dataset(path, *args, split=None, **kwargs):
    """Return what `datasets.load_dataset` would, for loaders of mteb's older form."""
    if path.endswith("BRIGHT") and split in ("aops", "leetcode", "theoremqa_questions"):
        return with_column("excluded_ids", [[f"x{N - 1 - i}"] for i in range(N)])
    table = special_table(path)
    if isinstance(split, list):
        return [table] * len(split)
    return table if split else Splits(table, "train" if "danfever" in path.lower() else "test")


def load_table(path, config, **kwargs):
    """Return what `datasets.load_dataset` would, for mteb's newer form."""
    part = config.rpartition("-")[2]
    if part == "corpus":
        rows = [{"_id": f"d{i}", "title": "", "text": f"document {i}"} for i in range(N)]
    elif part in ("queries", "query"):
        rows = [{"_id": f"q{i}", "text": f"query {i}"} for i in range(N)]
        if path.endswith("ToolRetrieval"):
            rows = [row | {"instruction": "find a tool"} for row in rows]
    elif part == "top_ranked":
        rows = [{"query-id": f"q{i}", "corpus-ids": ["d0", f"d{i}"]} for i in range(N)]
    elif part == "instruction":
        rows = [{"query-id": f"q{i}", "instruction": "be brief"} for i in range(N)]
    else:
        rows = [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in range(N)]
    return Dataset.from_list(rows)


def install(monkeypatch):
    """Give mteb the stub instead of the hub."""
    cached = {}

    def table(path, config=None, **kwargs):
        part = (path.endswith("ToolRetrieval"), config.rpartition("-")[2])
        return cached.setdefault(part, load_table(path, config))

    configs = {}
    for task in text_retrieval_tasks():
        found = ["default", "qrels"]
        if candidate_statistics(task.metadata.name):
            found += [f"{s}-top_ranked" for s in task.metadata.hf_subsets] + ["top_ranked"]
        if task.metadata.type == "InstructionRetrieval":
            found.append("instruction")
        configs[task.metadata.dataset["path"]] = found
    loaders = retrieval_dataset_loaders
    monkeypatch.setattr(loaders, "load_dataset", table)
    monkeypatch.setattr(loaders, "get_dataset_config_names", lambda path, *_: configs[path])
    monkeypatch.setattr(loaders, "get_dataset_split_names", lambda *_, **__: ["all rows"])
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for module in list(sys.modules.values()):
        if module.__name__.startswith("mteb.tasks") and hasattr(module, "load_dataset"):
            monkeypatch.setattr(module, "load_dataset", load_dataset)
