"""Making a retriever better: objectives, the loop, checkpoints."""
