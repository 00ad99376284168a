"""Phrases and verbs of the embedded corpus' grammar.

A verb is (past tense, participle). A family of verbs shares an intent, and the roles it can bind:
ARG0 does it, it is done to ARG1, and ARG2 receives it.
"""

from dataclasses import dataclass


def listed(text: str) -> tuple[str, ...]:
    """The phrases of a text, which commas separate."""
    return tuple(text.split(","))


PEOPLE = listed(
    "anna,ben,clara,david,emma,frank,grace,henry,isabel,jack,kate,leo,maria,oliver,peter,rosa,"
    "sam,tina,victor,wendy"
)
RELATED_PEOPLE = listed(
    "my sister,my uncle,her brother,his mother,our neighbour,their teacher,the doctor,the driver,"
    "the farmer,the captain,the nurse,the painter,the gardener,the students,the children,"
    "the old man,the young woman,a tall stranger,two tourists,a clever lawyer"
)
AGENTS = PEOPLE + RELATED_PEOPLE

PARCELS = listed(
    "the letter,a parcel,the red book,some money,a silver ring,the tickets,a small present,"
    "the old map,the keys,a guitar,the blue umbrella,a bicycle,fresh flowers,a heavy basket,"
    "the newspaper,a photograph"
)
MEALS = listed(
    "the soup,an apple,a sandwich,some bread,the fish,a plate of rice,two oranges,"
    "the chocolate cake,a bowl of salad,roasted potatoes,warm pancakes,cold noodles"
)
WORKS = listed(
    "a wooden table,a stone wall,the new fence,a large picture,a paper boat,a simple song,"
    "a long story,the garden gate,a bird house,a woollen scarf"
)
THINGS = listed(
    "the window,the kitchen door,the broken lamp,a dirty carpet,the car,the radio,the heavy box,"
    "the green chair,the clock,a wet coat,the computer,the piano,the boat,a rusty engine"
)
NEWS = listed(
    "the truth,a secret,the whole story,the answer,a funny joke,the bad news,good advice,"
    "the exact price"
)
PLACES = listed(
    "the museum,the castle,the library,the hospital,the island,the village,the factory,"
    "the new school,the zoo,the theatre"
)

LOCATIONS = listed(
    "in the kitchen,at the station,near the river,in the park,at the market,behind the house,"
    "on the beach,at the office,under the bridge,in the garden,beside the lake,at the airport,"
    "on the train,in the hotel,outside the church,near the harbour"
)
TIMES = listed(
    "yesterday,this morning,last night,on monday,on friday,after lunch,before dinner,at noon,"
    "last week,in april,last summer,at midnight,on sunday evening,early today,in december,"
    "two days ago"
)


@dataclass(frozen=True)
class VerbFamily:
    """`recipient` is the preposition before ARG2, None where there is no ARG2."""

    intent: str
    verbs: tuple[tuple[str, str], ...]
    objects: tuple[str, ...]
    recipient: str | None = None


def _family(
    intent: str, verbs: str, objects: tuple[str, ...], recipient: str | None = None
) -> VerbFamily:
    pairs = [verb.partition("/") for verb in verbs.split(",")]
    return VerbFamily(
        intent,
        tuple((past, participle or past) for past, _, participle in pairs),
        objects,
        recipient,
    )


FAMILIES = (
    _family("transfer", "gave/given,sent,sold,handed,offered,lent,mailed", PARCELS, "to"),
    _family("purchase", "bought,ordered,borrowed,stole/stolen,found", PARCELS, "for"),
    _family("communication", "told,explained,whispered", NEWS, "to"),
    _family("creation", "built,painted,made,finished,designed", WORKS, "for"),
    _family("cooking", "cooked,prepared,served", MEALS, "for"),
    _family("eating", "ate/eaten,tasted,shared,dropped", MEALS),
    _family(
        "handling", "repaired,cleaned,opened,moved,broke/broken,carried,covered,washed", THINGS
    ),
    _family("contact", "met,called,thanked,followed,helped,invited,noticed", AGENTS),
    _family("visit", "visited,left,reached,photographed,entered", PLACES),
)
