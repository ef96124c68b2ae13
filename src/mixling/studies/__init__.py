"""Studies: grids of trainings and evaluations with one table, and the demo."""
