"""English prose from a small grammar: true to no fact, but written as people write.

A page is about one of ten topics. Its sentences are templates filled from the topic's words and
from words that all topics share; a template comes back only after all others were used, so that a
page of forty sentences repeats no long run of words and passes FineWeb's repetition rules.
"""

import re
from random import Random

# things | plurals | doings | qualities, each `;`-separated.
TOPICS = {
    "gardens": (
        "walled garden;compost heap;greenhouse;apple tree;vegetable bed;watering can;rose hedge;"
        "seed catalogue;potting shed;garden path;rain barrel;herb border;fruit cage;lawn",
        "tomatoes;seedlings;tulip bulbs;gooseberries;runner beans;earthworms;clay pots;fallen "
        "leaves;early potatoes;climbing roses;slugs;cuttings;sunflowers;nettles",
        "dug over the north corner;pruned everything below the wall;saved seed from the best "
        "plants;carried water uphill;covered the young rows with straw;mended the broken cold "
        "frame;planted a second row;weeded until dusk",
        "overgrown;well drained;sunny;sheltered;neglected;fragrant;fertile;tidy",
    ),
    "harbours": (
        "ferry;lighthouse;fishing boat;harbour wall;crane;fog horn;rope store;slipway;tide table;"
        "customs house;anchor chain;pilot launch;fish market;breakwater",
        "gulls;mackerel;trawlers;life jackets;lobster pots;sailors;mooring lines;oilskins;sea "
        "charts;containers;buoys;oysters;dockers;sandbanks",
        "tied up beside the old pier;painted the hull before winter;sailed out against the wind;"
        "sold the catch within an hour;repaired nets on the quay;waited for the tide to turn;"
        "rowed across the channel;loaded coal by hand",
        "rusty;seaworthy;foggy;busy;salt stained;deserted;storm proof;narrow",
    ),
    "kitchens": (
        "bread oven;cast iron pan;soup kettle;recipe book;pastry board;pepper mill;larder;stove;"
        "kitchen table;sugar bowl;copper pot;rolling pin;butter dish;spice rack",
        "onions;dumplings;lentils;walnuts;pancakes;pickled cucumbers;bread rolls;apricots;"
        "mushrooms;noodles;chestnuts;plum cakes;herbs;leftovers",
        "kneaded the dough twice;burnt the first batch;tasted the sauce again;chopped everything "
        "very fine;served lunch on the terrace;washed up by candlelight;baked until the crust "
        "was dark;stirred for twenty minutes",
        "bitter;crisp;salty;old fashioned;filling;creamy;homemade;peppery",
    ),
    "museums": (
        "museum;bronze statue;display case;guided tour;manuscript;ticket desk;storeroom;portrait;"
        "clay tablet;reading room;catalogue;marble staircase;tapestry;exhibition",
        "coins;visitors;curators;engravings;porcelain cups;school classes;fossils;sketches;"
        "masks;letters;maps;restorers;guards;donations",
        "catalogued the whole collection;cleaned two centuries of dust away;lent three pieces to "
        "another town;found a forged signature;opened the west wing;dated the pieces by their "
        "glaze;answered every question patiently;hung the pictures lower",
        "fragile;priceless;forgotten;gilded;medieval;crowded;anonymous;restored",
    ),
    "railways": (
        "branch line;signal box;steam engine;railway bridge;platform clock;night train;ticket "
        "office;tunnel;timetable;dining car;turntable;level crossing;mail coach;station hall",
        "passengers;sleepers;conductors;freight wagons;commuters;lanterns;engineers;suitcases;"
        "season tickets;rails;drivers;points;viaducts;waiting rooms",
        "closed the line for repairs;ran late again;crossed the valley at walking pace;changed "
        "engines at the border;stopped between two stations;sold the last ticket;rebuilt the "
        "bridge in stone;blew the whistle twice",
        "punctual;narrow gauge;scenic;disused;electric;draughty;overcrowded;reliable",
    ),
    "weather": (
        "weather station;barometer;rain gauge;forecast;cold front;thunderstorm;logbook;wind vane;"
        "thermometer;snow drift;heat wave;cloud chart;drought;balloon",
        "observers;hailstones;gusts;records;showers;frosts;satellites;averages;measurements;"
        "farmers;warnings;rainbows;floods;icicles",
        "noted the pressure every hour;predicted rain and was wrong;climbed up to read the "
        "instruments;compared forty years of figures;warned the villages downstream;drew the "
        "isobars by eye;recorded the lowest value so far;sheltered under a cart",
        "mild;unsettled;freezing;humid;exceptional;gusty;dry;seasonal",
    ),
    "music": (
        "orchestra;piano;rehearsal;choir;concert hall;violin case;conductor;score;metronome;"
        "organ loft;brass band;folk song;music stand;drum",
        "trumpets;singers;sonatas;cellists;melodies;strings;beginners;critics;programmes;"
        "encores;flutes;composers;recordings;wrong notes",
        "practised the slow movement;tuned up behind the curtain;played from memory;copied the "
        "parts by hand;missed the second entry;taught scales to children;sang without "
        "accompaniment;asked for more light",
        "cheerful;out of tune;solemn;unfinished;rhythmic;quiet;virtuoso;melancholy",
    ),
    "bicycles": (
        "bicycle workshop;front wheel;repair stand;saddle;mountain pass;racing bike;cargo bike;"
        "gear lever;cycle path;inner tube;handlebar;tool kit;chain guard;spare tyre",
        "spokes;cyclists;brake pads;mechanics;punctures;bells;couriers;pedals;reflectors;"
        "ball bearings;mudguards;headwinds;tourists;panniers",
        "patched the tyre by the roadside;oiled the chain;rode over the pass in rain;straightened "
        "the bent rim;fitted stronger brakes;carried the frame upstairs;raced the tram downhill;"
        "swapped the worn cassette",
        "sturdy;squeaky;lightweight;second hand;fast;steep;muddy;comfortable",
    ),
    "bees": (
        "beehive;queen;honey jar;smoker;swarm;meadow;lime tree;wax candle;bee house;veil;"
        "comb;entrance board;heather moor;spring inspection",
        "drones;wildflowers;keepers;wasps;frames;neighbours;mites;clover fields;blossoms;"
        "stings;winter stores;foragers;cells;orchards",
        "moved the colony at night;harvested less than hoped;fed syrup in autumn;caught the swarm "
        "in a basket;counted the dead below the hive;kept notes on every frame;melted wax in the "
        "yard;left enough for winter",
        "gentle;golden;industrious;restless;healthy;early flowering;mild tasting;crowded",
    ),
    "libraries": (
        "library;card index;reading lamp;bookcase;lending desk;dictionary;newspaper archive;"
        "travel shelf;binding workshop;quiet room;mobile library;first edition;ladder;notice board",
        "readers;librarians;novels;overdue fines;atlases;students;bookmarks;volunteers;"
        "biographies;shelves;periodicals;translations;poems;researchers",
        "sorted the returns;read aloud on Saturdays;extended the opening hours;lost the only key;"
        "ordered a replacement copy;repaired the spines;counted the stock by hand;recommended "
        "something shorter",
        "dusty;well thumbed;overdue;illustrated;silent;public;leather bound;popular",
    ),
}  # fmt: skip


def _split(words: str) -> list[str]:
    return words.split(";")


NAMES = _split(
    "Anna;Bertram;Clara;Dimitri;Edith;Farid;Greta;Hugo;Ines;Jonas;Katya;Leon;Marta;Nils;Olga;"
    "Pavel;Ruth;Samir;Tilda;Viktor;Wanda;Yusuf;Zoe;Agnes;Boris;Celia;Daniel;Elena"
)
SURNAMES = _split(
    "Abbott;Brandt;Castell;Dahl;Ellison;Fischer;Garnier;Holm;Ivers;Janssen;Keller;Lindqvist;"
    "Morris;Novak;Okafor;Petrov;Quist;Rossi;Sorensen;Tanaka;Urban;Vogel;Weaver;Young"
)
ROLES = _split(
    "her brother;the apprentice;an old neighbour;the caretaker;a visiting professor;the mayor;"
    "the youngest member;our correspondent;a retired teacher;the treasurer;my aunt;the landlady"
)
PLACES = _split(
    "Ashford;Brackwater;Colmere;Dunholm;Eastwick;Fernhill;Glenmore;Hartley;Inverlea;Kingsbridge;"
    "Larkfield;Millbrook;Northcote;Oakhurst;Penrose;Quarrybank;Redcliff;Stonebury;Thornton;Westbay"
)
TIMES = _split(
    "last spring;in the autumn of that year;before the war;one morning in March;after the harvest;"
    "during the long winter;two years later;at the end of June;on a grey Tuesday;most evenings;"
    "in the early nineties;shortly before midnight;within a week;on market days;all summer;"
    "a decade ago;since childhood;at first light;between two storms;over the weekend"
)
REASONS = _split(
    "because nobody else had volunteered;since money was short;although the weather was poor;"
    "so that the children could watch;while others were still arguing;because the old one had "
    "failed;though few people noticed;as the regulations demanded;since it had worked before;"
    "because winter came early;even if it took longer;as soon as permission arrived;"
    "unless something better turned up;although the doctor advised against it;since there was "
    "plenty of time;because a letter had promised help;as long as daylight lasted;"
    "though it cost more than planned;because patience is cheaper than haste;while supplies lasted"
)
OPINIONS = _split(
    "a stroke of luck;not as simple as it sounds;worth the trouble;an honest mistake;the talk of "
    "the town;harder than anything before;rather a relief;a lesson for everyone;the right decision;"
    "less expensive than feared;a matter of taste;proof of good planning;the exception;a nuisance"
)
NUMBERS = _split(
    "two;three;four;five;seven;nine;a dozen;twenty;thirty;about fifty;sixty;several;ninety"
)

# T thing, M plural, D doing, Q quality; the rest are shared. Between two slots stand few words, so
# that two uses of a template share no run of five.
TEMPLATES = (
    "{N} {S} {D} {W}, {C}",
    "{W}, {R} {D}, and the {T} was {O}",
    "the {T} in {P} is {Q}, yet {M} are rarely seen there {W}",
    "according to {N}, {M} and {M2} belong together, {C}",
    "it was {O}, said {N} {S}, who {D} {W}",
    "{#} {M} were counted near the {T} {W}",
    "{C}, {N} bought the {Q} {T} from {R}",
    "nobody in {P} remembers the {Q} {T} that stood beside the {T2}",
    "{W} the {T} looked {Q}, but {R} called it {O}",
    "with {#} {M} and a {Q} {T2}, {N} {D}",
    "{R} wanted {M}; instead, {S} brought {#} {M2} from {P}",
    "what {N} liked about the {T} was how {Q} it became {W}",
    "the road to {P} leads past a {T}, {#} {M} and the {Q} {T2}",
    "{M} need time, explains {S}, {C}",
    "{W}, when {R} came back to {P}, the {T} had been sold",
    "some say the {T} is {O}; {N} thinks otherwise, {C}",
    "a {Q} {T2} will do, provided that the {M} have been checked {W}",
    "{N} and {R} {D}, {C}",
    "there are {#} ways to look after {M}, and {S} has tried most of them {W}",
    "in {P}, {M} cost less than the {T}, which {R} considers {O}",
    "{C}, the {Q} {M} were left next to the {T2}",
    "{S} wrote about {M} and the {T} {W}; the book sold {#} copies",
    "only {#} of the {M2} survived, but {N} {D}",
    "if the {T} fails, {R} takes the {Q} {T2} to {P}",
    "{W}, {#} visitors came to {P} to see {M}",
    "{N}, like {R}, prefers {Q} {M} to {M2}",
    "the first {T} was built {W} by {S}, {C}",
    "to the surprise of {R}, the {M} turned out {Q}",
    "it takes {#} hours from {P} to the {T}, longer {W}",
    "everyone who {D} knows that {M} are {O}",
    "before {N} moved to {P}, the {T2} was in poor shape and {M} were {Q}",
    "{R} keeps {#} {M2} in a {T}, {C}",
    "{S} never forgot the {Q} smell of {M} {W}",
    "half of {P} helped when {N} {D}",
    "a photograph shows {R} with {M} in front of the {T2}, {W}",
    "without the {T}, says {S}, there would be no {M} in {P}",
)  # fmt: skip

_SLOT = re.compile(r"\{(..?)\}")
_COMPILED = tuple(tuple(_SLOT.split(template)) for template in TEMPLATES)
_SHARED = {
    "N": NAMES, "S": SURNAMES, "R": ROLES, "P": PLACES, "W": TIMES, "C": REASONS, "O": OPINIONS,
    "#": NUMBERS,
}  # fmt: skip


class Writer:
    """Writes about one topic; the same `random` state gives the same words."""

    def __init__(self, random: Random, topic: str | None = None) -> None:
        self._draw = random.random
        self._random = random
        self.topic = topic or random.choice(sorted(TOPICS))
        things, plurals, doings, qualities = map(_split, TOPICS[self.topic])
        self._words = {
            **_SHARED, "T": things, "T2": things, "M": plurals, "M2": plurals, "D": doings,
            "Q": qualities,
        }  # fmt: skip
        self._left: list[tuple[str, ...]] = []

    def sentence(self, end: str = ".") -> str:
        """One sentence, capitalised."""
        if not self._left:
            self._left = list(_COMPILED)
            self._random.shuffle(self._left)
        draw, words = self._draw, self._words
        parts = list(self._left.pop())
        for at in range(1, len(parts), 2):
            choices = words[parts[at]]
            parts[at] = choices[int(draw() * len(choices))]
        text = " " + "".join(parts)
        for vowel in "aeio":
            text = text.replace(f" a {vowel}", f" an {vowel}")
        return text[1].upper() + text[2:] + end

    def words(self, slot: str) -> list[str]:
        """The words of this topic for a slot: T things, M plurals, D doings, Q qualities."""
        return self._words[slot]

    def sentences(self, count: int) -> list[str]:
        return [self.sentence() for _ in range(count)]

    def paragraph(self, sentences: int) -> str:
        return " ".join(self.sentences(sentences))

    def article(self, paragraphs: int) -> list[str]:
        """Paragraphs of three to seven sentences."""
        return [self.paragraph(3 + int(self._draw() * 5)) for _ in range(paragraphs)]

    def title(self) -> str:
        """A headline of three to six words, without a full stop."""
        thing, place = self._random.choice(self._words["T"]), self._random.choice(PLACES)
        quality = self._random.choice(self._words["Q"])
        forms = (f"The {quality} {thing} of {place}", f"A {thing} in {place}", f"{place}: {thing}")
        return self._random.choice(forms)
