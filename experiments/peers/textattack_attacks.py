"""TextAttack's side of ``experiments.peers.attacks``: runs in an environment that has TextAttack and not kdlab.

``python textattack_attacks.py JOB OUT`` reads a job (``experiments.peers.attacks.Job``) and writes, for each of its
stretches, the wall and CPU seconds of its loop, of which starting and reading are no part, and how each example ended.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from textattack_side import neighbours  # the folder of this file is where Python looks first

WARM = ("the film is a warm and rather funny one , but its many jokes are all too long", 1)
Item = TypeVar("Item")


class Draws:
    """What TextAttack's modules see as ``random`` and ``np.random``; begun anew for each example, as kdlab draws."""

    def begin(self, key: str) -> None:
        """For another example."""
        self._random = random.Random(key).random

    def randint(self, low: int, high: int) -> int:
        """NumPy's: ``high`` is left out."""
        return low + int(self._random() * (high - low))

    randrange = randint

    def choice(self, things: Sequence[Item]) -> Item:
        """The standard library's."""
        return things[self.randint(0, len(things))]


def prepare(resources: Path, tagset: str, folder: Path) -> None:
    """Stop words and tagger as NLTK looks for them, before it is imported; it follows no links."""
    data, cache = folder / "nltk", folder / "textattack"
    for name in ("corpora/stopwords", "taggers/averaged_perceptron_tagger_eng"):
        found = next(place for place in (resources / name, resources / Path(name).name) if place.is_dir())
        shutil.copytree(found, data / name)
    (data / "taggers" / "universal_tagset").mkdir()
    (data / "taggers" / "universal_tagset" / "en-ptb.map").write_text(tagset)
    cache.mkdir()
    (cache / "post_install_check_3").touch()  # nothing has to be downloaded
    os.environ.update(NLTK_DATA=str(data), TA_CACHE_DIR=str(cache), FLAIR_CACHE_ROOT=str(folder / "flair"))


def patch_draws() -> Draws:
    """One generator for every module that draws."""
    from textattack.transformations import word_swaps

    draws = Draws()
    for name in ("neighboring_character_swap", *(f"random_character_{x}" for x in ("deletion", "insertion"))):
        patch_module(getattr(word_swaps, f"word_swap_{name}"), draws)
    patch_module(word_swaps.word_swap_random_character_substitution, draws)
    patch_module(word_swaps.word_swap_qwerty, draws)
    patch_module(word_swaps.word_swap, draws)
    return draws


def patch_module(module: Any, draws: Draws) -> None:
    """Both names by which it may draw."""
    if hasattr(module, "random"):
        module.random = draws
    if hasattr(module, "np"):
        module.np = SimpleNamespace(random=draws)


def load(kind: str, folder: str) -> tuple[Any, Any]:
    """A model and its tokenizer."""
    import transformers

    model = getattr(transformers, kind).from_pretrained(folder)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def patch_sentence_encoder(folder: str) -> None:
    """The mean over an encoder's tokens, in the place of the Universal Sentence Encoder."""
    import torch
    from textattack.constraints.semantics.sentence_encoders import UniversalSentenceEncoder

    model, tokenizer = load("AutoModel", folder)

    @torch.no_grad()
    def encode(self: Any, sentences: list[str]) -> Any:
        batch = tokenizer(sentences, padding=True, truncation=True, max_length=128, return_tensors="pt")
        hidden, mask = model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1).float()
        return (hidden * mask).sum(1) / mask.sum(1)

    UniversalSentenceEncoder.encode = encode


def patch_masked_lm(folder: str) -> Callable[[bool], None]:
    """BAE's model from a folder; gives what mends its padding (to 512 tokens), or leaves it as it is shipped."""
    from textattack.transformations.word_swaps import word_swap_masked_lm as module

    model, tokenizer = load("AutoModelForMaskedLM", folder)
    module.AutoModelForMaskedLM = SimpleNamespace(from_pretrained=lambda name: model)
    module.AutoTokenizer = SimpleNamespace(from_pretrained=lambda name, use_fast: tokenizer)
    shipped = module.WordSwapMaskedLM._encode_text

    def encode(self: Any, text: list[str]) -> Any:
        return tokenizer(text, max_length=self.max_length, truncation=True, padding=True, return_tensors="pt")

    def mend(mended: bool) -> None:
        module.WordSwapMaskedLM._encode_text = encode if mended else shipped

    return mend


def make_victim(folder: str) -> Any:
    """TextAttack's own wrapper, whose padding (to what the tokenizer calls its longest input) can be mended."""
    from textattack.models.wrappers import HuggingFaceModelWrapper

    model, tokenizer = load("AutoModelForSequenceClassification", folder)
    tokenizer.model_max_length = min(tokenizer.model_max_length, 512)

    class Wrapper(HuggingFaceModelWrapper):
        mended = True

        def __call__(self, texts: list[str]) -> Any:
            if not self.mended:
                return super().__call__(texts)
            return model(**tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")).logits

    return Wrapper(model, tokenizer)


def outcomes(attack: Any, draws: Draws, examples: Sequence[tuple[int, str, int]], seed: int) -> Iterator[list[Any]]:
    """Number, status, text and queries of each example."""
    for number, text, label in examples:
        draws.begin(f"attack {seed} {number}")
        try:
            result = attack.attack(text, label)
        except (StopIteration, AssertionError, IndexError, KeyError, ValueError, TypeError) as error:
            attack.clear_cache()  # faults of its own, which few texts meet
            yield [number, f"{type(error).__name__}: {error}", "", 0]
            continue
        status = type(result).__name__.removesuffix("AttackResult").lower().replace("successful", "succeeded")
        yield [number, status, result.perturbed_result.attacked_text.text, int(result.num_queries)]


def main() -> None:
    """Attacks."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(job["resources"]), job["tagset"], Path(name))
        import torch
        from textattack import attack_recipes
        from textattack.shared import WordEmbedding

        torch.set_num_threads(job["threads"])
        torch.set_grad_enabled(False)
        draws, mend = patch_draws(), lambda mended: None
        if job["recipe"] in ("textfooler", "bae"):
            patch_sentence_encoder(job["sentence_encoder"])
        if job["recipe"] == "textfooler":
            own = neighbours(Path(job["resources"]) / "counterfitted_neighbors.json")()
            WordEmbedding.counterfitted_GLOVE_embedding = staticmethod(lambda: own)
        if job["recipe"] == "bae":
            mend = patch_masked_lm(job["masked_lm"])
        victim = make_victim(job["victim"])
        kinds = {
            "textfooler": attack_recipes.TextFoolerJin2019,
            "bae": attack_recipes.BAEGarg2019,
            "deepwordbug": attack_recipes.DeepWordBugGao2018,
            "pruthi": attack_recipes.Pruthi2019,
        }
        made = {}
        for stretch, count in job["stretches"].items():
            victim.mended = stretch != "shipped"
            mend(victim.mended)
            attack = kinds[job["recipe"]].build(victim)
            list(outcomes(attack, draws, [(-1, *WARM)], job["seed"]))
            started = time.perf_counter(), time.process_time()
            found = list(outcomes(attack, draws, job["examples"][:count], job["seed"]))
            wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
            made[stretch] = {"seconds": wall, "cpu": cpu, "outcomes": found}
    Path(sys.argv[2]).write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    main()
