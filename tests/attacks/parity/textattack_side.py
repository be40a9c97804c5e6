"""TextAttack's side of the parity test: runs in an environment that has TextAttack and not kdlab.

``python textattack_side.py JOB OUT`` reads a job (see the package's docstring) and writes ``OUT/{recipe}.jsonl``, an
example a line: id, status (skipped, succeeded, failed), text, queries, original_score, score. An example at which the
library itself raises has the status ``error`` and what it said. ``OUT/seconds.json`` has the seconds of each recipe's
loop, of which starting and reading are no part, and how many texts its victim was asked about in how many calls.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
MOST_NEIGHBOURS = 50
LIMIT = 512  # tokens
Item = TypeVar("Item")


class Draw:
    """One generator an example, in the place of NumPy's and of the standard library's."""

    def __init__(self, key: str) -> None:
        self._random = random.Random(key).random

    def below(self, count: int) -> int:
        """A number from 0 to ``count`` - 1."""
        return int(self._random() * count)

    def pick(self, things: Sequence[Item]) -> Item:
        """One of the things."""
        return things[self.below(len(things))]


class Draws:
    """What TextAttack's modules see as ``random`` and ``np.random``; ``draw`` is set anew for each example."""

    draw: Draw

    def randint(self, low: int, high: int) -> int:
        """NumPy's: ``high`` is left out."""
        return low + self.draw.below(high - low)

    def randrange(self, low: int, high: int) -> int:
        """The standard library's: ``high`` is left out."""
        return low + self.draw.below(high - low)

    def choice(self, things: Sequence[Item]) -> Item:
        """The standard library's."""
        return self.draw.pick(things)


def prepare(nltk_data: Path, folder: Path) -> None:
    """NLTK's folder, and TextAttack's own, which says that nothing has to be downloaded; before the first import."""
    data = folder / "nltk"
    shutil.copytree(nltk_data, data)
    tagset = data / "taggers" / "universal_tagset"
    tagset.mkdir(exist_ok=True)
    shutil.copyfile(HERE / "en-ptb.map", tagset / "en-ptb.map")
    cache = folder / "textattack"
    cache.mkdir()
    (cache / "post_install_check_3").touch()
    os.environ.update(
        NLTK_DATA=str(data),
        TA_CACHE_DIR=str(cache),
        FLAIR_CACHE_ROOT=str(folder / "flair"),
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
        CUDA_VISIBLE_DEVICES="",
    )


def patch_draws() -> Draws:
    """One generator for every module that draws."""
    from textattack.transformations import word_swaps

    draws = Draws()
    for name in (
        "word_swap",
        "word_swap_qwerty",
        "word_swap_neighboring_character_swap",
        "word_swap_random_character_deletion",
        "word_swap_random_character_insertion",
        "word_swap_random_character_substitution",
    ):
        module = getattr(word_swaps, name)
        if hasattr(module, "random"):
            module.random = draws
        if hasattr(module, "np"):
            module.np = SimpleNamespace(random=draws)
    return draws


def patch_neighbours(file: Path) -> None:
    """Neighbours from a file in the place of TextAttack's vectors."""
    from textattack.shared import AbstractWordEmbedding, WordEmbedding

    table = json.loads(file.read_text(encoding="utf-8"))
    words = list(dict.fromkeys([*table, *(word for near in table.values() for word in near)]))
    number = {word: i for i, word in enumerate(words)}

    class Neighbours(AbstractWordEmbedding):
        def __getitem__(self, index: int) -> NoReturn:
            raise KeyError(index)

        def word2index(self, word: str) -> int:
            return number[word]

        def index2word(self, index: int) -> str:
            return str(words[index])

        def nearest_neighbours(self, index: int, topn: int) -> list[int]:
            return [number[word] for word in table.get(words[index], ())[: min(topn, MOST_NEIGHBOURS)]]

        def get_cos_sim(self, a: int, b: int) -> float:
            return 1.0  # the file has chosen neighbours by their cosine

        def get_mse_dist(self, a: int, b: int) -> float:
            return 0.0

    own = Neighbours()
    WordEmbedding.counterfitted_GLOVE_embedding = staticmethod(lambda: own)


def load(kind: str, folder: Path, double: bool) -> tuple[Any, Any]:
    """A model and its tokenizer."""
    import transformers

    model = getattr(transformers, kind).from_pretrained(folder).eval()
    return model.double() if double else model.float(), transformers.AutoTokenizer.from_pretrained(folder)


def patch_sentence_encoder(folder: Path | None, double: bool) -> None:
    """In the place of the Universal Sentence Encoder: the mean over an encoder's tokens, or the same for every text."""
    import torch
    from textattack.constraints.semantics.sentence_encoders import UniversalSentenceEncoder

    if folder is None:
        UniversalSentenceEncoder.encode = lambda self, sentences: np.ones((len(sentences), 1))
        return
    model, tokenizer = load("AutoModel", folder, double)

    @torch.no_grad()
    def encode(self: Any, sentences: list[str]) -> Any:
        batch = tokenizer(sentences, padding=True, truncation=True, max_length=LIMIT, return_tensors="pt")
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1)

    UniversalSentenceEncoder.encode = encode


def patch_masked_lm(folder: Path, double: bool, mend_padding: bool) -> None:
    """BAE's model from a folder; with ``mend_padding`` a batch is padded to its longest text and not to 512 tokens."""
    import torch
    from textattack.transformations.word_swaps import word_swap_masked_lm as module

    model, tokenizer = load("AutoModelForMaskedLM", folder, double)
    module.AutoModelForMaskedLM = SimpleNamespace(from_pretrained=lambda name: model)
    module.AutoTokenizer = SimpleNamespace(from_pretrained=lambda name, use_fast: tokenizer)
    if mend_padding:

        def encode(self: Any, text: list[str]) -> Any:
            return tokenizer(text, max_length=self.max_length, truncation=True, padding=True, return_tensors="pt")

        module.WordSwapMaskedLM._encode_text = encode
    torch.set_grad_enabled(False)


def make_victim(job: dict[str, Any]) -> Any:
    """A ``ModelWrapper`` that counts what it is asked."""
    import torch
    from textattack.models.wrappers import HuggingFaceModelWrapper, ModelWrapper

    if job["victim"] == "small":
        from victim import Victim

        class Small(ModelWrapper):
            def __init__(self) -> None:
                self.model = Victim(Path(job["victim_train"]))
                self.asked = self.calls = 0

            def __call__(self, texts: list[Any]) -> npt.NDArray[np.float64]:
                self.asked += len(texts)
                self.calls += 1
                return self.model.scores([text if isinstance(text, str) else "\n".join(text) for text in texts])

        return Small()

    model, tokenizer = load("AutoModelForSequenceClassification", Path(job["victim"]), job.get("double", False))

    class Wrapper(HuggingFaceModelWrapper):
        asked = calls = 0

        def __call__(self, texts: list[Any]) -> Any:
            self.asked += len(texts)
            self.calls += 1
            if not job["mend_padding"]:
                return super().__call__(texts)
            limit = LIMIT if tokenizer.model_max_length == int(1e30) else tokenizer.model_max_length
            batch = tokenizer(texts, padding=True, max_length=limit, truncation=True, return_tensors="pt")
            with torch.no_grad():
                return model(**batch).logits

    return Wrapper(model, tokenizer)


def as_input(text: Any) -> Any:
    """Columns are read as TextAttack wants them."""
    return text if isinstance(text, str) else OrderedDict(text)


def attack_all(recipe: Any, victim: Any, job: dict[str, Any], draws: Draws) -> Iterator[dict[str, Any]]:
    """Each example's outcome, in the job's order."""
    from textattack.attack_results import FailedAttackResult, SkippedAttackResult, SuccessfulAttackResult

    status = {SkippedAttackResult: "skipped", FailedAttackResult: "failed", SuccessfulAttackResult: "succeeded"}
    attack = recipe.build(victim)
    ids = job.get("ids") or range(len(job["texts"]))
    for number, text, label in zip(ids, job["texts"], job["labels"], strict=True):
        draws.draw = Draw(f"attack {job['seed']} {number}")
        try:
            result = attack.attack(as_input(text), label)
        except (StopIteration, AssertionError, IndexError, KeyError, ValueError, TypeError) as error:
            attack.clear_cache()
            yield {"id": number, "status": "error", "text": f"{type(error).__name__}: {error}"}
            continue
        last = result.perturbed_result
        columns = last.attacked_text._text_input
        yield {
            "id": number,
            "status": status[type(result)],
            "text": last.attacked_text.text if isinstance(text, str) else dict(columns),
            "queries": int(result.num_queries),
            "original_score": float(result.original_result.score),
            "score": float(last.score),
        }


def main() -> None:
    """Attacks with each recipe of the job."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(job["nltk_data"]), Path(name))
        import torch
        from textattack import attack_recipes

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        recipes = {
            "textfooler": attack_recipes.TextFoolerJin2019,
            "bae": attack_recipes.BAEGarg2019,
            "deepwordbug": attack_recipes.DeepWordBugGao2018,
            "pruthi": attack_recipes.Pruthi2019,
        }
        draws = patch_draws()
        encoder = job["sentence_encoder"]
        double = job.get("double", False)
        if {"textfooler", "bae"} & {*job["recipes"]}:
            patch_sentence_encoder(Path(encoder) if encoder else None, double)
        if "textfooler" in job["recipes"]:
            patch_neighbours(Path(job["neighbours"]))
        if "bae" in job["recipes"]:
            patch_masked_lm(Path(job["masked_lm"]), double, job["mend_padding"])
        victim = make_victim(job)
        timings: dict[str, dict[str, float]] = {}
        for recipe in job["recipes"]:
            victim.asked = victim.calls = 0
            started = time.perf_counter()
            with (out / f"{recipe}.jsonl").open("w", encoding="utf-8") as file:
                for outcome in attack_all(recipes[recipe], victim, job, draws):
                    file.write(json.dumps(outcome, ensure_ascii=False) + "\n")
                    file.flush()
            seconds = time.perf_counter() - started
            timings[recipe] = {"seconds": seconds, "asked": victim.asked, "calls": victim.calls}
        (out / "seconds.json").write_text(json.dumps(timings, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
