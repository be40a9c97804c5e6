"""kdlab: knowledge distillation of BERT-like classifiers with data augmentation, five papers behind one interface."""

__version__ = "0.1.0"
