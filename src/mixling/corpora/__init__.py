"""Questions, passages and the links between them; where they come from."""
