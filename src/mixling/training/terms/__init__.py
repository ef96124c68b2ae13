"""Terms of the training objective: one class a file; `registry.py` lists them."""
