"""Train with hybrid batches in a sentence-transformers script: it needs one more line.

    python examples/hybrid_in_sentence_transformers.py [MODEL] [STEPS]

Every batch is in one language, or has query and passage in two languages (arXiv:2408.10536). No
batch has a false negative: two queries of one passage, or translations of each other, never meet as
negatives.
"""

import sys
from functools import partial

from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.losses import MultipleNegativesRankingLoss

import mixling

name = sys.argv[1] if len(sys.argv) > 1 else "intfloat/multilingual-e5-small"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 20

corpus = mixling.load("sample")  # or your folder, see docs/guides/recipes.md
model = mixling.Retriever(name).model  # or SentenceTransformer(name)
assert isinstance(model, SentenceTransformer)
arguments = SentenceTransformerTrainingArguments(
    output_dir="out",
    max_steps=steps,
    per_device_train_batch_size=8,
    learning_rate=3e-5,
    save_strategy="no",
    report_to="none",
    batch_sampler=partial(mixling.HybridBatchSampler, corpus=corpus, alpha=0.5),  # this line
)
trainer = SentenceTransformerTrainer(
    model,
    arguments,
    train_dataset=mixling.training_pairs(corpus),
    loss=MultipleNegativesRankingLoss(model, scale=50.0),  # temperature .02
)
trainer.train()
model.save("out/model")
print("out/model")
