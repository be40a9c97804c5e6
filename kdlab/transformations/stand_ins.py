"""Stand-ins where a lexical resource is not there: stop words, and synonyms of the embedded corpus's words.

They are kdlab's own. The synonyms are for the embedded grammar; of English they know what is listed here and no more.
"""

from __future__ import annotations

from kdlab.data.embedded.lexicon import Forms, plural

_STOP_WORDS = """
    a an the this that these those some any each every either neither both all none no not nor such same other another
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves who whom whose which what where when why how there here
    be am is are was were been being have has had having do does did doing done can could may might must shall should
    will would ought and or but if then else because as until while although though since unless than so too very just
    only own more most less least few many much at by for with about against between into through during before after
    above below to from up down in out on off over under again further once of also yet still ever never now s t d ll
    m re ve don't doesn't didn't isn't aren't wasn't weren't hasn't haven't hadn't can't couldn't won't wouldn't
    shouldn't mustn't n't ca wo cannot it's that's there's i'm i've you're we're they're
    """
_NOUNS = """
    school academy / office bureau / park garden / museum gallery / market bazaar / kitchen cookhouse / camera camcorder
    drum tambour / shirt blouse / guitar lute / apple pippin / flute fife / pear quince / drill borer / radio wireless
    coat jacket / scarf shawl / hammer mallet / skirt kilt / plum damson / violin fiddle / lemon citron / van wagon
    truck lorry / saw handsaw / scooter moped / printer press / pilot aviator / baker breadmaker / farmer grower
    nurse caregiver / phone telephone / car automobile / shovel spade / doctor physician / lawyer attorney
    job occupation / person individual / garment dress / instrument implement / device gadget / music melody
    plot storyline / script screenplay / dialogue conversation / opening beginning / pace tempo / humor wit
    ending conclusion finale / cast company / film movie picture / sequel continuation / space room / comedy farce
    story tale / documentary chronicle / drama play / reason cause / thriller chiller / vehicle conveyance
    tool utensil / fruit produce / help aid / floor ground / way path / fact truth / student pupil
    teacher instructor / money cash / race contest / answer reply / container vessel / hunter huntsman
    sailor mariner / shepherd herder / miller grinder / goat ram / raft float / swan cygnet / bucket pail / jar pot
    barge scow / barrel cask keg / basket hamper / horse steed / duck mallard / ferry ferryboat / canoe kayak
    goose gander / donkey burro / pig hog / hen chicken / boat craft / animal beast creature / bird fowl / mill grindery
    barn stable / field meadow / harbor port / valley dale / place spot / day date / acting performance / work opus
    """
_VERBS = """
    clean wash / carry bear:bore:borne:bearing / paint color
    lose:lost:lost:losing mislay:mislaid:mislaid:mislaying / steal:stole:stolen:stealing pilfer / fix repair
    find:found:found:finding discover / hide:hid:hidden:hiding conceal / sell:sold:sold:selling vend
    leave:left:left:leaving depart / get:got:got:getting receive / lend:lent:lent:lending loan / need require
    take:took:taken:taking grab:grabbed:grabbed:grabbing / go:went:gone:going travel
    give:gave:given:giving donate / keep:kept:kept:keeping retain / want desire / borrow cadge
    expect anticipate / know:knew:known:knowing understand:understood:understood:understanding
    buy:bought:bought:buying purchase / tell:told:told:telling inform / put:put:put:putting set:set:set:setting
    ask question / weigh balance / move shift / replace exchange / choose:chose:chosen:choosing select
    call phone / blame accuse / hold:held:held:holding grip:gripped:gripped:gripping / sound seem / thank credit
    turn become:became:become:becoming / hear:heard:heard:hearing learn / guard protect
    fetch bring:brought:brought:bringing / wait stay / hire rent / like enjoy / meet:met:met:meeting encounter
    say:said:said:saying state / teach:taught:taught:teaching train / follow trail
    wake:woke:woken:waking rise:rose:risen:rising / look search / beat:beat:beaten:beating defeat
    see:saw:seen:seeing notice / explain clarify / sleep:slept:slept:sleeping doze
    talk speak:spoke:spoken:speaking / hand pass / arrive come:came:come:coming
    fall:fell:fallen:falling drop:dropped:dropped:dropping / work function / win:won:won:winning triumph
    fail flop:flopped:flopped:flopping / succeed prosper / shine:shone:shone:shining sparkle
    disappoint frustrate / end finish / help assist / fit:fit:fit:fitting suit
    """
_OTHERS = """
    new recent / red crimson / blue azure / wooden timber / old aged / large big / small little / cheap inexpensive
    good fine / deeply profoundly / truly really / quite rather / younger fresher / taller higher / richer wealthier
    poorer needier / older elder / shorter lower / useful handy / next following / best finest / fewer scarcer
    exactly precisely / whole entire / strong sturdy / weak feeble / worse inferior / dirtier grimier / better finer
    shallow superficial / clever smart / longer lengthier / messy untidy / warm cordial / witty amusing
    moving touching stirring / charming lovely / painful agonizing / silly foolish / fresh novel / elegant graceful
    cleaner purer / enough sufficiently / delightful pleasant / brilliant superb splendid / bland insipid
    gripping absorbing / near close / awful terrible / tedious tiresome / wide broad / lifeless dead
    wonderful marvelous / dreary gloomy / stale hackneyed / clumsy awkward / boring dull / funny comical
    predictable foreseeable / empty vacant / far distant / hardly barely / nobody none / nothing naught / proud haughty
    keen eager / wrong mistaken / slower tardier / angry furious / ill sick / late tardy / early premature
    faster quicker / stronger mightier / weaker feebler / quieter calmer / louder noisier / flat level / apart asunder
    long lengthy / clean spotless / broken damaged / behind after / whereas while / despite notwithstanding
    """


def _listed(text: str) -> list[list[str]]:
    return [group.split() for line in text.strip().splitlines() for group in line.split("/")]


def _nouns() -> list[list[str]]:
    nouns = _listed(_NOUNS)
    return [*nouns, *([plural(noun) for noun in group] for group in nouns)]


def _verbs() -> list[list[str]]:
    verbs = [[_forms(verb) for verb in group] for group in _listed(_VERBS)]
    third = [[Forms(*forms).present for forms in group] for group in verbs]
    return [*(list(forms) for group in verbs for forms in zip(*group, strict=True)), *third]


def _groups() -> list[list[str]]:
    """Words that may stand in each other's place, in one form each."""
    return [*_nouns(), *_verbs(), *_listed(_OTHERS)]


def _forms(verb: str) -> tuple[str, str, str, str]:
    """Base, past, participle and -ing form; an irregular verb brings all four."""
    if ":" in verb:
        base, past, done, doing = verb.split(":")
        return base, past, done, doing
    stem = verb.removesuffix("e")
    past = f"{verb[:-1]}ied" if verb.endswith("y") and verb[-2] not in "aeiou" else f"{stem}ed"
    return verb, past, past, f"{stem}ing"


def _synonyms() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for group in _groups():
        for word in group:
            found.setdefault(word, {}).update(dict.fromkeys(other for other in group if other != word))
    return {word: tuple(others) for word, others in found.items()}


SYNONYMS = _synonyms()
"""Word to its synonyms, in the same form."""
NOUNS, VERBS, OTHERS = (
    frozenset(word for group in groups for word in group) for groups in (_nouns(), _verbs(), _listed(_OTHERS))
)
"""The words of ``SYNONYMS`` by what they are; some are both noun and verb."""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that carry no content, in lower case."""
