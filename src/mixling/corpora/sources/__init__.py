"""The named sets, one file each (or one a family): what they are, where they come from, how they are read."""
