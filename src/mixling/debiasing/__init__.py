"""Remove the language from stored vectors: debiasing methods, and the transforms that they fit."""
