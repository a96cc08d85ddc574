"""What trains any model: plan, step loop, checkpoints, run folder, logging, alarms, resuming."""
