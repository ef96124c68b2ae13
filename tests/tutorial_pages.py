"""Help pages of five machines in five languages, and what people ask: own text, made of parts."""

from __future__ import annotations

import json
from pathlib import Path

LANGUAGES = ("de", "en", "es", "fr", "it")

# what is done: imperative; what somebody writes who needs it; why it is done
TASKS = {
    "clean": {
        "de": ("Reinigen Sie", "ist voller Schmutz", "Staub macht jedes Gerät langsam."),
        "en": ("Clean", "is full of dirt", "Dust makes every device slow."),
        "es": ("Limpie", "está lleno de suciedad", "El polvo hace lento cualquier aparato."),
        "fr": ("Nettoyez", "est plein de saleté", "La poussière ralentit tout appareil."),
        "it": ("Pulite", "è pieno di sporco", "La polvere rallenta ogni apparecchio."),
    },
    "replace": {
        "de": ("Ersetzen Sie", "ist gebrochen", "Ein neues Teil kostet wenig und hält lange."),
        "en": ("Replace", "is broken", "A new part costs little and lasts long."),
        "es": ("Sustituya", "está roto", "Una pieza nueva cuesta poco y dura mucho."),
        "fr": ("Remplacez", "est cassé", "Une pièce neuve coûte peu et dure longtemps."),
        "it": ("Sostituite", "è rotto", "Un pezzo nuovo costa poco e dura a lungo."),
    },
    "oil": {
        "de": ("Ölen Sie", "quietscht laut", "Ein Tropfen Öl im Monat verhindert den Lärm."),
        "en": ("Oil", "squeaks loudly", "A drop of oil a month prevents the noise."),
        "es": ("Engrase", "chirría mucho", "Una gota de aceite al mes evita el ruido."),
        "fr": ("Huilez", "grince fort", "Une goutte d'huile par mois évite le bruit."),
        "it": ("Oliate", "cigola forte", "Una goccia d'olio al mese evita il rumore."),
    },
    "dry": {
        "de": ("Trocknen Sie", "ist nass geworden", "Wasser lässt das Metall rosten."),
        "en": ("Dry", "has become wet", "Water makes the metal rust."),
        "es": ("Seque", "se ha mojado", "El agua oxida el metal."),
        "fr": ("Séchez", "est mouillé", "L'eau fait rouiller le métal."),
        "it": ("Asciugate", "si è bagnato", "L'acqua arrugginisce il metallo."),
    },
    "order": {
        "de": ("Bestellen Sie", "habe ich verloren", "Der Händler liefert in drei Tagen."),
        "en": ("Order", "is lost", "The dealer delivers in three days."),
        "es": ("Pida", "se ha perdido", "El vendedor entrega en tres días."),
        "fr": ("Commandez", "est perdu", "Le vendeur livre en trois jours."),
        "it": ("Ordinate", "è andato perso", "Il venditore consegna in tre giorni."),
    },
}
# a part with its article; what it is for
PARTS = {
    "filter": {
        "de": ("den Filter", "Er hält Sand und Steine zurück."),
        "en": ("the filter", "It holds back sand and stones."),
        "es": ("el filtro", "Retiene arena y piedras."),
        "fr": ("le filtre", "Il retient le sable et les pierres."),
        "it": ("il filtro", "Trattiene sabbia e pietre."),
    },
    "motor": {
        "de": ("den Motor", "Er verbraucht den meisten Strom."),
        "en": ("the motor", "It uses most of the electricity."),
        "es": ("el motor", "Gasta la mayor parte de la electricidad."),
        "fr": ("le moteur", "Il consomme presque toute l'électricité."),
        "it": ("il motore", "Consuma quasi tutta l'elettricità."),
    },
    "switch": {
        "de": ("den Schalter", "Damit geht das Gerät an und aus."),
        "en": ("the switch", "It turns the device on and off."),
        "es": ("el interruptor", "Enciende y apaga el aparato."),
        "fr": ("l'interrupteur", "Il allume et éteint l'appareil."),
        "it": ("l'interruttore", "Accende e spegne l'apparecchio."),
    },
    "handle": {
        "de": ("den Griff", "Die Hand hält sich daran fest."),
        "en": ("the handle", "The hand holds on to it."),
        "es": ("el mango", "La mano se agarra a él."),
        "fr": ("le manche", "La main s'y tient."),
        "it": ("il manico", "La mano si tiene ad esso."),
    },
    "cable": {
        "de": ("das Kabel", "Es führt zur Steckdose."),
        "en": ("the cable", "It leads to the socket."),
        "es": ("el cable", "Lleva al enchufe."),
        "fr": ("le câble", "Il mène à la prise."),
        "it": ("il cavo", "Porta alla presa."),
    },
}
# of which machine; what that machine does
MACHINES = {
    "pump": {
        "de": ("der Wasserpumpe", "Sie holt Wasser aus dem Brunnen in den Garten."),
        "en": ("of the water pump", "It brings water from the well to the garden."),
        "es": ("de la bomba de agua", "Lleva agua del pozo al jardín."),
        "fr": ("de la pompe à eau", "Elle amène l'eau du puits au jardin."),
        "it": ("della pompa dell'acqua", "Porta l'acqua dal pozzo al giardino."),
    },
    "mill": {
        "de": ("der Kaffeemühle", "Sie mahlt Bohnen für das Frühstück."),
        "en": ("of the coffee mill", "It grinds beans for breakfast."),
        "es": ("del molino de café", "Muele granos para el desayuno."),
        "fr": ("du moulin à café", "Il moud des grains pour le petit déjeuner."),
        "it": ("del macinino da caffè", "Macina i chicchi per la colazione."),
    },
    "sewing": {
        "de": ("der Nähmaschine", "Mit Nadel und Faden entstehen darauf Hemden."),
        "en": ("of the sewing machine", "With needle and thread it makes shirts."),
        "es": ("de la máquina de coser", "Con aguja e hilo hace camisas."),
        "fr": ("de la machine à coudre", "Avec fil et aiguille elle fait des chemises."),
        "it": ("della macchina da cucire", "Con ago e filo fa camicie."),
    },
    "mower": {
        "de": ("des Rasenmähers", "Er schneidet das Gras im Sommer."),
        "en": ("of the lawn mower", "It cuts the grass in summer."),
        "es": ("del cortacésped", "Corta la hierba en verano."),
        "fr": ("de la tondeuse", "Elle coupe l'herbe en été."),
        "it": ("del tagliaerba", "Taglia l'erba in estate."),
    },
    "oven": {
        "de": ("des Backofens", "Brot und Kuchen werden darin heiß."),
        "en": ("of the oven", "Bread and cake get hot in it."),
        "es": ("del horno", "El pan y los pasteles se calientan en él."),
        "fr": ("du four", "Le pain et les gâteaux y chauffent."),
        "it": ("del forno", "Il pane e i dolci vi si scaldano."),
    },
}


def pages():
    """Return the pages: 125 in each of five languages."""
    return [
        {
            "_id": f"{task}-{part}-{machine}-{code}",
            "title": f"{t[code][0]} {p[code][0]} {m[code][0]}",
            "text": f"{m[code][1]} {p[code][1]} {t[code][2]}",
            "language": code,
        }
        for task, t in TASKS.items()
        for part, p in PARTS.items()
        for machine, m in MACHINES.items()
        for code in LANGUAGES
    ]


def queries():
    """Return what people ask: 125 queries in each language."""
    return [
        {
            "text": f"{p[code][0]} {m[code][0]} {t[code][1]}",
            "language": code,
            "about": f"{task}-{part}-{machine}",
        }
        for task, t in TASKS.items()
        for part, p in PARTS.items()
        for machine, m in MACHINES.items()
        for code in LANGUAGES
    ]


def write(folder: Path) -> None:
    """Write pages.jsonl and queries.jsonl into a folder."""
    for name, rows in (("pages", pages()), ("queries", queries())):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines))
