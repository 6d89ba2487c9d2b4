"""Training: the state, the step, the objective and the loop."""
