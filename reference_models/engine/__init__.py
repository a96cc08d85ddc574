"""Training, for every model: plan, step loop, checkpoints, run folder, logging, alarms, resuming."""
