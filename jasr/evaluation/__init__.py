"""From a trained model to error rates and reports."""
