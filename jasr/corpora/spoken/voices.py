"""Who speaks the embedded corpus: espeak-ng's accents of English times its voice variants.

Variants that whisper, echo or play a robot are left out, and so are near copies of one voice in
two splits: a family of variants belongs to one split altogether. Every split has every accent.
"""

import random
from dataclasses import dataclass

from jasr.corpora.spoken.grammar import pick
from jasr.corpora.spoken.vocabulary import listed

ACCENTS = (
    "en",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)
VARIANTS = {
    "train": listed(
        "Alex,Alicia,Andrea,Andy,Annie,AnxiousAndy,Diogo,Gene,Gene2,Henrique,Hugo,Jacky,Lee,"
        "Mr serious,Reed,Storm,Tweaky,adam,anika,announcer,aunty,benjamin,boris,croak,david,"
        "edward,edward2,f1,f4,grandma,grandpa,ian,iven,iven2,iven3,iven4,john,klatt3,klatt4,"
        "klatt5,klatt6,m1,m2,m4,m5,m6,max,michel,miguel,mike2,norbert,pablo,paul,pedro,shelby,"
        "steph,steph2,steph3,travis,zac"
    ),
    "validation": listed("Denis,Nguyen,f2,f5,m7,m8,quincy,rob,robert,victor"),
    "test": listed("Mario,Michael,Mike,antonio,belinda,ed,f3,gustave,linda,m3,marcelo,sandro"),
}


@dataclass(frozen=True)
class Delivery:
    """How one sentence is spoken: `rate` in words a minute, pitch and its range from 0 to 99."""

    voice: str
    rate: int
    pitch: int
    pitch_range: int


def deliveries(split: str, seed: str, count: int) -> list[Delivery]:
    """One delivery for each of `count` sentences; the same for the same seed."""
    rng = random.Random(seed)
    return [
        Delivery(
            voice=f"{pick(rng, ACCENTS)}+{pick(rng, VARIANTS[split])}",
            rate=pick(rng, range(145, 206)),
            pitch=pick(rng, range(35, 66)),
            pitch_range=pick(rng, range(35, 66)),
        )
        for _ in range(count)
    ]
