"""Maps on vectors that take the language out of them; no encoder is trained."""
