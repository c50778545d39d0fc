"""The step engine: outputs, then state, then on."""
