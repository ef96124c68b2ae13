"""Terms of the training objective, a class each. `registry.py` lists them."""
