"""The stream processor: Faust agents over the step engine."""
