"""TextAttack's side of ``experiments.peers.lexical``: runs in an environment that has TextAttack and not kdlab.

``python textattack_side.py AUGMENTER SENTENCES RESOURCES COPIES OUT`` prints the seconds of its loop, of which starting
and reading are no part, and writes what it made, a line each.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

SHARES = {"eda": 0.1, "wordnet": 0.2, "synonym_insertion": 0.2, "embedding": 0.2}


def nltk_folder(resources: Path, folder: Path) -> None:
    """WordNet and the stop words as NLTK looks for them; it follows no links."""
    corpora = folder / "corpora"
    words = corpora / "wordnet"
    shutil.copytree(resources / "wordnet", words)
    if not (words / "lexnames").exists():  # Debian leaves it out; NLTK reads it, and no augmenter needs its names
        (words / "lexnames").write_text("".join(f"{i:02d}\tfile{i}\t1\n" for i in range(45)))
    for name in ("index.sense", "sentidx.vrb"):
        if not (words / name).exists():
            (words / name).touch()
    shutil.copytree(resources / "stopwords", corpora / "stopwords")
    os.environ["NLTK_DATA"] = str(folder)


def neighbours(file: Path) -> type:
    """A class in the place of TextAttack's vectors, which has neighbours from a file."""
    from textattack.shared import AbstractWordEmbedding

    table = json.loads(file.read_text(encoding="utf-8"))
    words = list(dict.fromkeys([*table, *(word for near in table.values() for word in near)]))
    number = {word: i for i, word in enumerate(words)}

    class Neighbours(AbstractWordEmbedding):
        def __getitem__(self, index: int) -> NoReturn:
            raise KeyError(index)

        def word2index(self, word: str) -> int:
            return number[word]

        def index2word(self, index: int) -> str:
            return words[index]

        def nearest_neighbours(self, index: int, topn: int) -> list[int]:
            return [number[word] for word in table.get(words[index], ())[:topn]]

        def get_cos_sim(self, a: int, b: int) -> float:
            return 1.0  # the file has chosen neighbours by their cosine

        def get_mse_dist(self, a: int, b: int) -> float:
            return 0.0

    return Neighbours


def main() -> None:
    """Makes the copies."""
    name, sentences, resources, copies, out = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        nltk_folder(Path(resources), Path(folder))
        from textattack.augmentation import recipes as augmentation
        from textattack.shared import WordEmbedding

        own = neighbours(Path(resources) / "counterfitted_neighbors.json")()
        WordEmbedding.counterfitted_GLOVE_embedding = staticmethod(lambda: own)
        kinds = {
            "eda": augmentation.EasyDataAugmenter,
            "wordnet": augmentation.WordNetAugmenter,
            "synonym_insertion": augmentation.SynonymInsertionAugmenter,
            "embedding": augmentation.EmbeddingAugmenter,
        }
        augmenter = kinds[name](pct_words_to_swap=SHARES[name], transformations_per_example=int(copies))
        random.seed(0)
        texts = Path(sentences).read_text(encoding="utf-8").splitlines()
        augmenter.augment("a film that is warm")  # resources are read when they are first needed
        started = time.perf_counter()
        made = [copy for text in texts for copy in augmenter.augment(text)]
        seconds = time.perf_counter() - started
    Path(out).write_text("\n".join(made), encoding="utf-8")
    print(json.dumps({"seconds": seconds, "made": len(made)}))


if __name__ == "__main__":
    main()
