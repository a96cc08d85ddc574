"""Images of trained models: as a ganeval source, in files, and along paths through the latents."""
