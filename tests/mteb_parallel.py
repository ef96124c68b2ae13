"""Parallel benchmarks of mteb in their published form, of the sample's texts.

Each replica is loaded by mteb's own code. It has the faults of the published data, which
descriptive_stats and the code that made the data show: questions that a language has twice,
passages with several ids, judgments of another run, files in different orders.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from datasets import Dataset
from mteb.abstasks import retrieval_dataset_loaders
from mteb.tasks.retrieval.multilingual import belebele_retrieval

from mixling.corpora import sample


@dataclass
class Replica:
    """A published task.

    `tables` are its rows by configuration, `answers` the texts that answer each query's text, and
    `groups` the question that each query's text asks in its language.
    """

    name: str
    tables: dict = field(default_factory=dict)
    answers: dict = field(default_factory=lambda: defaultdict(set))
    groups: dict = field(default_factory=dict)
    split: str = "test"

    def add(self, subset, corpus, queries, relevant):
        """Add a subset in the form of mteb's uploads."""
        corpus = [{"id": key, "text": text, "title": ""} for key, text in corpus.items()]
        queries = [{"id": key, "text": text} for key, text in queries.items()]
        pairs = [{"query-id": q, "corpus-id": d, "score": 1} for q, d in relevant]
        for part, rows in (("corpus", corpus), ("queries", queries), ("qrels", pairs)):
            self.tables[f"{subset}-{part}"] = Dataset.from_list(rows)


def install(monkeypatch, *replicas):
    """Give mteb's loaders the replicas in place of the hub."""
    tables, splits = {}, {}
    for replica in replicas:
        tables |= replica.tables
        splits |= {key: [replica.split] for key in replica.tables}
    loaders = retrieval_dataset_loaders
    monkeypatch.setattr(loaders, "load_dataset", lambda path, config, **_: tables[config])
    monkeypatch.setattr(loaders, "get_dataset_config_names", lambda path, *_: list(tables))
    monkeypatch.setattr(
        loaders, "get_dataset_split_names", lambda path, revision, config_name: splits[config_name]
    )
    monkeypatch.setattr(
        belebele_retrieval, "load_dataset", lambda name, **_: {"test": tables[name]}
    )


@cache
def texts():
    """Return the sample: passages and questions by language and group, and what answers what."""
    whole = sample.read_sample("all")
    passages, questions = defaultdict(dict), defaultdict(dict)
    for row in whole.passages.to_pylist():
        passages[row["language"]][row["group"]] = row["text"]
    for row in whole.queries.to_pylist():
        questions[row["language"]][row["group"]] = row["text"]
    groups = whole.passages["group"].to_pylist()
    answer = {x["group"]: groups[x["passage"]] for x in whole.links.to_pylist()}
    return dict(passages), dict(questions), answer


def xquad(languages=("ar", "de", "en", "zh")):
    """Ids of questions are shared, those of passages are hashes, and equal questions have one id:
    the last.
    """
    passages, questions, answer = texts()
    replica = Replica("XQuADRetrieval", split="validation")
    for language in languages:
        asked = dict(questions[language])
        if language == "de":
            asked["water.1.1"] = asked["water.1.2"]
            asked["water.2.2"] = asked["water.2.1"]
        last = {text: key for key, text in asked.items()}
        hashes = {k: sha256(x.encode()).hexdigest() for k, x in passages[language].items()}
        corpus = {hashes[key]: text for key, text in passages[language].items()}
        queries = {last[text]: text for text in asked.values()}
        relevant = [(key, hashes[answer[key]]) for key in queries]
        replica.add(language, corpus, queries, relevant)
        for key, text in queries.items():
            replica.groups[text] = key
            replica.answers[text] = {passages[x][answer[key]] for x in languages}
    return replica


def mupler(languages=(("en", "en"), ("es", "es"), ("fi", "sw"))):
    """Ids of questions and passages are shared. A stand-in is written in another language."""
    passages, questions, answer = texts()
    replica = Replica("MuPLeR-retrieval")
    number = {group: str(i) for i, group in enumerate(passages["en"])}
    ids = {group: f"{i}" for i, group in enumerate(questions["en"])}
    for language, text in languages:
        corpus = {number[key]: x for key, x in passages[text].items()}
        queries = {ids[key]: x for key, x in questions[text].items()}
        replica.add(language, corpus, queries, [(ids[key], number[x]) for key, x in answer.items()])
        for key, x in questions[text].items():
            replica.groups[x] = key
            replica.answers[x] = {passages[other][answer[key]] for _, other in languages}
    return replica


def europirq(languages=(("en", "en"), ("fi", "sw"), ("pt", "es"))):
    """As MuPLeR, but some passages stand there twice, and Portuguese has other translations."""
    replica = mupler(languages)
    replica.name = "EuroPIRQRetrieval"
    passages, questions, answer = texts()
    for n, group in enumerate(list(passages["en"])[:5]):
        for language, other in languages:
            twice = passages[other][group] + (" (bis)" if language == "pt" else "")
            row = {"id": str(100 + n), "text": twice, "title": ""}
            replica.tables[f"{language}-corpus"] = replica.tables[f"{language}-corpus"].add_item(
                row
            )
        again = passages["es"][group] + " (bis)"
        for question, passage in answer.items():
            for _, other in languages if passage == group else ():
                replica.answers[questions[other][question]].add(again)
    return replica


MLQA_CODES = {"ar": "ara", "de": "deu", "en": "eng", "es": "spa"}


def mlqa(right_judgments=False):
    """Each subset of context-question counts its own ids; questions are in two to four languages.
    The judgments of ara-deu are those of another run.
    """
    passages, questions, answer = texts()
    replica = Replica("MLQARetrieval")
    chosen = [key for i, key in enumerate(answer) if i % 4 != 1]
    spoken = {key: ["en", *(["de", "ar", "es"][i % 3 :])] for i, key in enumerate(chosen)}
    for context in MLQA_CODES:
        for question in MLQA_CODES:
            name = f"{MLQA_CODES[context]}-{MLQA_CODES[question]}"
            asked = [key for key in chosen if {context, question} <= set(spoken[key])]
            rng = random.Random(name)
            groups = sorted({answer[key] for key in asked}, key=lambda _: rng.random())
            ids = {group: f"C{i}" for i, group in enumerate(groups)}
            order = sorted(asked, key=lambda _: rng.random())
            row = {key: f"Q{i}" for i, key in enumerate(order)}
            pairs = [(row[key], ids[answer[key]]) for key in asked]
            if name == "ara-deu" and not right_judgments:
                pairs = [(q, f"C{(int(d[1:]) + 1) % len(ids)}") for q, d in pairs]
            corpus = {ids[group]: passages[context][group] for group in groups}
            queries = {row[key]: questions[question][key] for key in order}
            replica.add(name, corpus, queries, pairs)
            for key in asked:
                text = questions[question][key]
                replica.groups[text] = key
                replica.answers[text].add(passages[context][answer[key]])
    return replica


BELEBELE_CODES = {"ar": "arb_Arab", "de": "deu_Latn", "en": "eng_Latn", "sw": "swh_Latn"}


def belebele(same_order=True):
    """A row a question. Arabic asks both questions on a passage with one text, Swahili asks one
    text about two passages.
    """
    passages, questions, answer = texts()
    # the lengths of Belebele's passages differ, those of the sample do not
    passages = {
        language: {key: " ".join([x] * (1 + i % 3)) for i, (key, x) in enumerate(found.items())}
        for language, found in passages.items()
    }
    replica = Replica("BelebeleRetrieval")
    for language, code in BELEBELE_CODES.items():
        asked = dict(questions[language])
        if language == "ar":
            asked["water.1.2"] = asked["water.1.1"]
        if language == "sw":
            asked["water.3.2"] = asked["water.2.1"]
        keys = sorted(answer, key=lambda k: random.Random(k if same_order else k + code).random())
        replica.tables[code] = Dataset.from_list(
            [
                {
                    "link": f"https://example.org/{answer[key]}",
                    "question_number": int(key[-1]),
                    "flores_passage": passages[language][answer[key]],
                    "question": asked[key],
                }
                for key in keys
            ]
        )
        for key, text in asked.items():
            replica.groups.setdefault(text, key)
            replica.answers[text] |= {passages[x][answer[key]] for x in BELEBELE_CODES}
    return replica
