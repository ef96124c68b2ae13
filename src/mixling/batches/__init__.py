"""Which texts meet in a training step: strategies and the schedule."""
