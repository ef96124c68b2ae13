"""Belebele (Bandarkar et al. 2024, arXiv:2308.16884): parallel queries on FLORES passages.

A query looks for its passage. Each of the 122 language variants has a JSON-lines file, named by its
code in FLORES.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from mixling.corpora.corpus import Corpus, CorpusBuilder
from mixling.corpora.json_files import read_json_lines
from mixling.corpora.languages import language_tag
from mixling.corpora.published_files import find_published
from mixling.corpora.source import Files, Languages, Repository, Source, is_wanted, parse_languages
from mixling.corpora.values import first_text, id_text, text_field
from mixling.errors import BadRowError, MixlingError, Skipped

VARIANTS = parse_languages(
    "acm_Arab afr_Latn als_Latn amh_Ethi apc_Arab arb_Arab arb_Latn ars_Arab ary_Arab arz_Arab "
    "asm_Beng azj_Latn bam_Latn ben_Beng ben_Latn bod_Tibt bul_Cyrl cat_Latn ceb_Latn ces_Latn "
    "ckb_Arab dan_Latn deu_Latn ell_Grek eng_Latn est_Latn eus_Latn fin_Latn fra_Latn fuv_Latn "
    "gaz_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hin_Latn hrv_Latn hun_Latn "
    "hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kac_Latn kan_Knda "
    "kat_Geor kaz_Cyrl kea_Latn khk_Cyrl khm_Khmr kin_Latn kir_Cyrl kor_Hang lao_Laoo lin_Latn "
    "lit_Latn lug_Latn luo_Latn lvs_Latn mal_Mlym mar_Deva mkd_Cyrl mlt_Latn mri_Latn mya_Mymr "
    "nld_Latn nob_Latn npi_Deva npi_Latn nso_Latn nya_Latn ory_Orya pan_Guru pbt_Arab pes_Arab "
    "plt_Latn pol_Latn por_Latn ron_Latn rus_Cyrl shn_Mymr sin_Latn sin_Sinh slk_Latn slv_Latn "
    "sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn "
    "tam_Taml tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi tsn_Latn tso_Latn tur_Latn ukr_Cyrl "
    "urd_Arab urd_Latn uzn_Latn vie_Latn war_Latn wol_Latn xho_Latn yor_Latn zho_Hans zho_Hant "
    "zsm_Latn zul_Latn"
)
_FIELDS = ("link", "question_number", "flores_passage", "question")
# Number of the passage among those of its link, number of the query, number of the right one of its
# printed answers, passage, query.
_Row = tuple[int, str, str | None, str, str]
_Form = tuple[tuple[int, str, str | None], ...]


def read_belebele(folder: Path, split: str, languages: Languages, skip_bad: bool) -> Corpus:
    """Read Belebele; the fields are link, question_number, flores_passage and question.

    Several passages may share a link, and no field tells them apart: their order in the file does,
    which is the same in every language. So a link is left out of a language, and listed, where one
    of its rows is bad, or where its rows are not those of the other languages: other numbers of
    queries or, of a link with several passages, of right answers.

    Args:
        folder: The folder.
        split: The split.
        languages: The languages; None: all that are there.
        skip_bad: Skip rows that cannot be used.

    Returns:
        The corpus.

    Raises:
        MixlingError: A file is missing or cannot be read.
        BadRowError: A row cannot be used and `skip_bad` is False, or its link cannot be read.
    """
    builder, skipped, left_out = CorpusBuilder("belebele"), Skipped(skip_bad), list[Exception]()
    wanted = [code for code in VARIANTS if is_wanted(language_tag(code), languages)]
    paths = {c: p for c in wanted for p in find_published(folder, f"{c}.jsonl")}
    if not paths:
        raise MixlingError(
            f"{folder}: no file is named like {next(iter(wanted), 'eng_Latn')}.jsonl. Fetch the "
            "data set again."
        )
    rows = {code: _read_variant(path, skipped, left_out) for code, path in paths.items()}
    usual = _usual_forms(rows.values())
    for code, links in rows.items():
        tag = language_tag(code)
        for link, entries in links.items():
            if _form(entries) != usual[link]:
                left_out.append(
                    MixlingError(
                        f"{paths[code]}: the rows of {link} are left out, because they do not "
                        "match those of the other languages"
                    )
                )
                continue
            for number, query_number, _, passage, query in entries:
                group = f"{link}#{number}"
                key = f"{group}#{query_number}"
                builder.add_query(key, query, tag, key)
                builder.add_link(key, builder.add_passage(passage, passage, tag, group))
    return builder.build([*skipped.rows, *left_out])


def _read_variant(path: Path, skipped: Skipped, left_out: list[Exception]) -> dict[str, list[_Row]]:
    """Return the rows of a language by their links, without links of which a row is bad."""
    links = defaultdict[str, list[_Row]](list)
    uncertain = set[str]()
    # a row whose link cannot be read could belong to any: it is an error in any case
    for line, row in read_json_lines(path, Skipped()):
        link = text_field(row, "link", path, line)
        try:
            passage = text_field(row, "flores_passage", path, line)
            query = text_field(row, "question", path, line)
            query_number = id_text(row, ("question_number",), path, line)
            answer = first_text(row, ("correct_answer_num",), path, line)
        except BadRowError as bad:
            skipped(bad)
            uncertain.add(link)
            continue
        numbers = {text: number for number, _, _, text, _ in links[link]}
        number = numbers.get(passage, len(numbers))
        links[link].append((number, query_number, answer, passage, query))
    for link in sorted(uncertain):
        links.pop(link, None)
        left_out.append(
            MixlingError(
                f"{path}: all rows of {link} are left out, because one of them is bad, so it is "
                "not known which of the passages they are about"
            )
        )
    return links


def _form(entries: list[_Row]) -> _Form:
    """Return the numbers of a link's rows that all languages share."""
    several = any(number for number, *_ in entries)
    return tuple(
        (number, query, answer if several else None) for number, query, answer, *_ in entries
    )


def _usual_forms(variants: Iterable[dict[str, list[_Row]]]) -> dict[str, _Form]:
    """Return the form of each link's rows that most languages have; of equals, the longest."""
    forms = defaultdict[str, Counter[_Form]](Counter)
    for links in variants:
        for link, entries in links.items():
            forms[link][_form(entries)] += 1
    return {
        link: max(counts, key=lambda form: (counts[form], len(form)))
        for link, counts in forms.items()
    }


def _files(split: str, languages: Languages) -> list[Files]:
    """Return the files that some languages need."""
    return [
        Files(f"data/{code}.jsonl", _FIELDS)
        for code in VARIANTS
        if is_wanted(language_tag(code), languages)
    ]


BELEBELE = Source(
    "belebele",
    "parallel questions on FLORES passages in 122 language variants",
    tuple(map(language_tag, VARIANTS)),
    ("test",),
    "CC-BY-SA-4.0",
    "Bandarkar et al. 2024, arXiv:2308.16884",
    "hub facebook/belebele, folder data (one jsonl a language)",
    read_belebele,
    "belebele",
    # the commit that mteb pins in its task BelebeleRetrieval of 2024
    repositories=(
        Repository("facebook/belebele", _files, "75b399394a9803252cfec289d103de462763db7c"),
    ),
)
