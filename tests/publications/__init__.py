"""Published sets in their exact form, with texts of our own: path below the root -> content."""
