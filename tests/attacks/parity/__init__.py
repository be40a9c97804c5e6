"""kdlab's attacks in ``compat`` mode beside TextAttack 0.3.11: status, text and counted queries of each example.

TextAttack cannot be installed beside kdlab (it needs transformers 4), so each side runs in an environment of its own.
TextAttack's is made once: ``make .venv-textattack/.installed`` or

    python3 -m venv TA && TA/bin/python -m pip install -r experiments/peers/textattack.txt

Its NumPy must be kdlab's (2.4.6 today), on the same machine: the order of words of equal importance is what
``ndarray.argsort`` makes of ties, which changes with NumPy's version, the processor and the type of the scores.

The test runs by

    KDLAB_TEXTATTACK=TA/bin/python KDLAB_GLUE=data/glue KDLAB_RESOURCES=data/lexicon \
        python -m pytest -m slow -s tests/attacks/parity

where ``KDLAB_RESOURCES`` has ``counterfitted_neighbors.json``, ``nltk/`` (stop words and an averaged perceptron tagger)
and ``bert-base-uncased-vocab.txt``. With ``KDLAB_VICTIM`` (a sequence classifier's folder), ``KDLAB_MASKED_LM`` and
``KDLAB_SENTENCE_ENCODER`` real models are attacked too.

A job, which both sides read, has

- ``texts`` (each a string, or a mapping of columns such as premise and hypothesis), ``labels`` (numbers), ``ids`` (of
  the examples; 0, 1, … where it is left out), ``recipes``;
- ``seed``: an example's draws come from one ``Draw(f"attack {seed} {id}")``, made before its attack;
- ``neighbours`` (JSON: word to words, the nearest first) and ``nltk_data``; parts of speech go from Penn Treebank's
  tags to the universal ones by ``en-ptb.map`` beside this file;
- ``masked_lm`` (a folder), ``sentence_encoder`` (a folder, whose mean over the tokens is taken, ``[CLS]`` and ``[SEP]``
  included; null: every text is alike), ``victim`` (``small``, which is fitted on ``victim_train``, or a folder);
- ``double``: models compute in float64, so that no rank depends on batches; ``mend_padding``: TextAttack pads the
  batches of masked LM and victim to their longest text, and not to 512 tokens;
- ``noise`` and ``noise_seed``, for kdlab's side alone: half-width of what is added to logits and similarities.
"""
