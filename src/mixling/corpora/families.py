"""Families of languages: which languages are near relatives, by the branch of their family.

The table has the languages of SIB-200, TICO-19, AfriQA, LibreOffice's help and the Quran, the sets
of many languages that training reads. Branches follow Glottolog where their languages are alike in
words and grammar (Bantu, Indo-Aryan), and whole families where these are small or close (Turkic).
"""

from __future__ import annotations

from functools import cache

from mixling.corpora.languages import base_language, language_tag

FAMILIES = {
    "Bantu": "bem cjk kam kg ki kmb lg ln lua nso ny rn rw sn ss st sw tn ts tum umb xh zu",
    "Volta-Niger": "ee fon ig yo",
    "Kwa": "ak tw",
    "Mande": "bm dyu nqo",
    "Gur": "kbp mos",
    "Atlantic": "fuv wo",
    "Ubangian": "sg",
    "Nilotic": "din luo nus",
    "Saharan": "kr",
    "Chadic": "ha",
    "Cushitic": "om so",
    "Berber": "kab taq tzm",
    "Semitic": "acm acq aeb ajp am apc ar ars ary arz he mt ti ti-ER ti-ET",
    "Indo-Aryan": "as awa bho bn gu hi hne ks mag mai mr ne or pa sa sd si ur",
    "Dravidian": "kn ml ta te",
    "Iranian": "ckb fa fa-AF ku pbt ps tg",
    "Germanic": "af da de en fo is lb li nb nl nn sv yi",
    "Romance": "ast ca es es-419 fr fur gl it lij lmo oc pt pt-BR ro sc scn vec",
    "Romance creoles": "ht kea pap",
    "English creoles": "tpi",
    "Slavic": "be bg bs cs hr mk pl ru sk sl sr szl uk",
    "Baltic": "lt ltg lv",
    "Celtic": "cy ga gd",
    "Greek": "el",
    "Armenian": "hy",
    "Albanian": "sq",
    "Uralic": "et fi hu",
    "Turkic": "az azb ba crh kk ky tk tr tt ug uz",
    "Mongolic": "mn",
    "Austronesian": "ace ban bjn bug ceb fil fj id ilo jv mg mi min ms pag sm su war",
    "Austroasiatic": "km vi",
    "Munda": "sat",
    "Tai": "lo shn th",
    "Sinitic": "yue zh",
    "Tibeto-Burman": "bo dz kac lus mni my",
    "Japonic": "ja",
    "Koreanic": "ko",
    "Kartvelian": "ka",
    "Basque": "eu",
    "Quechuan": "quy",
    "Aymaran": "ay",
    "Tupian": "gn",
    "Constructed": "eo",
}


@cache
def _family_of() -> dict[str, str]:
    """Return the family of each tag of the table."""
    return {tag: family for family, tags in FAMILIES.items() for tag in tags.split()}


def language_family(code: str) -> str | None:
    """Return the family of a language, None if the table does not have it.

    Args:
        code: The language; a script makes no difference.

    Example:
        >>> language_family("swa")
        'Bantu'
    """
    families = _family_of()
    return families.get(language_tag(code)) or families.get(base_language(code))
