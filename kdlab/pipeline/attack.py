"""Attacks carried out: the models made or loaded, each recipe's outcomes kept under their fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kdlab.attacks.attempt import COMPAT
from kdlab.attacks.engine import Models
from kdlab.attacks.kit import MASKED_LM, SENTENCE_ENCODER, Kit, kit_for
from kdlab.attacks.masked_words import MaskedWords
from kdlab.attacks.outcome import Outcome
from kdlab.attacks.sentences import SentenceEncoder
from kdlab.attacks.store import Store
from kdlab.attacks.study import replayed, run_study
from kdlab.attacks.victim import Victim
from kdlab.data.module import TextDataModule
from kdlab.models.generator import MaskedLM
from kdlab.models.sentences import load_sentence_model
from kdlab.pipeline.attack_progress import AttackProgress
from kdlab.pipeline.generator import obtain_generator
from kdlab.planning.attack import AttackPlan
from kdlab.planning.attack_settings import NamedRecipe
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.system.files import fingerprint, write_atomic, writing
from kdlab.system.foreign import door
from kdlab.system.hardware import Hardware
from kdlab.transformations.tables import Origin

OUTCOMES, UNFINISHED = "outcomes.jsonl", "unfinished.jsonl"
_ANSWERS = "answers"


@dataclass(frozen=True)
class AttackedModel:
    """Who is attacked.

    Attributes:
        name: As tables have it.
        key: Its fingerprint.
        load: Gives it; asked where outcomes are missing.
    """

    name: str
    key: str
    load: Callable[[], Victim]


@dataclass(frozen=True)
class Study:
    """A recipe's outcomes on a victim.

    Attributes:
        recipe: The recipe's name.
        key: What they are known by.
        outcomes: In the order of the examples.
        origins: Lexical resources.
    """

    recipe: str
    key: str
    outcomes: tuple[Outcome, ...]
    origins: tuple[Origin, ...]


class AttackRunner:
    """The recipes of a plan, ready for any victim; masked LM and sentence encoder are loaded when they are needed.

    Args:
        plan: What was decided.
        hardware: Where models run.
        cache: What is kept between commands.
        reporter: Shows progress.
    """

    def __init__(self, plan: AttackPlan, hardware: Hardware, cache: Cache, reporter: Reporter) -> None:
        self.plan, self.cache, self.reporter = plan, cache, reporter
        self._hardware = hardware
        self._kits = {recipe.name: self._kit(recipe) for recipe in plan.recipes}
        self._lm: MaskedLM | None = None
        self._words: MaskedWords | None = None
        self._sentences: SentenceEncoder | None = None

    def substituted_of(self, name: str) -> list[str]:
        """What stands in for something else in a recipe, in sentences."""
        needs = next(recipe.kind.needs for recipe in self.plan.recipes if recipe.name == name)
        origins = [origin.sentence for origin in self._kits[name].origins if origin.sentence]
        return [*origins, *self.plan.substituted(needs)]

    def key(self, recipe: NamedRecipe, victim: str) -> str:
        """What a recipe's outcomes on a victim are known by.

        Args:
            recipe: One of the plan's.
            victim: The victim's fingerprint.
        """
        return self.plan.key(recipe, victim, [origin.sha256 for origin in self._kits[recipe.name].origins])

    def study(self, recipe: NamedRecipe, victim: AttackedModel) -> Study:
        """A recipe's outcomes on a victim, from the cache as far as they are there.

        Args:
            recipe: One of the plan's.
            victim: Who is attacked.

        Raises:
            KdlabError: The victim answers with what is no logits, or the recipe is no good.
        """
        kit, key = self._kits[recipe.name], self.key(recipe, victim.key)
        if MASKED_LM in recipe.kind.needs:  # all processes take part in what follows, so not while outcomes are made
            self._obtain_lm()
            self._open_store(self._words_key, "words of a masked LM")
        if SENTENCE_ENCODER in recipe.kind.needs:
            self._open_store(self.plan.sentences_key, "similarities by a sentence encoder")

        def build(folder: Path) -> None:
            self._attack(recipe, kit, victim, folder)

        about = {"recipe": recipe.name, "task": self.plan.spec.name, "victim": victim.name}
        outcomes = self.cache.get_or_make("attacks", key, build, about, resumable=True, load=read_outcomes)
        return Study(recipe.name, key, tuple(outcomes), kit.origins)

    def _attack(self, recipe: NamedRecipe, kit: Kit, victim: AttackedModel, folder: Path) -> None:
        """Attacks what an interrupted command has left, and has the victim look at every success once more."""
        plan, file = self.plan, folder / UNFINISHED
        done = _unfinished(file)
        total = len(plan.targets)
        attack = recipe.kind().build(kit)
        models = Models(victim.load(), self._masked_words(recipe), self._sentence_encoder(recipe))
        if done:
            self.reporter.say(f"{recipe.name} on {victim.name}: {len(done)} of {total} are done already.")
        write_atomic(file, "".join(_line(one) for one in done.values()))
        progress = AttackProgress(f"{recipe.name} on {victim.name}:", total, list(done.values()), self.reporter)
        with file.open("a", encoding="utf-8") as lines, progress:
            for one in run_study(plan.targets, attack, models, plan.settings.seed, plan.settings.mode, done):
                with writing(file):
                    lines.write(_line(one))
                    lines.flush()
                done[one.id] = one
                progress.add(one)
        outcomes = replayed([done[target.id] for target in plan.targets], models)
        write_atomic(folder / OUTCOMES, "".join(_line(one) for one in outcomes))
        file.unlink()

    def _kit(self, recipe: NamedRecipe) -> Kit:
        """What a recipe works with."""
        plan = self.plan
        return kit_for(
            recipe.name,
            recipe.kind.needs,
            [target.texts for target in plan.targets],
            plan.resources,
            columns=plan.columns,
            sides=plan.sides,
            similarity=plan.settings.similarity,
            mask="[MASK]" if plan.masked_lm is None else str(plan.masked_lm.checkpoint.tokenizer.mask_token),
        )

    def _obtain_lm(self) -> MaskedLM:
        if self._lm is None:
            plan, lm = self.plan, self.plan.masked_lm
            if lm is None:
                raise ValueError("a recipe needs a masked LM, and none was planned")
            data = TextDataModule(  # as this masked LM's tokenizer reads it
                task=plan.spec,
                splits=plan.task.splits,
                tokenizer=lm.checkpoint.tokenizer,
                tokenizer_fingerprint=lm.checkpoint.tokenizer_fingerprint,
                max_length=plan.lm_length,
                batch_size=1,
                eval_batch_size=1,
                select_on=plan.task.select_on,
                seed=lm.seed,
                cache=self.cache,
            )
            self._lm = obtain_generator(lm, data, self._hardware, self.cache, self.reporter)
        return self._lm

    def _masked_words(self, recipe: NamedRecipe) -> MaskedWords | None:
        if MASKED_LM not in recipe.kind.needs:
            return None
        if self._words is None:
            plan, compat = self.plan, self.plan.settings.mode == COMPAT
            store = Store(self.cache.path(_ANSWERS, self._words_key))
            self._words = MaskedWords(
                self._obtain_lm(), plan.lm_length, compat, device=self._hardware.device, store=store
            )
        return self._words

    def _sentence_encoder(self, recipe: NamedRecipe) -> SentenceEncoder | None:
        if SENTENCE_ENCODER not in recipe.kind.needs or self.plan.sentences is None:
            return None
        if self._sentences is None:
            plan, checkpoint = self.plan, self.plan.sentences
            store = Store(self.cache.path(_ANSWERS, plan.sentences_key))
            self._sentences = SentenceEncoder(
                load_sentence_model(checkpoint),
                checkpoint.tokenizer,
                plan.sentences_length,
                self._hardware.device,
                store,
            )
        return self._sentences

    @property
    def _words_key(self) -> str:
        return fingerprint(self.plan.masked_lm_key, self.plan.settings.mode == COMPAT)

    def _open_store(self, key: str, what: str) -> None:
        """Makes a folder for answers that don't depend on the victim; its file grows, so the manifest names none."""
        self.cache.get_or_make(_ANSWERS, key, lambda _: None, {"what": what, "task": self.plan.spec.name})


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes of a finished study.

    Raises:
        KdlabError: The file is none of kdlab's.
    """
    file = folder / OUTCOMES
    with door(file, "it is made again"):
        return [Outcome.from_json(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _unfinished(file: Path) -> dict[int, Outcome]:
    """What an interrupted command has written, by position; a line that was cut short is left out."""
    found: dict[int, Outcome] = {}
    if file.is_file():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                one = Outcome.from_json(json.loads(line))
            except (ValueError, TypeError, KeyError):
                continue
            found[one.id] = replace(one, fools_again=None)
    return found


def _line(one: Outcome) -> str:
    return json.dumps(one.to_json(), ensure_ascii=True) + "\n"
